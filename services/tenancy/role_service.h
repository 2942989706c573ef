// RPCs of RoleService. Thread-safe; borrows all that it is given. What changes roles returns when the gateways that
// keep up have applied it.
#pragma once

#include "allod/tenancy/v1/role.grpc.pb.h"
#include "services/common/clock.h"
#include "services/common/rpc/caller.h"
#include "services/tenancy/call_gates.h"
#include "services/tenancy/identity_service.h"
#include "services/tenancy/role_store.h"

namespace allod::tenancy {

class RoleServiceImpl final : public v1::RoleService::Service {
 public:
  RoleServiceImpl(RoleStore& store, IdentityServiceImpl& gateways, const Clock& clock, CallGates& gates)
      : store_(store), gateways_(gateways), clock_(clock), gates_(gates) {}

  grpc::Status CreateRole(grpc::ServerContext* context, const v1::CreateRoleRequest* request,
                          v1::Role* response) override;
  grpc::Status GetRole(grpc::ServerContext* context, const v1::GetRoleRequest* request, v1::Role* response) override;
  grpc::Status ListRoles(grpc::ServerContext* context, const v1::ListRolesRequest* request,
                         v1::ListRolesResponse* response) override;
  grpc::Status UpdateRole(grpc::ServerContext* context, const v1::UpdateRoleRequest* request,
                          v1::Role* response) override;
  grpc::Status DeleteRole(grpc::ServerContext* context, const v1::DeleteRoleRequest* request,
                          google::protobuf::Empty* response) override;

 private:
  // What the change would leave, without making it.
  Result<TenantRole> JudgeCreation(const TenantRole& wanted);
  Result<TenantRole> JudgeUpdate(const TenantRole& wanted, const std::string& etag, const Rights& held);

  RoleStore& store_;
  IdentityServiceImpl& gateways_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::tenancy
