// Sockets for operators of one role: run/support.sock and run/auditor.sock, each for the users of a group of Unix that
// root chose. Who can open one is an operator of that role and nothing more: the gateway states the role, whatever the
// client states (gateway/operators/grpc_proxy.h).
//
//   DIR/run/ROLE/       2710 the gateway, GROUP   its socket; the directory hands the group down
//   DIR/run/ROLE.sock   a link of root's to it
//
// Without a group neither is there.
#pragma once

#include <sys/types.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/installation/state_dir.h"
#include "cli/supervisor/process_configs.h"
#include "cli/supervisor/service_users.h"
#include "services/common/result.h"

namespace allod::cli::supervisor {

// By role, "support" or "auditor"; one that is not there has no socket.
struct RoleGroup {
  std::string name;
  gid_t gid = 0;
};
using RoleGroups = std::map<std::string, RoleGroup>;

// As the options say, else as the last `allod up` had it. INVALID_ARGUMENT / NO_SUCH_GROUP; FAILED_PRECONDITION /
// NEEDS_ROOT: what another user than root starts is closed to all others.
Result<RoleGroups> RoleGroupsOf(const installation::StateDir& state, const UpOptions& options);

// Makes the directories and links, takes away those of roles without a group, and remembers the groups. Call with the
// installation's lock held, after MakeLayout.
Status MakeRoleSockets(const installation::StateDir& state, const ServiceUsers& users, const RoleGroups& groups);

// The fields of the gateway's configuration. Errors as RoleGroupsOf.
Status AddRoleSockets(const installation::StateDir& state, const UpOptions& options, nlohmann::json& gateway);

}  // namespace allod::cli::supervisor
