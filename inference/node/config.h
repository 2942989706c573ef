// Configuration of the node agent: one JSON file (services/common/config.h), unknown fields refused.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "services/common/config.h"
#include "services/common/result.h"

namespace allod::inference::node {

struct NodeConfig {
  std::string node;    // id, e.g. "local"
  std::string region;  // id, e.g. "ke-1"
  // What the scheduler may hand out; 0: what the machine (or its cgroup) has.
  std::int64_t memory_bytes = 0;
  std::int32_t cpu_millis = 0;
  // gRPC targets.
  std::string scheduling_target;
  std::string catalog_target;
  std::filesystem::path artifact_dir;  // the catalog's on one machine, the node's own elsewhere
  std::filesystem::path run_dir;       // sockets of the workers
  std::filesystem::path worker_executable;
  std::filesystem::path compress_executable;
  std::filesystem::path evaluation_text;

  std::string node_name() const { return "nodes/" + node; }
  std::string region_name() const { return "regions/" + region; }
  // How many threads a worker or a job computes with.
  int threads() const { return cpu_millis >= 1000 ? cpu_millis / 1000 : 1; }
};

// Detects what is 0. INVALID_ARGUMENT / INVALID_CONFIG.
Result<NodeConfig> LoadConfig(const ConfigFile& file);

}  // namespace allod::inference::node
