#include "services/scheduling/node_agent_service.h"

#include <fmt/format.h>

#include "services/common/rpc/server.h"
#include "services/scheduling/convert.h"

namespace allod::scheduling {
namespace {

// How soon a cancelled stream is noticed.
constexpr std::chrono::milliseconds kLookEvery{200};
constexpr int kResidentModelsMax = 256;

}  // namespace

Status NodeAgentServiceImpl::Watch(const grpc::ServerContext& context, const v1::WatchAssignmentsRequest& request,
                                   grpc::ServerWriter<v1::WatchAssignmentsResponse>& writer) {
  ALLOD_TRY(const scheduler::Node node, NodeFrom(request));
  ALLOD_TRY(const std::int64_t epoch, store_.JoinNode(node));
  ALLOD_CHECK_OK(driver_.Join(node, epoch, clock_.Now()));
  Log(LogLevel::kInfo, "node joined",
      {{"node", node.id}, {"region", node.region}, {"jurisdiction", node.jurisdiction}});
  std::uint64_t version = 0;
  while (!context.IsCancelled()) {
    const auto update = driver_.AwaitSet(node.id, epoch, version, kLookEvery);
    if (update.stopped) return Fail(Code::kUnavailable, "STOPPING", "the service stops: reconnect");
    if (update.ended) {
      return Fail(Code::kAborted, "SESSION_REPLACED",
                  fmt::format("nodes/{} connected again on another stream", node.id));
    }
    version = update.version;
    if (!update.workers) continue;
    v1::WatchAssignmentsResponse set;
    for (const auto& worker : *update.workers) *set.add_assignments() = ToProto(worker);
    if (!writer.Write(set)) break;
  }
  return {};
}

grpc::Status NodeAgentServiceImpl::WatchAssignments(grpc::ServerContext* context,
                                                    const v1::WatchAssignmentsRequest* request,
                                                    grpc::ServerWriter<v1::WatchAssignmentsResponse>* writer) {
  return HandleStream(context, request, [&](const Call&) { return Watch(*context, *request, *writer); });
}

grpc::Status NodeAgentServiceImpl::ReportWorkers(grpc::ServerContext* context, const v1::ReportWorkersRequest* request,
                                                 v1::ReportWorkersResponse* response) {
  return Handle(context, request, response, [&](const Call&) -> Result<v1::ReportWorkersResponse> {
    ALLOD_TRY(const auto id, MatchName("node", request->node(), "nodes/*"));
    std::vector<drivers::ObservedWorker> workers;
    for (const auto& report : request->workers()) {
      auto worker = WorkerFrom(report);
      if (worker) {
        workers.push_back(*std::move(worker));
      } else {
        Log(LogLevel::kError, "a node reports a worker of nobody",
            {{"node", id[0]}, {"error", worker.error().message}});
      }
    }
    if (request->resident_models_size() > kResidentModelsMax) {
      return InvalidArgument("INVALID_REPORT", fmt::format("{} resident models; at most {}",
                                                           request->resident_models_size(), kResidentModelsMax));
    }
    ALLOD_CHECK_OK(driver_.Report(id[0], workers, clock_.Now()));
    figures_.Put(request->node(), *request);
    return v1::ReportWorkersResponse();
  });
}

}  // namespace allod::scheduling
