// Nodes, workers and regions.

#include "allod/scheduling/v1/node.grpc.pb.h"
#include "cli/kinds/calls.h"

namespace allod::cli::kinds {
namespace {

namespace scheduling_v1 = allod::scheduling::v1;

ResourceKind NodeKind() {
  return {.kind = "Node",
          .plural = "nodes",
          .pattern = "nodes/*",
          .columns = {{"NAME", "name"},
                      {"REGION", "region"},
                      {"STATE", "state"},
                      {"WORKERS", "worker_count"},
                      {"MEMORY", "capacity.memory_bytes"},
                      {"ALLOCATED", "allocated.memory_bytes"}},
          .prototype = &scheduling_v1::Node::default_instance(),
          .list = Lister<scheduling_v1::NodeService>(&scheduling_v1::NodeService::Stub::ListNodes)};
}

ResourceKind WorkerKind() {
  return {.kind = "Worker",
          .plural = "workers",
          .pattern = "nodes/*/workers/*",
          .parent_pattern = "nodes/*",
          .all_parents = "nodes/-",
          .columns = {{"NAME", "name"},
                      {"INSTANCE", "instance"},
                      {"CLASS", "isolation_class"},
                      {"STATE", "state"},
                      {"PID", "pid"},
                      {"STARTS", "start_count"},
                      {"WAKES", "figures.wake_count"},
                      {"SANDBOX", "sandbox_layers"},
                      {"MESSAGE", "message"}},
          .prototype = &scheduling_v1::Worker::default_instance(),
          .list = Lister<scheduling_v1::NodeService>(&scheduling_v1::NodeService::Stub::ListWorkers)};
}

ResourceKind RegionKind() {
  return {.kind = "Region",
          .plural = "regions",
          .pattern = "regions/*",
          .columns = {{"NAME", "name"}, {"JURISDICTION", "jurisdiction"}},
          .prototype = &scheduling_v1::Region::default_instance(),
          .list = Lister<scheduling_v1::NodeService>(&scheduling_v1::NodeService::Stub::ListRegions)};
}

}  // namespace

std::vector<ResourceKind> NodeKinds() { return {NodeKind(), WorkerKind(), RegionKind()}; }

}  // namespace allod::cli::kinds
