// The configuration file of allod-scheduling.
#pragma once

#include <string>
#include <vector>

#include "scheduler/model.h"
#include "services/common/config.h"
#include "services/common/pg.h"

namespace allod::scheduling {

struct Config {
  std::string listen;
  PgConfig database;
  std::string tenancy_target;
  std::string catalog_target;
  std::string billing_target;
  // [{"name": "ke-1", "jurisdiction": "ke"}, ...]; at least one.
  std::vector<scheduler::Region> regions;
  // A node without a report for this long is lost: not routed to.
  int node_lost_after_ms = 6000;
  // Replicas that are lost or failed for this long are replaced on another node.
  int replace_after_ms = 30'000;
  // Thousandths of a core that one worker reserves.
  int replica_cpu_millis = 50;
};

// INVALID_ARGUMENT / INVALID_CONFIG: unknown fields, duplicate regions, ids and country codes that are none.
Result<Config> LoadConfig(const ConfigFile& file);

}  // namespace allod::scheduling
