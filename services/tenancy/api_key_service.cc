#include "services/tenancy/api_key_service.h"

#include <algorithm>
#include <utility>

#include "services/common/log.h"
#include "services/common/rpc/request_id.h"
#include "services/common/rpc/server.h"
#include "services/common/set_aside.h"
#include "services/tenancy/convert.h"
#include "services/tenancy/maker.h"
#include "services/tenancy/message_cutter.h"

namespace allod::tenancy {
namespace {

// How long a watcher whose client has gone may hold its thread.
constexpr std::chrono::milliseconds kCancelCheckInterval{100};

}  // namespace

void ApiKeyServiceImpl::AwaitInForce(const grpc::ServerContext& context, const std::string& tenant,
                                     std::int64_t version) {
  AwaitInForce(AwaitUntil(context), tenant, version);
}

void ApiKeyServiceImpl::AwaitInForce(SteadyTime until, const std::string& tenant, std::int64_t version) {
  tenancy::AwaitInForce(watchers_, feed_, tenant, version, until);
}

grpc::Status ApiKeyServiceImpl::CreateApiKey(grpc::ServerContext* context, const v1::CreateApiKeyRequest* request,
                                             v1::CreateApiKeyResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::CreateApiKeyResponse> {
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    ALLOD_TRY(ApiKey key, ApiKeyFromRequest(*request, HeldBy(call.principal), clock_.Now()));
    ALLOD_TRY(const Maker maker, MakerOf(call.principal));
    const ApiKeyText text = NewApiKey();
    key.kid = text.kid;
    key.digest = DigestApiKeySecret(pepper_, text.secret);
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
    ALLOD_TRY(const ApiKeyCreation creation,
              InTurn(gates_.writes, call, [&] { return store_.CreateApiKey(key, request_id, maker); }));
    AwaitInForce(*context, key.tenant, creation.version);
    v1::CreateApiKeyResponse out;
    *out.mutable_api_key() = ToProto(creation.key);
    if (creation.created) out.set_secret(FormatApiKey(text));
    return out;
  });
}

grpc::Status ApiKeyServiceImpl::RotateApiKey(grpc::ServerContext* context, const v1::RotateApiKeyRequest* request,
                                             v1::RotateApiKeyResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::RotateApiKeyResponse> {
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    ALLOD_TRY(KeyRotation rotation, RotationFromRequest(*request, clock_.Now()));
    ALLOD_TRY(const Maker maker, MakerOf(call.principal));
    rotation.held = HeldBy(call.principal);
    const ApiKeyText text = NewApiKey();
    rotation.successor_kid = text.kid;
    rotation.successor_digest = DigestApiKeySecret(pepper_, text.secret);
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
    ALLOD_TRY(const ApiKeyCreation creation,
              InTurn(gates_.writes, call, [&] { return store_.RotateApiKey(rotation, request_id, maker); }));
    AwaitInForce(*context, rotation.tenant, creation.version);
    v1::RotateApiKeyResponse out;
    *out.mutable_api_key() = ToProto(creation.key);
    if (creation.created) out.set_secret(FormatApiKey(text));
    return out;
  });
}

grpc::Status ApiKeyServiceImpl::ReportApiKeyUse(grpc::ServerContext* context, const v1::ReportApiKeyUseRequest* request,
                                                v1::ReportApiKeyUseResponse* response) {
  return Handle(context, request, response, [&](const Call&) -> Result<v1::ReportApiKeyUseResponse> {
    ALLOD_TRY(const auto uses, UsesFromRequest(*request, clock_.Now()));
    for (const auto& [tenant, of_tenant] : uses) {
      const Status recorded = store_.RecordKeyUse(tenant, of_tenant);
      if (recorded) continue;
      if (ConcernsEverybody(recorded.error())) return std::unexpected(recorded.error());
      // One tenant's trouble keeps nobody else's times from being known.
      Log(LogLevel::kWarning, "cannot record when API keys were used",
          {{"tenant", "tenants/" + tenant}, {"error", recorded.error().message}});
    }
    return v1::ReportApiKeyUseResponse();
  });
}

