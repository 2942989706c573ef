#include "services/billing/analysis/usage_report_service.h"

#include "services/billing/analysis/convert_report.h"
#include "services/billing/convert.h"
#include "services/common/rpc/access.h"
#include "services/common/rpc/server.h"

namespace allod::billing::analysis {

grpc::Status UsageReportServiceImpl::QueryUsage(grpc::ServerContext* context, const v1::QueryUsageRequest* request,
                                                v1::QueryUsageResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::QueryUsageResponse> {
    ALLOD_TRY(const UsageReportPage page, FromProto(*request, call.principal.project, clock_.Now()));
    // They are of the tenant; to a key of another project than its own they do not exist.
    for (const std::string& name : {request->project(), request->instance(), request->api_key()}) {
      if (!name.empty() && !MaySee(call.principal, name)) return NoSuchResource();
    }
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reports, call));
    ALLOD_TRY(const UsageReport report, store_.Report(page.query));
    return ToProto(report, page, request->parent());
  });
}

grpc::Status UsageReportServiceImpl::RebuildUsageReports(grpc::ServerContext* context,
                                                         const v1::RebuildUsageReportsRequest* request,
                                                         v1::RebuildUsageReportsResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::RebuildUsageReportsResponse> {
    ALLOD_TRY(const TenantId tenant, ParseTenant("parent", request->parent()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reports, call));
    ALLOD_TRY(const std::int64_t count, store_.Rebuild(tenant));
    v1::RebuildUsageReportsResponse out;
    out.set_usage_record_count(count);
    return out;
  });
}

}  // namespace allod::billing::analysis
