#include "cli/installation/process_memory.h"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace allod::cli::installation {
namespace {

std::int64_t OwnBytes(pid_t pid) {
  std::ifstream in(fmt::format("/proc/{}/statm", pid));
  std::int64_t size = 0, resident = 0, shared = 0;
  if (!(in >> size >> resident >> shared)) return 0;
  return (resident - shared) * ::sysconf(_SC_PAGESIZE);
}

std::int64_t ProportionalBytes(pid_t pid) {
  std::ifstream in(fmt::format("/proc/{}/smaps_rollup", pid));
  std::string word;
  std::int64_t kib = 0;
  while (in >> word) {
    if (word == "Pss:" && in >> kib) return kib * 1024;
  }
  return OwnBytes(pid);
}

}  // namespace

std::int64_t TreeMemoryBytes(pid_t pid) {
  std::int64_t total = ProportionalBytes(pid);
  std::ifstream in(fmt::format("/proc/{}/task/{}/children", pid, pid));
  for (pid_t child = 0; in >> child;) total += TreeMemoryBytes(child);
  return total;
}

}  // namespace allod::cli::installation
