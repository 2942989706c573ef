#include "services/billing/usage_service.h"

#include "services/billing/convert.h"
#include "services/common/rpc/server.h"

namespace allod::billing {

grpc::Status UsageServiceImpl::Reserve(grpc::ServerContext* context, const v1::ReserveRequest* request,
                                       v1::ReserveResponse* response) {
  return Handle("billing.Reserve", context, request, response,
                [&](const Caller& caller) -> Result<v1::ReserveResponse> {
                  ALLOD_CHECK_OK(RequireService(caller));
                  ALLOD_TRY(const ReserveCommand command, FromProto(*request));
                  ALLOD_TRY(const CallGate::Pass pass, gates_.money.Enter(request->tenant()));
                  ALLOD_CHECK_OK(CheckDeadline(*context));  // it may have waited until nobody waits for it any more
                  ALLOD_TRY(const Reservation reservation, store_.Reserve(command, clock_.Now()));
                  v1::ReserveResponse out;
                  *out.mutable_held() = ToProto(reservation.hold, reservation.currency_code);
                  return out;
                });
}

grpc::Status UsageServiceImpl::Settle(grpc::ServerContext* context, const v1::SettleRequest* request,
                                      v1::UsageRecord* response) {
  return Handle("billing.Settle", context, request, response, [&](const Caller& caller) -> Result<v1::UsageRecord> {
    ALLOD_CHECK_OK(RequireService(caller));
    ALLOD_TRY(const SettleCommand command, FromProto(*request));
    ALLOD_TRY(const CallGate::Pass pass, gates_.money.Enter(request->tenant()));
    ALLOD_TRY(const UsageRecord record, store_.Settle(command, clock_.Now()));
    return ToProto(record, request->tenant());
  });
}

grpc::Status UsageServiceImpl::ListUsageRecords(grpc::ServerContext* context,
                                                const v1::ListUsageRecordsRequest* request,
                                                v1::ListUsageRecordsResponse* response) {
  return Handle("billing.ListUsageRecords", context, request, response,
                [&](const Caller& caller) -> Result<v1::ListUsageRecordsResponse> {
                  ALLOD_CHECK_OK(RequireMember(caller, request->parent()));
                  if (caller.is_key() && !request->instance().empty()) {
                    ALLOD_CHECK_OK(RequireTenant(caller, request->instance()));
                  }
                  ALLOD_TRY(const UsagePage page, FromProto(*request));
                  ALLOD_TRY(const CallGate::Pass pass, gates_.reports.Enter(caller));
                  ALLOD_TRY(auto records, store_.ListUsageRecords(page.query));
                  const auto listed = MakePage(page.page, std::move(records),
                                               [](const UsageRecord& record) { return record.request_id.ToString(); });
                  v1::ListUsageRecordsResponse out;
                  for (const UsageRecord& record : listed.items) {
                    if (MaySee(caller, record.instance)) *out.add_usage_records() = ToProto(record, request->parent());
                  }
                  out.set_next_page_token(listed.next_page_token);
                  return out;
                });
}

}  // namespace allod::billing
