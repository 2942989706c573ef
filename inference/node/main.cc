// allod-node: the agent of one machine. It runs the workers that the scheduling service wants here and does the
// catalog's jobs. Exit status: 0 stopped by a signal; 1 cannot run; 2 usage or configuration.

#include <memory>

#include "inference/node/artifacts.h"
#include "inference/node/config.h"
#include "inference/node/job_runner.h"
#include "inference/node/scheduling_link.h"
#include "inference/node/supervisor.h"
#include "inference/node/worker_socket.h"
#include "services/common/blob_store.h"
#include "services/common/rpc/client.h"
#include "services/common/service_main.h"

namespace {

using namespace allod::inference::node;

allod::Status Run(const NodeConfig& config, allod::StopSignal& stop) {
  ALLOD_CHECK_OK(PrepareRunDir(config.run_dir));
  ALLOD_TRY(allod::BlobStore store, allod::BlobStore::Open(config.artifact_dir));
  const allod::Caller self = allod::Caller::Node(config.node);
  const auto catalog = allod::MakeChannel(config.catalog_target);
  Artifacts artifacts(std::move(store), catalog, self);
  Supervisor supervisor({config.worker_executable, config.run_dir, config.threads(), self}, artifacts);
  SchedulingLink link(config, allod::MakeChannel(config.scheduling_target), supervisor);
  auto jobs = std::make_unique<JobRunner>(config, catalog, artifacts);
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
