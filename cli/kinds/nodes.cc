// Nodes, workers and regions.

#include <fmt/format.h>

#include "allod/scheduling/v1/node.grpc.pb.h"
#include "allod/scheduling/v1/region.grpc.pb.h"
#include "cli/kinds/calls.h"

namespace allod::cli::kinds {
namespace {

namespace scheduling_v1 = allod::scheduling::v1;
using google::protobuf::Message;
using net::Services;

ResourceKind NodeKind() {
  return {.kind = "Node",
          .plural = "nodes",
          .pattern = "nodes/*",
          .columns = {{"NAME", "name"},
                      {"REGION", "region"},
                      {"STANDS IN", "jurisdiction"},
                      {"STATE", "state"},
                      {"WORKERS", "worker_count"},
                      {"MEMORY", "capacity.memory_bytes"},
                      {"ALLOCATED", "allocated.memory_bytes"},
                      {"MESSAGE", "message"}},
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

using Regions = scheduling_v1::RegionService;

Result<scheduling_v1::UpdateRegionResponse> Change(const Services& services, const Message& current,
                                                   const Message& wanted, bool validate_only) {
  scheduling_v1::UpdateRegionRequest request;
  *request.mutable_region() = dynamic_cast<const scheduling_v1::Region&>(wanted);
  request.mutable_region()->set_etag(dynamic_cast<const scheduling_v1::Region&>(current).etag());
  request.set_validate_only(validate_only);
  return net::Ask<Regions>(services, &Regions::Stub::UpdateRegion, request);
}

// Instances of all tenants, as the service says.
Result<std::vector<std::string>> StoppedByRegion(const Services& services, const Message& current,
                                                 const Message& wanted) {
  ALLOD_TRY(const auto judged, Change(services, current, wanted, true));
  std::vector<std::string> out(judged.stopped_instances().begin(), judged.stopped_instances().end());
  const int more = judged.stopped_instance_count() - judged.stopped_instances_size();
  if (more > 0) out.push_back(fmt::format("and {} more", more));
  return out;
}

ResourceKind RegionKind() {
  return {.kind = "Region",
          .plural = "regions",
          .pattern = "regions/*",
          .columns = {{"NAME", "name"},
                      {"JURISDICTION", "jurisdiction"},
                      {"DISPLAY NAME", "display_name"},
                      {"VERSION", "version"},
                      {"SINCE", "create_time"}},
          .prototype = &scheduling_v1::Region::default_instance(),
          .spec_fields = {"jurisdiction", "display_name"},
          .get = Getter<Regions>(&Regions::Stub::GetRegion),
          .list = Lister<scheduling_v1::NodeService>(&scheduling_v1::NodeService::Stub::ListRegions),
          .create = [](const Services& services, const Message& wanted, const Attempt& attempt) -> Result<net::Change> {
            scheduling_v1::CreateRegionRequest request;
            *request.mutable_region() = dynamic_cast<const scheduling_v1::Region&>(wanted);
            request.set_region_id(LastSegment(request.region().name()));
            request.set_validate_only(attempt.validate_only);
            return Done(net::Ask<Regions>(services, &Regions::Stub::CreateRegion, request));
          },
          .preview = [](const Services& services, const Message& current,
                        const Message& wanted) -> Result<terminal::MessagePtr> {
            ALLOD_TRY(auto judged, Change(services, current, wanted, true));
            return Own(Result<scheduling_v1::Region>(std::move(*judged.mutable_region())));
          },
          // The same content again changes nothing, so that a retry needs no request id.
          .update = [](const Services& services, const Message& current, const Message& wanted, const std::string&)
              -> Result<net::Change> { return Done(Change(services, current, wanted, false)); },
          .stops = &StoppedByRegion};
}

ResourceKind RegionVersionKind() {
  return {.kind = "RegionVersion",
          .plural = "regionVersions",
          .pattern = "regions/*/versions/*",
          .parent_pattern = "regions/*",
          .columns = {{"NAME", "name"},
                      {"JURISDICTION", "jurisdiction"},
                      {"DISPLAY NAME", "display_name"},
                      {"SINCE", "create_time"},
                      {"MAKER", "maker"},
                      {"TRACE", "trace_id"}},
          .prototype = &scheduling_v1::RegionVersion::default_instance(),
          .list = Lister<Regions>(&Regions::Stub::ListRegionVersions)};
}

}  // namespace

std::vector<ResourceKind> NodeKinds() { return {NodeKind(), WorkerKind(), RegionKind(), RegionVersionKind()}; }

}  // namespace allod::cli::kinds
