#include "services/tenancy/tenant_service.h"

#include "services/common/rpc/request_id.h"
#include "services/common/rpc/server.h"
#include "services/tenancy/convert.h"

namespace allod::tenancy {

Result<Tenant> TenantServiceImpl::Judge(const Tenant& wanted) {
  const auto standing = store_.GetTenant(wanted.id);
  if (!standing && standing.error().code == Code::kNotFound) return wanted;
  if (standing && !SameContent(*standing, wanted)) return std::unexpected(TakenByOtherContent(wanted.name()));
  return standing;
}

grpc::Status TenantServiceImpl::CreateTenant(grpc::ServerContext* context, const v1::CreateTenantRequest* request,
                                             v1::Tenant* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Tenant> {
    ALLOD_TRY(const Tenant tenant, TenantFromRequest(*request, clock_.Now()));
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    if (request->validate_only()) {
      ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
      ALLOD_TRY(const Tenant judged, Judge(tenant));
      return ToProto(judged);
    }
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.writes, call));
    ALLOD_TRY(const Tenant created, store_.CreateTenant(tenant, request_id));
    return ToProto(created);
  });
}

grpc::Status TenantServiceImpl::GetTenant(grpc::ServerContext* context, const v1::GetTenantRequest* request,
                                          v1::Tenant* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Tenant> {
    ALLOD_TRY(const std::string id, TenantIdOf("name", request->name()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const Tenant tenant, store_.GetTenant(id));
    return ToProto(tenant);
  });
}

grpc::Status TenantServiceImpl::ListTenants(grpc::ServerContext* context, const v1::ListTenantsRequest* request,
                                            v1::ListTenantsResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListTenantsResponse> {
    ALLOD_TRY(const PageRequest page, ParsePage("tenants", request->page_size(), request->page_token()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const auto tenants, store_.ListTenants(page));
    v1::ListTenantsResponse out;
    for (const Tenant& tenant : tenants.items) *out.add_tenants() = ToProto(tenant);
    out.set_next_page_token(tenants.next_page_token);
    return out;
  });
}

}  // namespace allod::tenancy
