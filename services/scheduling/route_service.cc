#include "services/scheduling/route_service.h"

#include "services/common/fault_point.h"
#include "services/common/rpc/server.h"
#include "services/scheduling/convert.h"

namespace allod::scheduling {
namespace {

// How soon a cancelled stream is noticed.
constexpr std::chrono::milliseconds kLookEvery{100};
constexpr int kRoutesPerMessage = 500;

using Writer = grpc::ServerWriter<v1::WatchRoutesResponse>;

// For a watcher that was there before changes were sent.
bool WriteWhole(const RouteTable& table, Writer& writer) {
  v1::WatchRoutesResponse message;
  for (const Route& route : table) *message.add_routes() = ToProto(route);
  return writer.Write(message);
}

// What became of `before`; the last message completes `version`.
bool WriteChanges(const RouteTable& before, const RouteTable& now, std::uint64_t version, Watchers::Place& place,
                  Writer& writer) {
  const RouteChanges changes = ChangesBetween(before, now);
  v1::WatchRoutesResponse message;
  message.set_version(static_cast<std::int64_t>(version));
  const auto send_full = [&] {
    if (message.routes_size() + message.removed_instances_size() < kRoutesPerMessage) return true;
    const bool sent = writer.Write(message);
    message.clear_routes();
    message.clear_removed_instances();
    return sent;
  };
  for (const std::string& instance : changes.removed) {
    message.add_removed_instances(instance);
    if (!send_full()) return false;
  }
  for (const Route* route : changes.routes) {
    *message.add_routes() = ToProto(*route);
    if (!send_full()) return false;
  }
  message.set_synced(true);
  place.Sending(message.version());
  return writer.Write(message);
}

}  // namespace

grpc::Status RouteServiceImpl::WatchRoutes(grpc::ServerContext* context, const v1::WatchRoutesRequest* request,
                                           Writer* writer) {
  return HandleStream(context, request, [&](const Call&) -> Status {
    ALLOD_TRY(Watchers::Place place, gateways_.Join(request->watcher_id()));
    std::uint64_t version = 0;
    auto sent = std::make_shared<const RouteTable>();
    while (!context->IsCancelled()) {
      if (stopping_) return Fail(Code::kUnavailable, "STOPPING", "the service stops: reconnect");
      const auto seen = routes_.Await(version, kLookEvery);
      if (seen.version == version) continue;
      ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kRoutesPushing));
      const bool written = request->watcher_id().empty()
                               ? WriteWhole(*seen.value, *writer)
                               : WriteChanges(*sent, *seen.value, seen.version, place, *writer);
      if (!written) break;
      ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kRoutesPushed));
      version = seen.version;
      sent = seen.value;
    }
    return {};
  });
}

grpc::Status RouteServiceImpl::AcknowledgeRoutes(grpc::ServerContext* context,
                                                 const v1::AcknowledgeRoutesRequest* request,
                                                 v1::AcknowledgeRoutesResponse* response) {
  return Handle(context, request, response, [&](const Call&) -> Result<v1::AcknowledgeRoutesResponse> {
    ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kRoutesAcknowledged));
    ALLOD_CHECK_OK(gateways_.Acknowledge(request->watcher_id(), request->version()));
    return v1::AcknowledgeRoutesResponse();
  });
}

}  // namespace allod::scheduling
