// RPCs of ApiKeyService. Thread-safe; borrows the store, the feed and the clock. A watcher holds one server thread;
// there may be kWatchersMax, further ones get RESOURCE_EXHAUSTED / TOO_MANY_WATCHERS. What changes keys returns when
// the watchers that keep up have applied it (services/common/rpc/watchers.h).
#pragma once

#include <string>

#include "allod/tenancy/v1/api_key.grpc.pb.h"
#include "services/common/clock.h"
#include "services/common/rpc/caller.h"
#include "services/common/rpc/watchers.h"
#include "services/tenancy/await_in_force.h"
#include "services/tenancy/call_gates.h"
#include "services/tenancy/key_feed.h"
#include "services/tenancy/store.h"

namespace allod::tenancy {

class ApiKeyServiceImpl final : public v1::ApiKeyService::Service {
 public:
  static constexpr int kWatchersMax = 32;

  // `pepper` keys the digests of secrets; gateways hold the same.
  ApiKeyServiceImpl(Store& store, KeyFeed& feed, const Clock& clock, CallGates& gates, std::string pepper)
      : store_(store), feed_(feed), clock_(clock), gates_(gates), pepper_(std::move(pepper)) {}

  grpc::Status CreateApiKey(grpc::ServerContext* context, const v1::CreateApiKeyRequest* request,
                            v1::CreateApiKeyResponse* response) override;
  grpc::Status ListApiKeys(grpc::ServerContext* context, const v1::ListApiKeysRequest* request,
                           v1::ListApiKeysResponse* response) override;
  grpc::Status RevokeApiKey(grpc::ServerContext* context, const v1::RevokeApiKeyRequest* request,
                            google::protobuf::Empty* response) override;
  grpc::Status RotateApiKey(grpc::ServerContext* context, const v1::RotateApiKeyRequest* request,
                            v1::RotateApiKeyResponse* response) override;
  grpc::Status ReportApiKeyUse(grpc::ServerContext* context, const v1::ReportApiKeyUseRequest* request,
                               v1::ReportApiKeyUseResponse* response) override;
  grpc::Status WatchApiKeys(grpc::ServerContext* context, const v1::WatchApiKeysRequest* request,
                            grpc::ServerWriter<v1::WatchApiKeysResponse>* writer) override;
  grpc::Status AcknowledgeApiKeys(grpc::ServerContext* context, const v1::AcknowledgeApiKeysRequest* request,
                                  v1::AcknowledgeApiKeysResponse* response) override;

  // Returns when gateways have what the store has of the tenant's keys at `version`, or when the wait ran out.
  void AwaitInForce(const grpc::ServerContext& context, const std::string& tenant, std::int64_t version);
  void AwaitInForce(SteadyTime until, const std::string& tenant, std::int64_t version);
  // There is news that others will wait for.
  void Notify() { feed_.Notify(); }
  // For a process that takes the place of another.
  void ExpectWatchers() { watchers_.ExpectFor(Watchers::kReconnection); }

 private:
  // What `request` asks for, by who has `held`.
  Result<ApiKey> KeyOf(const v1::CreateApiKeyRequest& request, const Held& held);
  Status Watch(grpc::ServerContext& context, Watchers::Place place,
               grpc::ServerWriter<v1::WatchApiKeysResponse>& writer);

  Store& store_;
  KeyFeed& feed_;
  const Clock& clock_;
  CallGates& gates_;
  const std::string pepper_;
  Watchers watchers_{"api_keys", kWatchersMax};
};

}  // namespace allod::tenancy
