#include "inference/node/process/cgroups.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <system_error>

#include "inference/node/process/cgroup_path.h"
#include "inference/sandbox/layers.h"

namespace allod::inference::node::process {
namespace {

namespace fs = std::filesystem;

constexpr char kRoot[] = "/sys/fs/cgroup";
constexpr char kPrefix[] = "allod-";

bool Write(const fs::path& file, const std::string& text) {
  std::ofstream out(file);
  out << text;
  out.flush();
  return out.good();
}

bool HasWord(const fs::path& file, const std::string& word) {
  std::ifstream in(file);
  for (std::string found; in >> found;) {
    if (found == word) return true;
  }
  return false;
}

// Groups of agents that were killed; a group with processes in it refuses to go.
void RemoveLeftovers(const fs::path& parent) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(parent, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    const int pid = std::atoi(name.c_str() + sizeof(kPrefix) - 1);
    if (pid <= 0 || kill(pid, 0) == 0 || errno == EPERM) continue;
    std::error_code ignored;
    for (const auto& child : fs::directory_iterator(entry.path(), ignored)) {
      if (child.is_directory(ignored)) rmdir(child.path().c_str());
    }
    rmdir(entry.path().c_str());
  }
}

}  // namespace

Cgroups::Cgroups() {
  const std::string own = fmt::format("{}{}", kPrefix, getpid());
  std::error_code ignored;
  const auto make = [&](const fs::path& parent, bool memory, bool pids, bool unified) {
    if (!fs::is_directory(parent, ignored)) return;
    RemoveLeftovers(parent);
    const fs::path directory = parent / own;
    if (!fs::create_directory(directory, ignored) && !fs::is_directory(directory, ignored)) return;
    hierarchies_.push_back({directory, memory, pids, unified});
  };
  for (const char* controller : {"memory", "pids"}) {
    const fs::path mount = fs::path(kRoot) / controller;
    const std::string group = OwnCgroup(controller);
    if (group.empty()) continue;
    // In a container the group's path may be one of the host's that is not visible here; then the mount is our group.
    fs::path parent = mount.string() + group;
    if (!fs::is_directory(parent, ignored)) parent = mount;
    make(parent, std::string(controller) == "memory", std::string(controller) == "pids", false);
  }
  if (fs::exists(fs::path(kRoot) / "cgroup.controllers", ignored)) {
    const fs::path parent = kRoot + OwnCgroup("");
    // Version 2 hands controllers only to the children of a group without processes of its own: the host's choice.
    const bool memory = HasWord(parent / "cgroup.subtree_control", "memory");
    const bool pids = HasWord(parent / "cgroup.subtree_control", "pids");
    if (memory || pids) {
      make(parent, memory, pids, true);
      if (!hierarchies_.empty() && hierarchies_.back().unified) {
        const fs::path control = hierarchies_.back().directory / "cgroup.subtree_control";
        if (memory) Write(control, "+memory");
        if (pids) Write(control, "+pids");
      }
    }
  }
}

Cgroups::~Cgroups() {
  for (const Hierarchy& h : hierarchies_) {
    std::error_code ignored;
    for (const auto& child : fs::directory_iterator(h.directory, ignored)) {
      if (child.is_directory(ignored)) rmdir(child.path().c_str());
    }
    rmdir(h.directory.c_str());
  }
}

std::vector<std::string> Cgroups::Confine(const std::string& name, int pid, const CgroupLimits& limits) {
  std::vector<std::string> layers;
  for (const Hierarchy& h : hierarchies_) {
    const fs::path group = h.directory / name;
    std::error_code ignored;
    if (!fs::create_directory(group, ignored) && !fs::is_directory(group, ignored)) continue;
    const char* memory_file = h.unified ? "memory.max" : "memory.limit_in_bytes";
    const bool memory =
        h.memory && limits.memory_bytes_max > 0 && Write(group / memory_file, std::to_string(limits.memory_bytes_max));
    const bool pids = h.pids && Write(group / "pids.max", std::to_string(limits.processes_max));
    if (!Write(group / "cgroup.procs", std::to_string(pid))) continue;
    if (memory) layers.emplace_back(sandbox::kCgroupMemory);
    if (pids) layers.emplace_back(sandbox::kCgroupPids);
  }
  return layers;
}

void Cgroups::Remove(const std::string& name) {
  for (const Hierarchy& h : hierarchies_) rmdir((h.directory / name).c_str());
}

}  // namespace allod::inference::node::process
