// Configuration of the node agent: one JSON file (services/common/config.h), unknown fields refused.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "inference/node/pool/desired.h"
#include "services/common/config.h"
#include "services/common/result.h"

namespace allod::inference::node {

struct NodeConfig {
  std::string node;    // id, e.g. "local"
  std::string region;  // id, e.g. "ke-1"
  // Where the machine stands: ISO 3166-1 alpha-2, lower case. The agent runs nothing whose data may not be there,
  // whatever anybody says of its region.
  std::string jurisdiction;
  // What the scheduler may hand out; 0: what the machine (or its cgroup) has.
  std::int64_t memory_bytes = 0;
  std::int32_t cpu_millis = 0;
  // gRPC targets.
  std::string scheduling_target;
  std::string catalog_target;
  std::string billing_target;
  std::filesystem::path artifact_dir;  // the catalog's on one machine, the node's own elsewhere
  std::filesystem::path run_dir;       // sockets of the workers
  std::filesystem::path usage_dir;     // usage rings; must outlive the machine's restarts
  std::map<pool::Runtime, std::filesystem::path> worker_executables;  // of every runtime
  std::filesystem::path compress_executable;
  std::filesystem::path evaluation_text;

  // "auto": every layer of the sandbox that the host allows; "strict": workers with all of them or none.
  std::string sandbox = "auto";
  // The first of the host's uids that jobs, zygotes and workers get, when the agent runs as root: 1024 for jobs, then
  // 1024 for each resident model. The default is above what systemd and container runtimes hand out.
  std::uint32_t first_uid = 0x70000000;
  std::int32_t zygote_idle_seconds = 600;  // a model that nobody uses stays in memory for this long
  // How long after the last start of an isolated instance its model has a spare worker; 0: never.
  std::int32_t spare_worker_seconds = 600;
  // The gate: cores that are computed on at once (0: all), and what a step may take while others wait.
  struct Gate {
    std::int32_t cores = 0;
    std::int32_t turn_ms_max = 25;
    std::int32_t chunk_tokens_max = 0;  // of prompt in one step; 0: as the turn allows
  } gate;
  // A worker of the pooled class: requests computed together, the longest of them, and the KV cache they share.
  struct Pool {
    std::int32_t sequences = 16;
    std::int32_t context_tokens = 4096;
    std::int32_t kv_tokens = 16384;
  } pool;

  std::string node_name() const { return "nodes/" + node; }
  std::string region_name() const { return "regions/" + region; }
  // How many threads a worker or a job computes with.
  int threads() const { return cpu_millis >= 1000 ? cpu_millis / 1000 : 1; }
};

// Detects what is 0. INVALID_ARGUMENT / INVALID_CONFIG.
Result<NodeConfig> LoadConfig(const ConfigFile& file);

}  // namespace allod::inference::node
