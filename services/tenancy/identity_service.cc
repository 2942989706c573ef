#include "services/tenancy/identity_service.h"

#include <utility>

#include "services/common/rpc/server.h"
#include "services/tenancy/convert_identity.h"
#include "services/tenancy/message_cutter.h"

namespace allod::tenancy {
namespace {

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
    // The largest tenant is about 3.5 MB: rules 2, members 1, ended sessions 0.5.
    MessageCutter cutter(writer);
    v1::WatchIdentitiesResponse& message = cutter.message();
    for (const auto& known : batch.tenants) {
      auto tenant = ToProto(*known, secrets_);
      if (!cutter.MakeRoom(tenant)) return {};
      *message.add_tenants() = std::move(tenant);
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
