// Writes the configuration file of every process of a one-machine installation.
#pragma once

#include <string>
#include <vector>

#include "cli/state_dir.h"
#include "services/common/result.h"

namespace allod::cli {

struct UpOptions {
  std::string region = "local";     // the region in which this machine stands
  std::string jurisdiction = "zz";  // ISO 3166-1 alpha-2 of that region
  std::string http_listen;          // "127.0.0.1:8080"; empty: the last one, else a free port from 8080 on
  std::filesystem::path bin;        // where the executables lie
  std::filesystem::path share;  // where migrations/ and the evaluation text lie: the source tree or its installed copy
};

// The processes that `allod up` starts beside PostgreSQL and Redis, by their short names ("tenancy" -> allod-tenancy).
const std::vector<std::string>& PlatformProcesses();

// FAILED_PRECONDITION / PORT_IN_USE when `http_listen` was asked for and is taken.
Status WriteConfigs(const StateDir& state, const UpOptions& options);

}  // namespace allod::cli
