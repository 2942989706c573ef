#include "services/billing/invoice.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "services/billing/charge_lines.h"
#include "services/billing/invoice_totals.h"
#include "services/billing/refusals.h"

namespace allod::billing {
namespace {

Error Refusal(const char* reason, std::string message) {
  return {Code::kFailedPrecondition, reason, std::move(message)};
}

std::string MonthName(Time month) { return PeriodOf(month).name; }

// What is of an earlier month that could have an invoice of its own.
Status CheckNotEarlier(Time month, const FinaliseState& state, const InvoicePeriod& period) {
  const bool is_late = state.last_period && month <= *state.last_period;
  if (is_late || month >= period.start) return {};
  return std::unexpected(
      Refusal("EARLIER_PERIOD_OPEN",
              fmt::format("{} was not finalised; invoices go by month, so finalise it first", MonthName(month))));
}

Status CheckMayFinalise(const FinaliseState& state, const FinaliseCommand& command, Time now) {
  const InvoicePeriod& period = command.period;
  // No invoice that could not be read by its name.
  if (!HasPeriod(period.start)) ALLOD_CHECK_OK(ParsePeriod(period.name, now));
  if (!state.account) return NoBillingAccount();
  if (!state.profile || !state.issuer) {
    return std::unexpected(Refusal(
        "NO_BILLING_PROFILE",
        "the tenant has no billing profile: who invoices whom, and with which tax; set it with SetBillingProfile"));
  }
  if (state.last_period && *state.last_period > period.start) {
    return std::unexpected(Refusal(
        "LATER_PERIOD_FINALISED",
        fmt::format("{} was finalised, and {} had nothing to invoice before it; what was settled since comes into the "
                    "next invoice",
                    MonthName(*state.last_period), period.name)));
  }
  if (const Time end = period.end + command.grace; now < end) {
    return std::unexpected(Refusal(
        "PERIOD_OPEN", fmt::format("{} ends at {}, and what is settled late is awaited until {}; finalise it then",
                                   period.name, Instant(period.end), Instant(end))));
  }
  if (state.open_hold_count > 0) {
    std::string named;
    for (const Uuid& id : state.open_holds) named += (named.empty() ? "" : ", ") + id.ToString();
    return std::unexpected(Refusal(
        "HOLDS_OPEN",
        fmt::format("{} requests of {} or before are held and not settled: {}{}; their holds end by "
                    "themselves, 24 hours after admission at the latest",
                    state.open_hold_count, period.name, named,
                    state.open_hold_count > static_cast<std::int64_t>(state.open_holds.size()) ? ", ..." : "")));
  }
  for (const OpenUsage& usage : state.usage) ALLOD_CHECK_OK(CheckNotEarlier(usage.month, state, period));
  for (const Charge& charge : state.charges) {
    // What takes something off waits for an invoice: it makes no month due.
    if (charge.exact > Amount()) ALLOD_CHECK_OK(CheckNotEarlier(charge.month, state, period));
  }
  return {};
}

std::size_t LineCount(const OpenUsage& usage) {
  return (usage.totals.prompt_tokens > usage.prompt_tokens_invoiced ? 1U : 0U) +
         (usage.totals.completion_tokens > usage.completion_tokens_invoiced ? 1U : 0U);
}

// At most one line, of what is open of one meter.
Status AddLine(const OpenUsage& usage, Meter meter, std::int32_t epoch, const TaxRule& tax, int decimals,
               IssuedInvoice& out) {
  const bool is_prompt = meter == Meter::kPrompt;
  const InvoiceLine& totals = usage.totals;
  IssuedLine line{.number = static_cast<std::int32_t>(out.lines.size()) + 1,
                  .month = usage.month,
                  .instance = totals.instance,
                  .variant = totals.variant,
                  .price_book = totals.price_book,
                  .isolation_class = totals.isolation_class,
                  .meter = meter,
                  .request_count = totals.request_count - usage.requests_invoiced,
                  .first_epoch = usage.next_epoch,
                  .last_epoch = epoch,
                  .quantity = is_prompt ? totals.prompt_tokens - usage.prompt_tokens_invoiced
                                        : totals.completion_tokens - usage.completion_tokens_invoiced,
                  .unit_price = is_prompt ? totals.prompt_price : totals.completion_price,
                  .tax_category = tax.category,
                  .tax_basis_points = tax.basis_points};
  if (line.quantity == 0) return {};
  ALLOD_TRY(line.exact, Multiply(line.unit_price, line.quantity));
  line.amount = Round(line.exact, decimals);
  ALLOD_TRY(const Amount left, Subtract(line.exact, line.amount));
  ALLOD_TRY(out.residue, Add(out.residue, left));
  out.lines.push_back(std::move(line));
  return {};
}

}  // namespace

std::string InvoiceId::ToString() const {
  return credit_note == 0 ? period.name : fmt::format("{}-c{}", period.name, credit_note);
}

Result<InvoiceId> ParseInvoiceId(std::string_view text, Time now) {
  InvoiceId out;
  const std::size_t dash = text.find("-c");
  ALLOD_TRY(out.period, ParsePeriod(text.substr(0, dash), now));
  if (dash == std::string_view::npos) return out;
  const std::string_view digits = text.substr(dash + 2);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.credit_note);
  if (error != std::errc() || end != digits.data() + digits.size() || digits.front() == '0' || out.credit_note < 1) {
    return InvalidArgument(
        "INVALID_INVOICE",
        fmt::format("name: '{}' is neither a month (YYYY-MM) nor a credit note (YYYY-MM-cN)", text.substr(0, 32)));
  }
  return out;
}

