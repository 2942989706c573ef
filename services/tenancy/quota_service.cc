#include "services/tenancy/quota_service.h"

#include "services/common/rpc/server.h"
#include "services/tenancy/convert.h"

namespace allod::tenancy {

grpc::Status QuotaServiceImpl::GetQuotaUse(grpc::ServerContext* context, const v1::GetQuotaUseRequest* request,
                                           v1::GetQuotaUseResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::GetQuotaUseResponse> {
    ProjectName name;
    if (const auto tenant = TenantIdOf("parent", request->parent())) {
      name.tenant = *tenant;
    } else {
      ALLOD_TRY(name, ProjectNameOf("parent", request->parent()));
    }
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const QuotaState state, store_.ReadQuotas(name.tenant, name.project, clock_.Now()));
    return ToProto(state, !name.project.empty());
  });
}

}  // namespace allod::tenancy
