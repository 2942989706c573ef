#include "services/billing/corrections/convert_correction.h"

#include <fmt/format.h>

#include "services/billing/convert.h"
#include "services/billing/convert_invoice.h"
#include "services/common/text_check.h"

namespace allod::billing::corrections {
namespace {

Result<InvoiceName> InvoiceOf(const std::string& name, Time now) {
  ALLOD_TRY(const InvoiceName out, ParseInvoiceName("invoice", name, now));
  if (out.id.credit_note == 0) return out;
  return InvalidArgument("INVALID_CREDIT", "invoice: a credit note is not corrected; correct the invoice");
}

Result<RequestId> Required(const std::string& id, std::string_view method, const std::string& payload) {
  ALLOD_TRY(const RequestId out, MakeRequestId(id, method, payload));
  if (out.given()) return out;
  return InvalidArgument("REQUEST_ID_REQUIRED",
                         "request_id: give a UUID, so that a retry does not give the money back twice");
}

}  // namespace

Result<RerateCommand> FromProto(const pb::RerateInvoiceRequest& request, Time now) {
  RerateCommand out{.reason = request.reason()};
  ALLOD_TRY(const InvoiceName name, InvoiceOf(request.invoice(), now));
  out.tenant = name.tenant;
  out.period = name.id.period;
  ALLOD_TRY(out.old_book, PriceBookId("old_price_book", request.old_price_book()));
  ALLOD_TRY(out.new_book, PriceBookId("new_price_book", request.new_price_book()));
  ALLOD_CHECK_OK(CheckText("reason", out.reason, 1, 400));
  ALLOD_TRY(out.request, Required(request.request_id(), "RerateInvoice",
                                  fmt::format("{}\n{}\n{}\n{}", request.invoice(), request.old_price_book(),
                                              request.new_price_book(), out.reason)));
  return out;
}

Result<ServiceLevelCommand> FromProto(const pb::CreditServiceLevelRequest& request, Time now) {
  ALLOD_TRY(const InvoiceName name, InvoiceOf(request.invoice(), now));
  ServiceLevelCommand out{.tenant = name.tenant, .period = name.id.period};
  ALLOD_TRY(out.request, Required(request.request_id(), "CreditServiceLevel", request.invoice()));
  return out;
}

pb::RerateInvoiceResponse ToProto(const Rerating& rerating) {
  const std::string& currency_code = rerating.currency_code;
  pb::RerateInvoiceResponse out;
  constexpr std::int64_t kPerMillion = 1'000'000;
  for (const RatedLine& rated : rerating.lines) {
    auto& row = *out.add_lines();
    row.set_number(rated.line.number);
    *row.mutable_old_amount() = billing::ToProto(rated.line.amount, currency_code);
    *row.mutable_new_price_per_million() =
        billing::ToProto(Amount::FromPico(rated.new_price.pico() * kPerMillion), currency_code);
    *row.mutable_new_amount() = billing::ToProto(rated.new_amount, currency_code);
  }
  if (rerating.credit_note) *out.mutable_credit_note() = billing::ToProto(*rerating.credit_note, "");
  for (const Charge& charge : rerating.charges) *out.add_charges() = billing::ToProto(charge.exact, currency_code);
  return out;
}

Result<pb::CreditServiceLevelResponse> ToProto(const ServiceLevelOutcome& outcome) {
  pb::CreditServiceLevelResponse out;
  if (!outcome.credit_note) return out;
  for (const ServiceLevelCredit& credit : outcome.credits) {
    auto& row = *out.add_credits();
    row.set_instance(credit.of.instance);
    row.set_request_count(credit.of.requests);
    row.set_fault_count(credit.of.faults);
    row.set_below_basis_points(credit.step.below);
    row.set_credit_basis_points(credit.step.credit);
    Amount sum;
    for (const CreditCommand::Line& line : credit.lines) {
      ALLOD_TRY(sum, Add(sum, line.amount.value_or(Amount())));
    }
    *row.mutable_amount() = billing::ToProto(sum, outcome.credit_note->currency_code);
  }
  *out.mutable_credit_note() = billing::ToProto(*outcome.credit_note, "");
  return out;
}

}  // namespace allod::billing::corrections
