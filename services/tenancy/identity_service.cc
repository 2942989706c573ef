#include "services/tenancy/identity_service.h"

#include <algorithm>

#include "services/common/rpc/server.h"
#include "services/tenancy/convert_identity.h"

namespace allod::tenancy {
namespace {

// A message has no tenant more once this is reached, or would be passed. The largest tenant is about 3.5 MB (rules 2,
// members 1, ended sessions 0.5), and a message may have 4.
constexpr std::size_t kMessageBytes = 256 << 10;
// How long a watcher whose client has gone may hold its thread.
constexpr std::chrono::milliseconds kWatcherCheckInterval{100};

}  // namespace

void IdentityServiceImpl::AwaitInForce(const grpc::ServerContext& context, const std::string& tenant,
                                       std::int64_t version) {
  AwaitInForce(AwaitUntil(context), tenant, version);
}

void IdentityServiceImpl::AwaitInForce(SteadyTime until, const std::string& tenant, std::int64_t version) {
  tenancy::AwaitInForce(watchers_, feed_, tenant, version, until);
}

grpc::Status IdentityServiceImpl::WatchIdentities(grpc::ServerContext* context,
                                                  const v1::WatchIdentitiesRequest* request,
                                                  grpc::ServerWriter<v1::WatchIdentitiesResponse>* writer) {
  return HandleStream(context, request, [&](const Call&) -> Status {
    ALLOD_TRY(Watchers::Place place, watchers_.Join(request->watcher_id()));
    return Watch(*context, std::move(place), *writer);
  });
}

Status IdentityServiceImpl::Watch(grpc::ServerContext& context, Watchers::Place place,
                                  grpc::ServerWriter<v1::WatchIdentitiesResponse>& writer) {
  std::optional<IdentityFeed::Position> position;
  while (!context.IsCancelled()) {
    const IdentityFeed::Batch batch = feed_.Next(position, kWatcherCheckInterval);
    if (batch.stopped) return Fail(Code::kUnavailable, "SHUTTING_DOWN", "the service is stopping; connect again");
    if (!batch.news) continue;
    position = batch.position;
    v1::WatchIdentitiesResponse message;
    std::size_t bytes = 0;
    for (const auto& known : batch.tenants) {
      auto tenant = ToProto(*known, secrets_);
      const std::size_t more = tenant.ByteSizeLong();
      if (bytes > 0 && bytes + more > kMessageBytes) {
        if (!writer.Write(message)) return {};
        message.Clear();
        bytes = 0;
      }
      *message.add_tenants() = std::move(tenant);
      bytes += more;
    }
    // Every batch ends in a message that says so, also an empty one.
    message.set_synced(true);
    message.set_version(position->version);
    place.Sending(position->version);
    if (!writer.Write(message)) return {};
  }
  return {};
}

grpc::Status IdentityServiceImpl::AcknowledgeIdentities(grpc::ServerContext* context,
                                                        const v1::AcknowledgeIdentitiesRequest* request,
                                                        v1::AcknowledgeIdentitiesResponse* response) {
  return Handle(context, request, response, [&](const Call&) -> Result<v1::AcknowledgeIdentitiesResponse> {
    ALLOD_CHECK_OK(watchers_.Acknowledge(request->watcher_id(), request->version()));
    return v1::AcknowledgeIdentitiesResponse();
  });
}

}  // namespace allod::tenancy