Result<IssuedInvoice> DecideFinalise(const FinaliseState& state, const FinaliseCommand& command, Time now) {
  ALLOD_CHECK_OK(CheckMayFinalise(state, command, now));
  const TaxRule& tax = state.profile->tax;
  ALLOD_CHECK_OK(CheckTaxIds(tax, state.issuer->party, state.profile->buyer));
  ALLOD_TRY(const int decimals, MinorUnitDecimals("currency_code", state.account->currency_code));
  const Time issued = std::chrono::floor<std::chrono::microseconds>(now);
  IssuedInvoice out{.tenant = command.tenant,
                    .tenant_name = state.account->tenant_name,
                    .id = command.period.name,
                    .period = command.period,
                    .legal_entity = state.issuer->id,
                    .currency_code = state.account->currency_code,
                    .issue_time = issued,
                    .due_time = issued + std::chrono::days(state.issuer->payment_days),
                    .seller = state.issuer->party,
                    .buyer = state.profile->buyer,
                    .buyer_reference = state.profile->buyer_reference,
                    .payment_terms = state.issuer->payment_terms};
  bool lines_left = false;
  for (const OpenUsage& usage : state.usage) {
    // The rest stays open, and comes into the next one as what is settled late does.
    lines_left = out.lines.size() + LineCount(usage) > kIssuedLinesMax;
    if (lines_left) break;
    for (const Meter meter : {Meter::kPrompt, Meter::kCompletion}) {
      ALLOD_CHECK_OK(AddLine(usage, meter, state.epoch, tax, decimals, out));
    }
  }
  ALLOD_CHECK_OK(AddChargeLines(state.charges, tax, decimals, lines_left, out));
  if (out.lines.empty()) {
    return FailedPrecondition("NOTHING_TO_INVOICE",
                              fmt::format("nothing was billed in {} that is not invoiced", command.period.name));
  }
  ALLOD_TRY(const auto nets, NetByTax(out.lines));
  for (const auto& [key, net] : nets) {
    out.taxes.push_back({key.first, key.second, net, TaxOn(net, key.second, decimals), tax.note});
  }
  ALLOD_CHECK_OK(AddUp(out));
  return out;
}

}  // namespace allod::billing
