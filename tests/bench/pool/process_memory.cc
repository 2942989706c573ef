#include "tests/bench/pool/process_memory.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace allod::bench {

namespace {

std::vector<ProcessEntry> AllProcesses() {
  std::vector<ProcessEntry> out;
  std::error_code ec;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ec)) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ec != std::errc() || pid <= 0) continue;
    std::ifstream file(entry.path() / "stat");
    std::string stat;
    std::getline(file, stat);
    // "pid (name) state parent ...": a name may itself have brackets and spaces.
    const std::size_t open = stat.find('('), close = stat.rfind(')');
    if (open == std::string::npos || close == std::string::npos) continue;
    std::istringstream rest(stat.substr(close + 1));
    char state = 0;
    pid_t parent = 0;
    rest >> state >> parent;
    if (state != 'Z') out.push_back({pid, parent, stat.substr(open + 1, close - open - 1)});
  }
  return out;
}

}  // namespace

Memory operator+(const Memory& a, const Memory& b) {
  return {a.pss + b.pss, a.pss_anonymous + b.pss_anonymous, a.pss_file + b.pss_file,
          a.pss_shared_memory + b.pss_shared_memory, a.unshared + b.unshared};
}

void to_json(nlohmann::json& out, const Memory& memory) {
  out = {{"pss", memory.pss},
         {"pss_anonymous", memory.pss_anonymous},
         {"pss_file", memory.pss_file},
         {"pss_shared_memory", memory.pss_shared_memory},
         {"unshared", memory.unshared}};
}

Memory MemoryOf(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/smaps_rollup");
  Memory out;
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string key;
    std::int64_t kib = 0;
    if (!(words >> key >> kib)) continue;
    const std::int64_t bytes = kib * 1024;
    if (key == "Pss:") out.pss = bytes;
    if (key == "Pss_Anon:") out.pss_anonymous = bytes;
    if (key == "Pss_File:") out.pss_file = bytes;
    if (key == "Pss_Shmem:") out.pss_shared_memory = bytes;
    if (key == "Private_Clean:" || key == "Private_Dirty:") out.unshared += bytes;
  }
  return out;
}

Memory MemoryOf(const std::vector<pid_t>& pids) {
  Memory sum;
  for (const pid_t pid : pids) sum = sum + MemoryOf(pid);
  return sum;
}

std::vector<ProcessEntry> Descendants(pid_t ancestor) {
  const std::vector<ProcessEntry> all = AllProcesses();
  std::vector<ProcessEntry> out;
  std::vector<pid_t> parents = {ancestor};
  while (!parents.empty()) {
    const pid_t parent = parents.back();
    parents.pop_back();
    for (const ProcessEntry& process : all) {
      if (process.parent != parent) continue;
      out.push_back(process);
      parents.push_back(process.pid);
    }
  }
  return out;
}

}  // namespace allod::bench
