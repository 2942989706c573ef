// What the configuration of every service with rows says: where it listens, who may connect, and its database.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "services/common/config.h"
#include "services/common/pg/pool.h"

namespace allod {

// A service's own Config derives from it.
struct ServiceConfig {
  std::string listen;
  std::vector<uid_t> peer_uids;  // users of the processes that call it
  PgConfig database;
};

// Reads the fields of that name; `peer_uids` is optional. Complaints stay with the reader.
void ReadServiceConfig(ConfigReader& reader, ServiceConfig& config);

}  // namespace allod
