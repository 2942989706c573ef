// RPCs of TenantService. Thread-safe; borrows the store, the feed and the clock. A watcher holds one server thread;
// there may be kWatchersMax. What changes a tenant returns when the watchers that keep up have applied it
// (services/common/rpc/watchers.h).
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "allod/tenancy/v1/tenant.grpc.pb.h"
#include "services/common/clock.h"
#include "services/common/rpc/call.h"
#include "services/common/rpc/watchers.h"
#include "services/tenancy/await_in_force.h"
#include "services/tenancy/call_gates.h"
#include "services/tenancy/store.h"
#include "services/tenancy/tenant_feed.h"

namespace allod::tenancy {

class TenantServiceImpl final : public v1::TenantService::Service {
 public:
  static constexpr int kWatchersMax = 8;
  // Returns when gateways have the tenant's keys and what its workloads may as they are at the versions of the change,
  // or when it is time.
  using AwaitCredentials = std::function<void(const TenantStateChange& change, SteadyTime until)>;

  // `home` is the jurisdiction in which the installation stands, `grace_min` the shortest grace of a deletion.
  TenantServiceImpl(Store& store, TenantFeed& feed, const Clock& clock, CallGates& gates, std::string home,
                    AwaitCredentials await_credentials, std::chrono::seconds grace_min = kGraceMin)
      : store_(store),
        feed_(feed),
        clock_(clock),
        gates_(gates),
        home_(std::move(home)),
        await_credentials_(std::move(await_credentials)),
        grace_min_(grace_min) {}

  grpc::Status CreateTenant(grpc::ServerContext* context, const v1::CreateTenantRequest* request,
                            v1::Tenant* response) override;
  grpc::Status GetTenant(grpc::ServerContext* context, const v1::GetTenantRequest* request,
                         v1::Tenant* response) override;
  grpc::Status UpdateTenant(grpc::ServerContext* context, const v1::UpdateTenantRequest* request,
                            v1::Tenant* response) override;
  grpc::Status SuspendTenant(grpc::ServerContext* context, const v1::SuspendTenantRequest* request,
                             v1::Tenant* response) override;
  grpc::Status ResumeTenant(grpc::ServerContext* context, const v1::ResumeTenantRequest* request,
                            v1::Tenant* response) override;
  grpc::Status DeleteTenant(grpc::ServerContext* context, const v1::DeleteTenantRequest* request,
                            v1::Tenant* response) override;
  grpc::Status UndeleteTenant(grpc::ServerContext* context, const v1::UndeleteTenantRequest* request,
                              v1::Tenant* response) override;
  grpc::Status ListTenants(grpc::ServerContext* context, const v1::ListTenantsRequest* request,
                           v1::ListTenantsResponse* response) override;
  grpc::Status WatchTenants(grpc::ServerContext* context, const v1::WatchTenantsRequest* request,
                            grpc::ServerWriter<v1::WatchTenantsResponse>* writer) override;
  grpc::Status AcknowledgeTenants(grpc::ServerContext* context, const v1::AcknowledgeTenantsRequest* request,
                                  v1::AcknowledgeTenantsResponse* response) override;

  // For a process that takes the place of another.
  void ExpectWatchers() { watchers_.ExpectFor(Watchers::kReconnection); }

 private:
  // What CreateTenant would answer, without doing it.
  Result<Tenant> Judge(const Tenant& wanted);
  // Of one that is to be below none: what begins as a tenant's id is for those below that. INVALID_ARGUMENT /
  // INVALID_ID.
  Status CheckIdOfItsOwn(const Tenant& wanted);
  Result<Tenant> JudgeUpdate(const Tenant& wanted, const std::string& etag, Setter by);
  // Whether `wanted` may be below its parent; none: it is below none. `before` as in CheckWithinParent().
  Status JudgeBelow(const Tenant& wanted, const Tenant* before, const std::optional<Tenant>& parent);
  Result<std::optional<Tenant>> ParentOf(const Tenant& tenant);
  Result<v1::Tenant> SetState(const grpc::ServerContext& context, const Call& call, const std::string& name,
                              TenantState state, const std::string& reason, const RequestId& request_id);
  // Makes a change of a tenant's state, and returns when it is in force, or when it is time.
  Result<v1::Tenant> ChangeState(const grpc::ServerContext& context, const Call& call,
                                 const std::function<Result<TenantStateChange>()>& change);
  // Returns when scheduling has tenants as they are at the version, or when it is time.
  void AwaitInForce(SteadyTime until, std::int64_t version);
  // And when gateways have a tenant's limits, and where it is.
  void AwaitLimits(SteadyTime until, const Tenant& tenant);
  Status Watch(grpc::ServerContext& context, Watchers::Place place,
               grpc::ServerWriter<v1::WatchTenantsResponse>& writer);

  Store& store_;
  TenantFeed& feed_;
  const Clock& clock_;
  CallGates& gates_;
  const std::string home_;
  const AwaitCredentials await_credentials_;
  const std::chrono::seconds grace_min_;
  Watchers watchers_{"tenants", kWatchersMax};
};

}  // namespace allod::tenancy
