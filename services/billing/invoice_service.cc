#include "services/billing/invoice_service.h"

#include <fmt/format.h>

#include "services/billing/convert.h"
#include "services/common/rpc/server.h"

namespace allod::billing {

grpc::Status InvoiceServiceImpl::GetInvoice(grpc::ServerContext* context, const v1::GetInvoiceRequest* request,
                                            v1::Invoice* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Invoice> {
    ALLOD_TRY(const auto parts, MatchName("name", request->name(), "tenants/*/invoices/*"));
    ALLOD_TRY(const TenantId tenant, TenantId::FromName(request->name()));
    ALLOD_TRY(const InvoicePeriod period, ParsePeriod(parts.at(1), clock_.Now()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reports, call));
    ALLOD_TRY(const BillingAccount account, store_.GetBillingAccount(tenant));
    ALLOD_TRY(const auto lines, store_.SumMonth({tenant, period.start, kInvoiceLinesMax + 1, call.principal.project}));
    if (lines.size() > kInvoiceLinesMax) {
      return Fail(
          Code::kOutOfRange, "INVOICE_TOO_LONG",
          fmt::format("name: the invoice has more than {} lines; read the usage records instead", kInvoiceLinesMax));
    }
    ALLOD_TRY(const Amount total, TotalOf(lines));
    return ToProto(account, period, lines, total);
  });
}

}  // namespace allod::billing
