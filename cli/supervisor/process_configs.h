// Writes the configuration file of every process of a one-machine installation.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/installation/process_facts.h"
#include "cli/installation/state_dir.h"
#include "cli/supervisor/node_settings.h"
#include "cli/supervisor/service_users.h"
#include "services/common/result.h"

namespace allod::cli::supervisor {

struct UpOptions {
  std::string region = "local";           // the region in which this machine stands
  std::string jurisdiction = "zz";        // ISO 3166-1 alpha-2 of that region, and so of what is stored here
  std::string http_listen;                // "127.0.0.1:8080"; empty: the last one, else a free port from 8080 on
  std::string operators_listen;           // of /metrics; empty: the last one, else a free port from 9080 on
  std::vector<std::string> cors_origins;  // web pages that may call the API; empty: as the last `allod up` had it
  // Addresses whose X-Forwarded-For the gateway believes; empty: as the last `allod up` had it.
  std::vector<std::string> trusted_proxies;
  std::string
      public_url;  // "https://allod.example"; empty: the last one, else the local address; "none": the local one
  // Groups of Unix whose users are operators of one role (role_sockets.h); empty: the last one; "none": nobody.
  std::string support_group = {};
  std::string auditor_group = {};
  GivenNodeSettings node;
  std::filesystem::path bin;  // where the executables lie
  // Of the block of users for the services; 0: see UsersOf.
  std::uint32_t service_uids_first = 0;
  std::filesystem::path share;  // where migrations/ and the evaluation text lie: the source tree or its installed copy
};

// Finds a running process of one of `count` users from `first` on.
using FindProcess = std::function<std::optional<pid_t>(std::uint32_t first, std::uint32_t count)>;
// As root: the options with users that no other installation of this machine runs as. At the first start of a state
// directory whose default block is taken, the next free one of services and, unless it was given, of workers; what is
// chosen is kept by RememberUsers and WriteConfigs. FAILED_PRECONDITION / UIDS_IN_USE for a block that is newly asked
// for and taken.
Result<UpOptions> WithFreeUsers(const installation::StateDir& state, UpOptions options,
                                const FindProcess& find = installation::FindProcessOfUsers);

// Who the processes run as: `service_uids_first`, else as the last `allod up` had it. INVALID_ARGUMENT / INVALID_UIDS.
Result<ServiceUsers> UsersOf(const installation::StateDir& state, const UpOptions& options);
Status RememberUsers(const installation::StateDir& state, const UpOptions& options, const ServiceUsers& users);

// FAILED_PRECONDITION / PORT_IN_USE when an address was asked for and is taken.
Status WriteConfigs(const installation::StateDir& state, const UpOptions& options, const ServiceUsers& users);

// What was said of tenants' weights to an earlier `allod up --weight` and is lost with the next WriteConfigs, as
// commands that say it of the tenants. Empty: nothing.
std::vector<std::string> LostWeights(const installation::StateDir& state);

// What the last `allod up` wrote for a process; an empty object if there is none that can be read.
nlohmann::json LastConfig(const installation::StateDir& state, const std::string& process);

}  // namespace allod::cli::supervisor
