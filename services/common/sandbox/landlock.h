// Landlock (kernel 5.13 and later; landlock(7)): files only below the paths or behind the descriptors that are named,
// no TCP unless asked for, no abstract socket and no signal to anybody outside. Descriptors that are open stay usable.
#pragma once

#include <filesystem>
#include <vector>

#include "services/common/sandbox/layers.h"

namespace allod::sandbox {

struct PathAccess {
  // What the rule is about: a path, which may be missing (then nothing is granted), or an open descriptor.
  std::filesystem::path path;
  int fd = -1;
  // Files below it may be read; also written, made, renamed and removed.
  bool write = false;
};

// Call before further threads start; needs no_new_privs or root. Nothing named: no file at all. Adds the layer if the
// kernel has it.
void RestrictByLandlock(Layers& layers, const std::vector<PathAccess>& allowed = {}, bool network = false);

}  // namespace allod::sandbox
