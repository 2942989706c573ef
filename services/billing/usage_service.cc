#include "services/billing/usage_service.h"

#include <fmt/format.h>

#include "services/billing/convert.h"
#include "services/billing/convert_invoice.h"
#include "services/common/call_scope.h"
#include "services/common/fault_point.h"
#include "services/common/rpc/server.h"

namespace allod::billing {

grpc::Status UsageServiceImpl::Reserve(grpc::ServerContext* context, const v1::ReserveRequest* request,
                                       v1::ReserveResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ReserveResponse> {
    ALLOD_TRY(const ReserveCommand command, FromProto(*request));
    ALLOD_TRY(const CallGate::Pass pass, gates_.money.Enter(request->tenant()));
    ALLOD_CHECK_OK(CheckAwaited(call));  // it may have waited until nobody waits for it any more
    ALLOD_TRY(const Reservation reservation, store_.Reserve(command, clock_.Now()));
    ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kReserveCommitted));
    v1::ReserveResponse out;
    *out.mutable_held() = ToProto(reservation.hold, reservation.currency_code);
    return out;
  });
}

grpc::Status UsageServiceImpl::Settle(grpc::ServerContext* context, const v1::SettleRequest* request,
                                      v1::UsageRecord* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::UsageRecord> {
    ALLOD_TRY(const SettleCommand command, FromProto(*request));
    ALLOD_TRY(const CallGate::Pass pass, gates_.money.Enter(request->tenant()));
    // Begun, it is carried out also when the gateway does not wait any more: it would only ask again.
    const CallScope to_its_end(Deadline::None(), call.trace);
    ALLOD_TRY(const UsageRecord record, store_.Settle(command, clock_.Now()));
    ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kSettleCommitted));
    return ToProto(record, request->tenant());
  });
}

grpc::Status UsageServiceImpl::ListUsageRecords(grpc::ServerContext* context,
                                                const v1::ListUsageRecordsRequest* request,
                                                v1::ListUsageRecordsResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListUsageRecordsResponse> {
    ALLOD_TRY(UsagePage page, FromProto(*request, call.principal.project));
    // It is one of the tenant's; to a key of another project than its own it does not exist.
    if (!request->instance().empty() && !MaySee(call.principal, request->instance())) {
      return NoSuchResource();
    }
    std::optional<InvoiceLineName> line;
    if (!request->invoice_line().empty()) {
      ALLOD_TRY(line, ParseInvoiceLineName(request->invoice_line(), request->parent(), clock_.Now()));
    }
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reports, call));
    if (line) {
      auto found = store_.FindInvoiceLine(line->invoice.tenant, line->invoice.id.ToString(), line->number);
      if (!found && found.error().code != Code::kNotFound) return std::unexpected(found.error());
      if (!found || !MaySee(call.principal, found->instance)) return NoSuchResource();
      if (found->charge) {
        return InvalidArgument(
            "NO_REQUESTS", fmt::format("invoice_line: line {} is a charge; no requests are behind it", line->number));
      }
      page.query.line = *std::move(found);
    }
    ALLOD_TRY(auto records, store_.ListUsageRecords(page.query));
    const auto listed =
        MakePage(page.page, std::move(records), [](const UsageRecord& record) { return record.request_id.ToString(); });
    v1::ListUsageRecordsResponse out;
    for (const UsageRecord& record : listed.items) *out.add_usage_records() = ToProto(record, request->parent());
    out.set_next_page_token(listed.next_page_token);
    return out;
  });
}

}  // namespace allod::billing
