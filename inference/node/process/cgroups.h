// Limits of memory and processes for workers through control groups, where the host lets us make them: version 2,
// version 1, or both mounted.
//
// A group per worker below the agent's own. What cannot be made is left out, and the worker's layers do not name it.
// Thread-safe; the files are the kernel's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace allod::inference::node::process {

struct CgroupLimits {
  std::int64_t memory_bytes_max = 0;  // 0: none
  std::int32_t processes_max = 256;   // threads count
};

class Cgroups {
 public:
  // Finds out what there is; makes the agent's own groups, "allod-PID", and removes those that dead agents left.
  Cgroups();
  ~Cgroups();
  Cgroups(const Cgroups&) = delete;
  Cgroups& operator=(const Cgroups&) = delete;

  // Puts the process into a group of its own. Returns the layers that are in force by it (sandbox/layers.h).
  std::vector<std::string> Confine(const std::string& name, int pid, const CgroupLimits& limits);
  // After the process ended.
  void Remove(const std::string& name);

 private:
  struct Hierarchy {
    std::filesystem::path directory;  // of the agent
    bool memory = false;
    bool pids = false;
    bool unified = false;
  };

  std::vector<Hierarchy> hierarchies_;
};

}  // namespace allod::inference::node::process
