// RPCs of WorkloadIdentityService, which gateways follow, and the wait for them. Thread-safe; borrows the feed. A
// watcher holds one server thread; there may be kWatchersMax, further ones get RESOURCE_EXHAUSTED / TOO_MANY_WATCHERS.
#pragma once

#include <string>

#include "allod/tenancy/v1/workload_identity.grpc.pb.h"
#include "services/common/rpc/watchers.h"
#include "services/tenancy/await_in_force.h"
#include "services/tenancy/identity_feed.h"

namespace allod::tenancy {

class WorkloadIdentityServiceImpl final : public v1::WorkloadIdentityService::Service {
 public:
  static constexpr int kWatchersMax = 32;

  explicit WorkloadIdentityServiceImpl(IdentityFeed& feed) : feed_(feed) {}

  // Returns when gateways have what the store has of the tenant at `version`, or when the wait ran out.
  void AwaitInForce(const grpc::ServerContext& context, const std::string& tenant, std::int64_t version);
  void AwaitInForce(SteadyTime until, const std::string& tenant, std::int64_t version);
  // There is news that others will wait for.
  void Notify() { feed_.Notify(); }
  // For a process that takes the place of another.
  void ExpectWatchers() { watchers_.ExpectFor(Watchers::kReconnection); }

  grpc::Status WatchWorkloadIdentities(grpc::ServerContext* context, const v1::WatchWorkloadIdentitiesRequest* request,
                                       grpc::ServerWriter<v1::WatchWorkloadIdentitiesResponse>* writer) override;
  grpc::Status AcknowledgeWorkloadIdentities(grpc::ServerContext* context,
                                             const v1::AcknowledgeWorkloadIdentitiesRequest* request,
                                             v1::AcknowledgeWorkloadIdentitiesResponse* response) override;

 private:
  Status Watch(grpc::ServerContext& context, Watchers::Place place,
               grpc::ServerWriter<v1::WatchWorkloadIdentitiesResponse>& writer);

  IdentityFeed& feed_;
  Watchers watchers_{"workload_identities", kWatchersMax};
};

}  // namespace allod::tenancy
