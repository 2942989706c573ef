// What processes hold in memory, from /proc, and who descends from whom. Other users' processes need root.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace allod::bench {

// Bytes; sums of smaps_rollup.
struct Memory {
  std::int64_t pss = 0;  // a page that n processes map counts 1/n in each
  std::int64_t pss_anonymous = 0;
  std::int64_t pss_file = 0;
  std::int64_t pss_shared_memory = 0;
  std::int64_t unshared = 0;  // pages that nobody else maps (Private_Clean + Private_Dirty)
};
Memory operator+(const Memory& a, const Memory& b);
void to_json(nlohmann::json& out, const Memory& memory);

// All zero for a process that is gone.
Memory MemoryOf(pid_t pid);
Memory MemoryOf(const std::vector<pid_t>& pids);

struct ProcessEntry {
  pid_t pid;
  pid_t parent;
  std::string name;  // of the kernel: at most 15 characters
};
// All that descend from `ancestor`, without itself.
std::vector<ProcessEntry> Descendants(pid_t ancestor);

}  // namespace allod::bench