grpc::Status ApiKeyServiceImpl::ListApiKeys(grpc::ServerContext* context, const v1::ListApiKeysRequest* request,
                                            v1::ListApiKeysResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListApiKeysResponse> {
    ALLOD_TRY(const ProjectName parent, ProjectNameOf("parent", request->parent()));
    ALLOD_TRY(const PageRequest page,
              ParsePage(request->parent() + "/apiKeys", request->page_size(), request->page_token()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const auto keys, store_.ListApiKeys(parent.tenant, parent.project, page));
    v1::ListApiKeysResponse out;
    for (const ApiKey& key : keys.items) *out.add_api_keys() = ToProto(key);
    out.set_next_page_token(keys.next_page_token);
    return out;
  });
}

grpc::Status ApiKeyServiceImpl::RevokeApiKey(grpc::ServerContext* context, const v1::RevokeApiKeyRequest* request,
                                             google::protobuf::Empty* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<google::protobuf::Empty> {
    ALLOD_TRY(const auto parts, MatchName("name", request->name(), "tenants/*/projects/*/apiKeys/*"));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
    ALLOD_TRY(const std::int64_t version, InTurn(gates_.writes, call, [&] {
                return store_.RevokeApiKey(parts[0], parts[1], parts[2], clock_.Now());
              }));
    AwaitInForce(*context, parts[0], version);
    return google::protobuf::Empty();
  });
}

grpc::Status ApiKeyServiceImpl::WatchApiKeys(grpc::ServerContext* context, const v1::WatchApiKeysRequest* request,
                                             grpc::ServerWriter<v1::WatchApiKeysResponse>* writer) {
  return HandleStream(context, request, [&](const Call&) -> Status {
    ALLOD_TRY(Watchers::Place place, watchers_.Join(request->watcher_id()));
    return Watch(*context, std::move(place), *writer);
  });
}

Status ApiKeyServiceImpl::Watch(grpc::ServerContext& context, Watchers::Place place,
                                grpc::ServerWriter<v1::WatchApiKeysResponse>& writer) {
  std::optional<KeyFeed::Position> position;
  while (!context.IsCancelled()) {
    const KeyFeed::Batch batch = feed_.Next(position, kCancelCheckInterval);
    if (batch.stopped) return Fail(Code::kUnavailable, "SHUTTING_DOWN", "the service is stopping; connect again");
    if (!batch.news) continue;
    if (batch.behind) return Fail(Code::kAborted, "WATCHER_TOO_SLOW", "too much was missed; connect again");
    position = batch.position;
    MessageCutter cutter(writer);
    v1::WatchApiKeysResponse& message = cutter.message();
    const auto add_standings = [&](bool in_force) {
      for (const auto& known : batch.standings) {
        if ((known->standing == KeysStanding::kInForce) != in_force) continue;
        auto standing = ToProto(*known);
        if (!cutter.MakeRoom(standing)) return false;
        *message.add_tenant_standings() = std::move(standing);
      }
      return true;
    };
    // So that no key is let in between two messages.
    if (!add_standings(false)) return {};
    for (const auto& known : batch.limits) {
      auto limits = ToProto(*known);
      if (!cutter.MakeRoom(limits)) return {};
      *message.add_tenant_limits() = std::move(limits);
    }
    for (const auto& change : batch.changes) {
      auto key = ToProto(*change);
      if (!cutter.MakeRoom(key)) return {};
      *message.add_keys() = std::move(key);
    }
    if (!add_standings(true)) return {};
    // Every batch ends in a message that says so, also an empty one.
    message.set_synced(true);
    message.set_version(position->version);
    place.Sending(position->version);
    if (!writer.Write(message)) return {};
  }
  return {};
}

grpc::Status ApiKeyServiceImpl::AcknowledgeApiKeys(grpc::ServerContext* context,
                                                   const v1::AcknowledgeApiKeysRequest* request,
                                                   v1::AcknowledgeApiKeysResponse* response) {
  return Handle(context, request, response, [&](const Call&) -> Result<v1::AcknowledgeApiKeysResponse> {
    ALLOD_CHECK_OK(watchers_.Acknowledge(request->watcher_id(), request->version()));
    return v1::AcknowledgeApiKeysResponse();
  });
}

}  // namespace allod::tenancy
