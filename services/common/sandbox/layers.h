// The layers of a process's sandbox by name, and which of them are in force.
//
// A layer is named only when the kernel confirmed it for this process: the list is what tenants and operators are
// shown.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace allod::sandbox {

inline constexpr std::string_view kUserNamespace = "user_namespace";
inline constexpr std::string_view kMountNamespace = "mount_namespace";
inline constexpr std::string_view kPidNamespace = "pid_namespace";
inline constexpr std::string_view kIpcNamespace = "ipc_namespace";
inline constexpr std::string_view kNetworkNamespace = "network_namespace";  // empty: no interface is up
inline constexpr std::string_view kEmptyRoot = "empty_root";
inline constexpr std::string_view kOwnProc = "own_proc";  // of a zygote: sees no other's processes
inline constexpr std::string_view kOwnUid = "own_uid";
inline constexpr std::string_view kNoCapabilities = "no_capabilities";
inline constexpr std::string_view kNoNewPrivs = "no_new_privs";
inline constexpr std::string_view kNotDumpable = "not_dumpable";
inline constexpr std::string_view kRlimits = "rlimits";
inline constexpr std::string_view kSeccomp = "seccomp";
inline constexpr std::string_view kLandlock = "landlock";
inline constexpr std::string_view kCgroupMemory = "cgroup_memory";  // set by the node agent
inline constexpr std::string_view kCgroupPids = "cgroup_pids";      // set by the node agent
inline constexpr std::string_view kDieWithParent = "die_with_parent";

class Layers {
 public:
  void Add(std::string_view layer) { names_.emplace_back(layer); }
  bool Has(std::string_view layer) const;
  const std::vector<std::string>& names() const { return names_; }

 private:
  std::vector<std::string> names_;
};

}  // namespace allod::sandbox
