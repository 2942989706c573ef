// RPCs of TenantService. Thread-safe; borrows the store and the clock.
#pragma once

#include "allod/tenancy/v1/tenant.grpc.pb.h"
#include "services/common/clock.h"
#include "services/tenancy/call_gates.h"
#include "services/tenancy/store.h"

namespace allod::tenancy {

class TenantServiceImpl final : public v1::TenantService::Service {
 public:
  TenantServiceImpl(Store& store, const Clock& clock, CallGates& gates) : store_(store), clock_(clock), gates_(gates) {}

  grpc::Status CreateTenant(grpc::ServerContext* context, const v1::CreateTenantRequest* request,
                            v1::Tenant* response) override;
  grpc::Status GetTenant(grpc::ServerContext* context, const v1::GetTenantRequest* request,
                         v1::Tenant* response) override;
  grpc::Status ListTenants(grpc::ServerContext* context, const v1::ListTenantsRequest* request,
                           v1::ListTenantsResponse* response) override;

 private:
  // What CreateTenant would answer, without doing it.
  Result<Tenant> Judge(const Tenant& wanted);

  Store& store_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::tenancy
