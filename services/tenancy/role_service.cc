#include "services/tenancy/role_service.h"

#include "proto/known_permissions.h"
#include "services/common/rpc/request_id.h"
#include "services/common/rpc/server.h"
#include "services/tenancy/convert_roles.h"
#include "services/tenancy/domain.h"
#include "services/tenancy/maker.h"

namespace allod::tenancy {

Result<TenantRole> RoleServiceImpl::JudgeCreation(const TenantRole& wanted) {
  ALLOD_TRY(const auto standing, store_.ListRoles(wanted.tenant, {"", kRolesPerTenantMax, ""}));
  for (const TenantRole& other : standing.items) {
    if (other.id != wanted.id) continue;
    if (SameContent(other, wanted)) return other;
    return std::unexpected(TakenByOtherContent(wanted.name()));
  }
  ALLOD_CHECK_OK(RoomForRole(wanted, static_cast<std::int64_t>(standing.items.size())));
  return wanted;
}

Result<TenantRole> RoleServiceImpl::JudgeUpdate(const TenantRole& wanted, const std::string& etag, const Rights& held) {
  ALLOD_TRY(const TenantRole standing, store_.GetRole(wanted.tenant, wanted.id));
  ALLOD_CHECK_OK(CheckEtag("role", wanted.name(), EtagOf(standing), etag));
  ALLOD_CHECK_OK(CheckHolds(standing, held));
  TenantRole out = wanted;
  out.uid = standing.uid;
  out.create_time = standing.create_time;
  out.version = standing.version;
  return out;
}

grpc::Status RoleServiceImpl::CreateRole(grpc::ServerContext* context, const v1::CreateRoleRequest* request,
                                         v1::Role* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Role> {
    ALLOD_TRY(TenantRole wanted, RoleFromRequest(*request, clock_.Now()));
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    ALLOD_TRY(wanted, ValidRole(std::move(wanted), KnownPermissions(), HeldBy(call.principal).roles));
    if (request->validate_only()) {
      ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
      ALLOD_TRY(const TenantRole judged, JudgeCreation(wanted));
      return ToProto(judged);
    }
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
    ALLOD_TRY(const TenantRole made,
              InTurn(gates_.writes, call, [&] { return store_.CreateRole(wanted, request_id); }));
    gateways_.AwaitInForce(*context, made.tenant, made.version);
    return ToProto(made);
  });
}

grpc::Status RoleServiceImpl::GetRole(grpc::ServerContext* context, const v1::GetRoleRequest* request,
                                      v1::Role* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Role> {
    ALLOD_TRY(const RoleName name, RoleNameOf("name", request->name()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const TenantRole role, store_.GetRole(name.tenant, name.id));
    return ToProto(role);
  });
}

grpc::Status RoleServiceImpl::ListRoles(grpc::ServerContext* context, const v1::ListRolesRequest* request,
                                        v1::ListRolesResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListRolesResponse> {
    ALLOD_TRY(const auto parts, MatchName("parent", request->parent(), "tenants/*"));
    ALLOD_TRY(const PageRequest page,
              ParsePage(request->parent() + "/roles", request->page_size(), request->page_token()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const auto roles, store_.ListRoles(parts[0], page));
    v1::ListRolesResponse out;
    for (const TenantRole& role : roles.items) *out.add_roles() = ToProto(role);
    out.set_next_page_token(roles.next_page_token);
    return out;
  });
}

grpc::Status RoleServiceImpl::UpdateRole(grpc::ServerContext* context, const v1::UpdateRoleRequest* request,
                                         v1::Role* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Role> {
    ALLOD_TRY(TenantRole wanted, RoleFromRequest(*request));
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    const std::string& etag = request->role().etag();
    const Rights held = HeldBy(call.principal).roles;
    ALLOD_TRY(wanted, ValidRole(std::move(wanted), KnownPermissions(), held));
    if (request->validate_only()) {
      ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
      ALLOD_TRY(const TenantRole judged, JudgeUpdate(wanted, etag, held));
      return ToProto(judged);
    }
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
    ALLOD_TRY(const TenantRole changed,
              InTurn(gates_.writes, call, [&] { return store_.UpdateRole(wanted, etag, held, request_id); }));
    gateways_.AwaitInForce(*context, changed.tenant, changed.version);
    return ToProto(changed);
  });
}

grpc::Status RoleServiceImpl::DeleteRole(grpc::ServerContext* context, const v1::DeleteRoleRequest* request,
                                         google::protobuf::Empty* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<google::protobuf::Empty> {
    ALLOD_TRY(const RoleName name, RoleNameOf("name", request->name()));
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    const Rights held = HeldBy(call.principal).roles;
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
    ALLOD_TRY(const std::int64_t version,
              InTurn(gates_.writes, call, [&] { return store_.DeleteRole(name.tenant, name.id, held, request_id); }));
    gateways_.AwaitInForce(*context, name.tenant, version);
    return google::protobuf::Empty();
  });
}

}  // namespace allod::tenancy
