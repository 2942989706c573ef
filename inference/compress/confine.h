// Takes from this process what a job over foreign bytes does not need, before it opens any of them. Cannot be undone.
//
// In force afterwards: the process is killed when its parent dies (if asked), gains no privilege through exec, writes
// no core file (it would hold the model), and is bounded in address space, in the size of a file it writes and in open
// files. These are limits against accidents and runaway parsers, not a sandbox against code execution.
#pragma once

#include <cstdint>

#include "services/common/result.h"

namespace allod::inference::compress {

struct ConfineLimits {
  std::uint64_t address_space_bytes = 0;
  std::uint64_t file_bytes = 0;
  bool die_with_parent = true;
};

// In proportion to the source file: a compressed copy of it, both mapped, one of them repacked, and the buffers
// between.
ConfineLimits LimitsForJob(std::uint64_t input_bytes);

// INTERNAL / CONFINE_FAILED names the layer. Call from the main thread.
Status ConfineProcess(const ConfineLimits& limits);

}  // namespace allod::inference::compress
