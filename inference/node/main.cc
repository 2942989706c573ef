// allod-node: the agent of one machine. It runs the models and workers that the scheduling service wants here, grants
// them the cores, hands on what they computed, and does the catalog's jobs. Exit status: 0 stopped by a signal; 1
// cannot run; 2 usage or configuration.

#include <memory>

#include "inference/node/artifacts/artifacts.h"
#include "inference/node/config.h"
#include "inference/node/jobs/job_runner.h"
#include "inference/node/process/worker_socket.h"
#include "inference/node/scheduling_link.h"
#include "inference/node/supervisor.h"
#include "inference/node/usage_collector.h"
#include "services/common/blob_store.h"
#include "services/common/rpc/client.h"
#include "services/common/service_main.h"

namespace {

using namespace allod::inference::node;

int GateCores(const NodeConfig& config) { return config.gate.cores > 0 ? config.gate.cores : config.threads(); }

allod::inference::gate::GateOptions GateOptionsOf(const NodeConfig& config) {
  allod::inference::gate::GateOptions options;
  options.cores = GateCores(config);
  options.turns.contended = std::chrono::milliseconds(config.gate.turn_ms_max);
  options.turns.alone = 2 * options.turns.contended;
  options.turns.first = 4 * options.turns.contended;
  return options;
}

SupervisorConfig SupervisorConfigOf(const NodeConfig& config) {
  SupervisorConfig out;
  out.worker_executables = config.worker_executables;
  out.run_dir = config.run_dir;
  out.first_uid = config.first_uid;
  out.shapes = {.threads = GateCores(config),
                .chunk_tokens_max = config.gate.chunk_tokens_max,
                .strict = config.sandbox == "strict",
                .pool_sequences = config.pool.sequences,
                .pool_context_tokens = config.pool.context_tokens,
                .pool_kv_tokens = config.pool.kv_tokens};
  out.models.keep_idle = std::chrono::seconds(config.zygote_idle_seconds);
  out.spares.keep = std::chrono::seconds(config.spare_worker_seconds);
  return out;
}

jobs::JobSettings JobSettingsOf(const NodeConfig& config) {
  return {.node = config.node,
          .compress_executable = config.compress_executable,
          .evaluation_text = config.evaluation_text,
          .strict = config.sandbox == "strict",
          .first_uid = config.first_uid,
          .memory_bytes = config.memory_bytes,
          .threads = config.threads()};
}

allod::Status Run(const NodeConfig& config, allod::StopSignal& stop) {
  ALLOD_CHECK_OK(process::PrepareRunDir(config.run_dir));
  ALLOD_TRY(allod::BlobStore store, allod::BlobStore::Open(config.artifact_dir));
  const allod::Caller self = allod::Caller::Node(config.node);
  const auto catalog = allod::MakeChannel(config.catalog_target);
  artifacts::Artifacts artifacts(std::move(store), catalog, self);
  ALLOD_TRY(const auto usage, UsageCollector::Start(config.usage_dir, config.node_name(),
                                                    allod::MakeChannel(config.billing_target), self));
  allod::inference::gate::Arbiter gate(GateOptionsOf(config));
  Supervisor supervisor(SupervisorConfigOf(config), artifacts, gate, *usage);
  SchedulingLink link(config, allod::MakeChannel(config.scheduling_target), supervisor);
  auto jobs = std::make_unique<jobs::JobRunner>(JobSettingsOf(config), catalog, artifacts);
  stop.Ready();
  stop.Wait();
  link.StopWatching();
  supervisor.Stop();
  jobs.reset();
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  return allod::ServiceMain<NodeConfig>(argc, argv, "node", "The agent that runs workers and jobs on one machine",
                                        LoadConfig, Run);
}
