#include "services/billing/instance_time/instance_time_service.h"

#include <fmt/format.h>

#include "services/billing/convert.h"
#include "services/billing/instance_time/convert_instance_time.h"
#include "services/common/fault_point.h"
#include "services/common/rpc/server.h"

namespace allod::billing::instance_time {

Result<v1::RecordInstanceTimeResponse> InstanceTimeServiceImpl::Record(const v1::RecordInstanceTimeRequest& request) {
  ALLOD_TRY(const TenantId tenant, ParseTenant("tenant", request.tenant()));
  if (static_cast<std::size_t>(request.intervals_size()) > kIntervalsPerReportMax) {
    return InvalidArgument("BATCH_TOO_LARGE", fmt::format("intervals: {} of them; at most {}", request.intervals_size(),
                                                          kIntervalsPerReportMax));
  }
  v1::RecordInstanceTimeResponse out;
  std::vector<InstanceInterval> intervals;
  std::vector<v1::RecordInstanceTimeResponse::Recorded*> answers;
  const auto refuse = [](const Error& error, v1::RecordInstanceTimeResponse::Recorded& answer) {
    answer.set_reason(error.reason);
    answer.set_message(error.message);
  };
  for (const v1::InstanceInterval& told : request.intervals()) {
    auto& answer = *out.add_recorded();
    auto interval = FromProto(told, request.tenant());
    if (!interval) {
      // One that makes no sense does not keep the others from being counted.
      refuse({Code::kInvalidArgument, "INVALID_INTERVAL", interval.error().message}, answer);
      continue;
    }
    intervals.push_back(*std::move(interval));
    answers.push_back(&answer);
  }
  ALLOD_TRY(const RecordedTime recorded, store_.RecordInstanceTime(tenant, intervals));
  ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kInstanceTimeCommitted));
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const auto& one = recorded.intervals[i];
    if (!one) refuse(one.error(), *answers[i]);
    if (one) answers[i]->set_costs(one->costs);
  }
  out.set_credit_used_up(recorded.credit_used_up);
  return out;
}

grpc::Status InstanceTimeServiceImpl::RecordInstanceTime(grpc::ServerContext* context,
                                                         const v1::RecordInstanceTimeRequest* request,
                                                         v1::RecordInstanceTimeResponse* response) {
  return Handle(context, request, response, [&](const Call&) { return Record(*request); });
}

grpc::Status InstanceTimeServiceImpl::ListInstanceTime(grpc::ServerContext* context,
                                                       const v1::ListInstanceTimeRequest* request,
                                                       v1::ListInstanceTimeResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListInstanceTimeResponse> {
    ALLOD_TRY(const InstanceTimePage page, FromProto(*request, call.principal.project, clock_.Now()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reports, call));
    ALLOD_TRY(const BillingAccount account, accounts_.GetBillingAccount(page.query.tenant));
    ALLOD_TRY(auto found, store_.ListInstanceTime(page.query));
    const auto listed = MakePage(page.page, std::move(found), PageKeyOf);
    v1::ListInstanceTimeResponse out;
    for (const InstanceTimeTotal& time : listed.items) *out.add_instance_time() = ToProto(time, account.currency_code);
    out.set_next_page_token(listed.next_page_token);
    return out;
  });
}

}  // namespace allod::billing::instance_time
