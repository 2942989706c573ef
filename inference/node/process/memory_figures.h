// What a process costs in memory, by its /proc/PID/smaps_rollup.
#pragma once

#include <cstdint>
#include <optional>

namespace allod::inference::node::process {

struct MemoryFigures {
  std::int64_t private_bytes = 0;
  std::int64_t pss_bytes = 0;  // with its share of what several have
};

// From an open smaps_rollup, which may be read again and again. The kernel walks the process's pages: some milliseconds
// for a large one. Nothing for -1, a process that is gone, or what is no such file.
std::optional<MemoryFigures> ReadSmapsRollup(int fd);
// Whether a descriptor that another process gave is one of /proc: reading any other might wait, or fetch anything.
bool IsProcFile(int fd);

}  // namespace allod::inference::node::process
