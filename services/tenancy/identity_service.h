// RPCs of IdentityService, which gateways follow, and the wait for them. Thread-safe; borrows the feed and the secrets.
// A watcher holds one server thread; there may be kWatchersMax, further ones get RESOURCE_EXHAUSTED /
// TOO_MANY_WATCHERS.
#pragma once

#include <string>

#include "allod/tenancy/v1/identity.grpc.pb.h"
#include "services/common/rpc/watchers.h"
#include "services/tenancy/await_in_force.h"
#include "services/tenancy/client_secrets.h"
#include "services/tenancy/identity_feed.h"

namespace allod::tenancy {

class IdentityServiceImpl final : public v1::IdentityService::Service {
 public:
  static constexpr int kWatchersMax = 32;

  IdentityServiceImpl(IdentityFeed& feed, const ClientSecrets& secrets) : feed_(feed), secrets_(secrets) {}

  // Returns when gateways have what the store has of the tenant at `version`, or when the wait ran out.
  void AwaitInForce(const grpc::ServerContext& context, const std::string& tenant, std::int64_t version);
  void AwaitInForce(SteadyTime until, const std::string& tenant, std::int64_t version);
  // There is news that others will wait for.
  void Notify() { feed_.Notify(); }
  // For a process that takes the place of another.
  void ExpectWatchers() { watchers_.ExpectFor(Watchers::kReconnection); }

  grpc::Status WatchIdentities(grpc::ServerContext* context, const v1::WatchIdentitiesRequest* request,
                               grpc::ServerWriter<v1::WatchIdentitiesResponse>* writer) override;
  grpc::Status AcknowledgeIdentities(grpc::ServerContext* context, const v1::AcknowledgeIdentitiesRequest* request,
                                     v1::AcknowledgeIdentitiesResponse* response) override;

 private:
  Status Watch(grpc::ServerContext& context, Watchers::Place place,
               grpc::ServerWriter<v1::WatchIdentitiesResponse>& writer);

  IdentityFeed& feed_;
  const ClientSecrets& secrets_;
  Watchers watchers_{"identities", kWatchersMax};
};

}  // namespace allod::tenancy
