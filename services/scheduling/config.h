// The configuration file of allod-scheduling.
#pragma once

#include <string>
#include <vector>

#include "scheduler/estimate.h"
#include "services/common/config.h"
#include "services/common/pg/service_config.h"

namespace allod::scheduling {

struct Config : ServiceConfig {
  std::string tenancy_target;
  std::string catalog_target;
  std::string billing_target;
  // [{"name": "ke-1", "jurisdiction": "ke"}, ...]; at least one. Those that are not known yet are made at the start.
  std::vector<scheduler::Region> regions;
  // A node without a report for this long is lost: not routed to.
  int node_lost_after_ms = 6000;
  // Replicas that are lost or failed for this long are replaced on another node.
  int replace_after_ms = 30'000;
  // Thousandths of a core that one worker reserves; a pooled instance takes a tenth of it.
  int replica_cpu_millis = 20;
  // The worker that pooled instances of a variant share on a node; as the nodes' own configuration says.
  scheduler::PoolShape pool;
};

// INVALID_ARGUMENT / INVALID_CONFIG: unknown fields, duplicate regions, ids and country codes that are none;
// `weights` of before says where they are now.
Result<Config> LoadConfig(const ConfigFile& file);

}  // namespace allod::scheduling
