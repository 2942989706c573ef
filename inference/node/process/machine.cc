#include "inference/node/process/machine.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>

#include "inference/node/process/cgroup_path.h"

namespace allod::inference::node::process {
namespace {

constexpr char kRoot[] = "/sys/fs/cgroup";

// Nothing for "max", a missing file or a number that no machine has.
std::optional<std::int64_t> ReadLimit(const std::string& path) {
  std::ifstream in(path);
  std::int64_t value = 0;
  if (!(in >> value) || value <= 0 || value >= (std::int64_t{1} << 50)) return std::nullopt;
  return value;
}

std::int32_t CpuQuotaMillis() {
  std::int64_t quota = 0;
  std::int64_t period = 0;
  std::ifstream v2(fmt::format("{}{}/cpu.max", kRoot, OwnCgroup("")));
  if (v2 >> quota >> period && quota > 0 && period > 0) return static_cast<std::int32_t>(quota * 1000 / period);
  const std::string v1 = fmt::format("{}/cpu{}", kRoot, OwnCgroup("cpu"));
  const auto v1_quota = ReadLimit(v1 + "/cpu.cfs_quota_us");
  const auto v1_period = ReadLimit(v1 + "/cpu.cfs_period_us");
  if (v1_quota && v1_period) return static_cast<std::int32_t>(*v1_quota * 1000 / *v1_period);
  return INT32_MAX;
}

}  // namespace

Machine DetectMachine() {
  Machine machine;
  machine.memory_bytes = static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  for (const std::string& path : {fmt::format("{}{}/memory.max", kRoot, OwnCgroup("")),
                                  fmt::format("{}/memory{}/memory.limit_in_bytes", kRoot, OwnCgroup("memory"))}) {
    if (const auto limit = ReadLimit(path)) machine.memory_bytes = std::min(machine.memory_bytes, *limit);
  }
  cpu_set_t cpus;
  const int count = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
  machine.cpu_millis = std::max(100, std::min(count * 1000, CpuQuotaMillis()));
  return machine;
}

std::int64_t AvailableMemory() {
  std::int64_t available = INT64_MAX;
  std::ifstream meminfo("/proc/meminfo");
  for (std::string field; meminfo >> field;) {
    std::int64_t kib = 0;
    if (field == "MemAvailable:" && meminfo >> kib) available = kib * 1024;
  }
  const std::string v2 = fmt::format("{}{}", kRoot, OwnCgroup(""));
  const std::string v1 = fmt::format("{}/memory{}", kRoot, OwnCgroup("memory"));
  for (const auto& [limit_file, used_file] :
       {std::pair(v2 + "/memory.max", v2 + "/memory.current"),
        std::pair(v1 + "/memory.limit_in_bytes", v1 + "/memory.usage_in_bytes")}) {
    const auto limit = ReadLimit(limit_file);
    const auto used = ReadLimit(used_file);
    // Used includes the page cache, which would be given back; it is counted as used, to be on the safe side.
    if (limit && used) available = std::min(available, std::max<std::int64_t>(0, *limit - *used));
  }
  return available;
}

}  // namespace allod::inference::node::process
