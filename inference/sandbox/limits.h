// What a process gives up for good besides its namespaces: new privileges, core files, debuggers, many files, much
// memory.
#pragma once

#include <cstdint>

#include "inference/sandbox/layers.h"

namespace allod::inference::sandbox {

struct Limits {
  // Open files: its own descriptors and one for each connection of a gateway.
  std::uint64_t open_files_max = 512;
  // Heap, stacks and anonymous maps together (RLIMIT_DATA), what it has already included. 0: no limit.
  std::uint64_t data_bytes_max = 0;
  // Threads of its uid; only where it has one of its own. 0: no limit.
  std::uint64_t threads_max = 0;
};

// Adds no_new_privs, not_dumpable and rlimits to `layers`, as far as the kernel confirms them.
void LowerLimits(const Limits& limits, Layers& layers);

}  // namespace allod::inference::sandbox
