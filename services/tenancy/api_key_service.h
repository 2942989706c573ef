// RPCs of ApiKeyService. Thread-safe; borrows the store, the feed and the clock. A watcher holds one server thread;
// there may be kWatchersMax, further ones get RESOURCE_EXHAUSTED / TOO_MANY_WATCHERS.
#pragma once

#include <atomic>
#include <string>

#include "allod/tenancy/v1/api_key.grpc.pb.h"
#include "services/common/clock.h"
#include "services/tenancy/key_feed.h"
#include "services/tenancy/store.h"

namespace allod::tenancy {

class ApiKeyServiceImpl final : public v1::ApiKeyService::Service {
 public:
  static constexpr int kWatchersMax = 32;

  // `pepper` keys the digests of secrets; gateways hold the same.
  ApiKeyServiceImpl(Store& store, KeyFeed& feed, const Clock& clock, std::string pepper)
      : store_(store), feed_(feed), clock_(clock), pepper_(std::move(pepper)) {}

  grpc::Status CreateApiKey(grpc::ServerContext* context, const v1::CreateApiKeyRequest* request,
                            v1::CreateApiKeyResponse* response) override;
  grpc::Status ListApiKeys(grpc::ServerContext* context, const v1::ListApiKeysRequest* request,
                           v1::ListApiKeysResponse* response) override;
  grpc::Status RevokeApiKey(grpc::ServerContext* context, const v1::RevokeApiKeyRequest* request,
                            google::protobuf::Empty* response) override;
  grpc::Status WatchApiKeys(grpc::ServerContext* context, const v1::WatchApiKeysRequest* request,
                            grpc::ServerWriter<v1::WatchApiKeysResponse>* writer) override;

 private:
  Status Watch(grpc::ServerContext& context, grpc::ServerWriter<v1::WatchApiKeysResponse>& writer);

  Store& store_;
  KeyFeed& feed_;
  const Clock& clock_;
  const std::string pepper_;
  std::atomic<int> watchers_ = 0;
};

}  // namespace allod::tenancy
