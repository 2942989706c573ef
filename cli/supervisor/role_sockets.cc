#include "cli/supervisor/role_sockets.h"

#include <fmt/format.h>
#include <grp.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cli/supervisor/layout.h"
#include "services/common/private_files.h"

namespace allod::cli::supervisor {
namespace {

using installation::StateDir;
using nlohmann::json;

constexpr const char* kRoles[] = {"support", "auditor"};
constexpr char kFile[] = "operators";  // in config/: {"support_group": "helpdesk"}

std::string FieldOf(const std::string& role) { return role + "_group"; }

Result<RoleGroup> GroupNamed(const std::string& role, const std::string& name) {
  if (geteuid() != 0) {
    return FailedPrecondition("NEEDS_ROOT",
                              fmt::format("--{}-group {}: what another user than root starts is closed to all others; "
                                          "start the installation as root, or leave it out",
                                          role, name));
  }
  const group* entry = getgrnam(name.c_str());
  if (entry != nullptr) return RoleGroup{name, entry->gr_gid};
  return InvalidArgument("NO_SUCH_GROUP",
                         fmt::format("--{}-group {}: this machine has no group of that name: make it (groupadd {}), or "
                                     "say \"none\"",
                                     role, name, name));
}

}  // namespace

Result<RoleGroups> RoleGroupsOf(const StateDir& state, const UpOptions& options) {
  const json last = LastConfig(state, kFile);
  RoleGroups out;
  for (const std::string role : kRoles) {
    std::string name = role == "support" ? options.support_group : options.auditor_group;
    if (name.empty()) name = last.value(FieldOf(role), "");
    if (name.empty() || name == "none") continue;
    ALLOD_TRY(out[role], GroupNamed(role, name));
  }
  return out;
}

Status MakeRoleSockets(const StateDir& state, const ServiceUsers& users, const RoleGroups& groups) {
  ALLOD_TRY(const Directory run, Directory::Open(state.run()));
  const auto gateway = users.Of("gateway");
  json kept = json::object();
  for (const std::string role : kRoles) {
    const std::string link = role + ".sock";
    ALLOD_CHECK_OK(run.Remove(link));
    const auto group = groups.find(role);
    if (group == groups.end() || !gateway) {
      if (run.Has(role)) ALLOD_CHECK_OK(run.RemoveTree(role));
      continue;
    }
    ALLOD_CHECK_OK(run.Make(role, 02710, {gateway->uid, group->second.gid}));
    if (symlinkat((role + "/grpc.sock").c_str(), run.fd(), link.c_str()) != 0) {
      return FailedPrecondition("STATE_NOT_WRITABLE",
                                fmt::format("cannot make {}/{}: {}", run.path().string(), link, std::strerror(errno)));
    }
    kept[FieldOf(role)] = group->second.name;
  }
  return WritePrivate(state, "config", std::string(kFile) + ".json", kept.dump(2) + "\n", users, "");
}

Status AddRoleSockets(const StateDir& state, const UpOptions& options, json& gateway) {
  ALLOD_TRY(const RoleGroups groups, RoleGroupsOf(state, options));
  for (const auto& [role, group] : groups) {
    gateway[role + "_grpc_listen"] = "unix:" + (state.run() / role / "grpc.sock").string();
  }
  return {};
}

}  // namespace allod::cli::supervisor
