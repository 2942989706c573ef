#include "services/scheduling/route_service.h"

#include "services/common/rpc/server.h"
#include "services/scheduling/convert.h"

namespace allod::scheduling {
namespace {

// How soon a cancelled stream is noticed.
constexpr std::chrono::milliseconds kLookEvery{200};

}  // namespace

grpc::Status RouteServiceImpl::WatchRoutes(grpc::ServerContext* context, const v1::WatchRoutesRequest*,
                                           grpc::ServerWriter<v1::WatchRoutesResponse>* writer) {
  return HandleStream("scheduling.WatchRoutes", context, [&](const Caller& caller) -> Status {
    ALLOD_CHECK_OK(RequireService(caller));
    std::uint64_t version = 0;
    while (!context->IsCancelled()) {
      if (stopping_) return Fail(Code::kUnavailable, "STOPPING", "the service stops: reconnect");
      const auto seen = routes_.Await(version, kLookEvery);
      if (seen.version == version) continue;
      version = seen.version;
      if (!writer->Write(ToProto(*seen.value))) break;
    }
    return {};
  });
}

}  // namespace allod::scheduling
