// What this machine offers: the least of what the hardware has, what the scheduler's affinity allows and what the
// control group (v1 or v2) grants.
#pragma once

#include <cstdint>

namespace allod::inference::node::process {

struct Machine {
  std::int64_t memory_bytes = 0;
  std::int32_t cpu_millis = 0;
};

Machine DetectMachine();

// Bytes that can be had now without swapping: what the kernel estimates (MemAvailable), and what the cgroup has left.
std::int64_t AvailableMemory();

}  // namespace allod::inference::node::process
