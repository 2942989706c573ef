// What a process gives up for good besides its namespaces: new privileges, core files, debuggers, many files, much
// memory, capabilities.
#pragma once

#include <cstdint>

#include "services/common/sandbox/layers.h"

namespace allod::sandbox {

struct Limits {
  // Open files: its own descriptors and one for each connection of a gateway.
  std::uint64_t open_files_max = 512;
  // Heap, stacks and anonymous maps together (RLIMIT_DATA), what it has already included. 0: no limit.
  std::uint64_t data_bytes_max = 0;
  // Everything mapped (RLIMIT_AS). 0: no limit.
  std::uint64_t address_space_bytes_max = 0;
  // Threads of its uid; only where it has one of its own. 0: no limit.
  std::uint64_t threads_max = 0;
  // The largest file that it may write; 0: it writes none.
  std::uint64_t file_bytes_max = 0;
  // Of the processor, all threads together. 0: no limit.
  std::uint64_t cpu_seconds_max = 0;
};

// As `file_bytes_max`: as large as the disk lets it.
inline constexpr std::uint64_t kFileBytesUnlimited = ~std::uint64_t{0};

// Adds no_new_privs, not_dumpable and rlimits to `layers`, as far as the kernel confirms them.
void LowerLimits(const Limits& limits, Layers& layers);

// Every capability of this thread, for ever; true when none is left. Needs no privilege.
bool DropCapabilities();

// Whether this thread has no capability, whoever took them.
bool HasNoCapability();

}  // namespace allod::sandbox
