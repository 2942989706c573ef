#include "services/tenancy/api_key_service.h"

#include <fmt/format.h>

#include "services/common/rpc/request_id.h"
#include "services/common/rpc/server.h"
#include "services/tenancy/convert.h"

namespace allod::tenancy {
namespace {

constexpr int kKeysPerMessage = 500;

// How long a watcher whose client has gone may hold its thread.
constexpr std::chrono::milliseconds kCancelCheckInterval{500};

}  // namespace

grpc::Status ApiKeyServiceImpl::CreateApiKey(grpc::ServerContext* context, const v1::CreateApiKeyRequest* request,
                                             v1::CreateApiKeyResponse* response) {
  return Handle("tenancy.CreateApiKey", context, request, response,
                [&](const Caller& caller) -> Result<v1::CreateApiKeyResponse> {
                  ALLOD_CHECK_OK(RequireTenant(caller, request->parent()));
                  ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
                  ALLOD_TRY(ApiKey key, ApiKeyFromRequest(*request, clock_.Now()));
                  const ApiKeyText text = NewApiKey();
                  key.kid = text.kid;
                  key.digest = DigestApiKeySecret(pepper_, text.secret);
                  ALLOD_TRY(const ApiKeyCreation creation, store_.CreateApiKey(key, request_id));
                  feed_.Notify();
                  v1::CreateApiKeyResponse out;
                  *out.mutable_api_key() = ToProto(creation.key);
                  if (creation.created) out.set_secret(FormatApiKey(text));
                  return out;
                });
}

grpc::Status ApiKeyServiceImpl::ListApiKeys(grpc::ServerContext* context, const v1::ListApiKeysRequest* request,
                                            v1::ListApiKeysResponse* response) {
  return Handle("tenancy.ListApiKeys", context, request, response,
                [&](const Caller& caller) -> Result<v1::ListApiKeysResponse> {
                  ALLOD_TRY(const ProjectName parent, ProjectNameOf("parent", request->parent()));
                  ALLOD_CHECK_OK(RequireTenant(caller, request->parent()));
                  ALLOD_TRY(const PageRequest page,
                            ParsePage(request->parent() + "/apiKeys", request->page_size(), request->page_token()));
                  ALLOD_TRY(const auto keys, store_.ListApiKeys(parent.tenant, parent.project, page));
                  v1::ListApiKeysResponse out;
                  for (const ApiKey& key : keys.items) *out.add_api_keys() = ToProto(key);
                  out.set_next_page_token(keys.next_page_token);
                  return out;
                });
}

grpc::Status ApiKeyServiceImpl::RevokeApiKey(grpc::ServerContext* context, const v1::RevokeApiKeyRequest* request,
                                             google::protobuf::Empty* response) {
  return Handle("tenancy.RevokeApiKey", context, request, response,
                [&](const Caller& caller) -> Result<google::protobuf::Empty> {
                  ALLOD_TRY(const auto parts, MatchName("name", request->name(), "tenants/*/projects/*/apiKeys/*"));
                  ALLOD_CHECK_OK(RequireTenant(caller, request->name()));
                  ALLOD_CHECK_OK(store_.RevokeApiKey(parts[0], parts[1], parts[2], clock_.Now()));
                  feed_.Notify();
                  return google::protobuf::Empty();
                });
}

grpc::Status ApiKeyServiceImpl::WatchApiKeys(grpc::ServerContext* context, const v1::WatchApiKeysRequest*,
                                             grpc::ServerWriter<v1::WatchApiKeysResponse>* writer) {
  return HandleStream("tenancy.WatchApiKeys", context, [&](const Caller& caller) -> Status {
    ALLOD_CHECK_OK(RequireService(caller));
    Status status = ++watchers_ > kWatchersMax
                        ? Status(Fail(Code::kResourceExhausted, "TOO_MANY_WATCHERS",
                                      fmt::format("{} watchers are connected already; try again", kWatchersMax)))
                        : Watch(*context, *writer);
    --watchers_;
    return status;
  });
}

Status ApiKeyServiceImpl::Watch(grpc::ServerContext& context, grpc::ServerWriter<v1::WatchApiKeysResponse>& writer) {
  std::optional<std::uint64_t> revision;
  while (!context.IsCancelled()) {
    const KeyFeed::Batch batch = feed_.Next(revision, kCancelCheckInterval);
    if (batch.stopped) return Fail(Code::kUnavailable, "SHUTTING_DOWN", "the service is stopping; connect again");
    if (!batch.loaded || (revision && batch.changes.empty())) continue;
    revision = batch.revision;
    v1::WatchApiKeysResponse message;
    for (const KeyChange& change : batch.changes) {
      *message.add_keys() = ToProto(change);
      if (message.keys_size() < kKeysPerMessage) continue;
      if (!writer.Write(message)) return {};
      message.Clear();
    }
    // Every batch ends in a message that says so, also an empty first one.
    message.set_synced(true);
    if (!writer.Write(message)) return {};
  }
  return {};
}

}  // namespace allod::tenancy
