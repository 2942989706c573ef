#include "services/billing/invoice.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <tuple>

#include "services/billing/charge_lines.h"
#include "services/common/country_code.h"
#include "services/common/text_check.h"

namespace allod::billing {
namespace {

constexpr int kPaymentDaysMax = 365;

Status CheckParty(const std::string& field, const Party& party) {
  ALLOD_CHECK_OK(CheckText(field + ".display_name", party.name, 1, 200));
  ALLOD_CHECK_OK(CheckText(field + ".street", party.street, 0, 200));
  ALLOD_CHECK_OK(CheckText(field + ".city", party.city, 0, 100));
  ALLOD_CHECK_OK(CheckText(field + ".postal_code", party.postal_code, 0, 20));
  ALLOD_CHECK_OK(CheckCountryCode(field + ".country_code", party.country_code));
  ALLOD_CHECK_OK(CheckText(field + ".tax_id", party.tax_id, 0, 40));
  return CheckText(field + ".registration_id", party.registration_id, 0, 40);
}

// A number is part of file names and of forms of tax authorities.
Status CheckPrefix(const std::string& field, const std::string& prefix) {
  const bool fits = !prefix.empty() && prefix.size() <= 16 && std::ranges::all_of(prefix, [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '/';
  });
  // Digits follow: A1 and 000001 could be A and 1000001.
  if (fits && (prefix.back() < '0' || prefix.back() > '9')) return {};
  return InvalidArgument(
      "INVALID_NUMBER_PREFIX",
      fmt::format("{}: give 1 to 16 of A to Z, 0 to 9, '-' and '/', not a digit at the end, such as KE-", field));
}

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
  if (!state.account) {
    return std::unexpected(
        Refusal("NO_BILLING_ACCOUNT", "the tenant has no billing account; open one with SetBillingAccount"));
  }
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

using TaxKey = std::pair<TaxCategory, std::int32_t>;

Result<std::map<TaxKey, Amount>> NetByTax(const std::vector<IssuedLine>& lines) {
  std::map<TaxKey, Amount> out;
  for (const IssuedLine& line : lines) {
    Amount& sum = out[{line.tax_category, line.tax_basis_points}];
    ALLOD_TRY(sum, Add(sum, line.amount));
  }
  return out;
}

// Sums of the subtotals, and of both.
Status AddUp(IssuedInvoice& out) {
  for (const TaxSubtotal& subtotal : out.taxes) {
    ALLOD_TRY(out.net, Add(out.net, subtotal.taxable));
    ALLOD_TRY(out.tax, Add(out.tax, subtotal.tax));
  }
  ALLOD_TRY(out.payable, Add(out.net, out.tax));
  return CheckTotals(out);
}

std::unexpected<Error> Wrong(const IssuedInvoice& invoice, const char* rule, Amount a, Amount b) {
  return Fail(Code::kInternal, "INVOICE_ARITHMETIC",
              fmt::format("invoice {} of {}: {} does not hold: {} is not {}", invoice.id, invoice.tenant_name, rule,
                          a.ToString(), b.ToString()));
}

}  // namespace

std::string_view CodeOf(TaxCategory category) {
  switch (category) {
    case TaxCategory::kStandard:
      return "S";
    case TaxCategory::kZeroRated:
      return "Z";
    case TaxCategory::kExempt:
      return "E";
    case TaxCategory::kReverseCharge:
      return "AE";
    case TaxCategory::kExport:
      return "G";
    case TaxCategory::kOutOfScope:
      return "O";
  }
  return "O";
}

Status CheckLegalEntity(const LegalEntity& entity) {
  ALLOD_CHECK_OK(CheckParty("legal_entity.party", entity.party));
  ALLOD_CHECK_OK(CheckPrefix("legal_entity.invoice_prefix", entity.invoice_prefix));
  ALLOD_CHECK_OK(CheckPrefix("legal_entity.credit_note_prefix", entity.credit_note_prefix));
  if (entity.invoice_prefix == entity.credit_note_prefix) {
    return InvalidArgument("INVALID_NUMBER_PREFIX",
                           "legal_entity.credit_note_prefix: is that of invoices; numbers must differ");
  }
  if (entity.payment_days < 0 || entity.payment_days > kPaymentDaysMax) {
    return InvalidArgument("INVALID_PAYMENT_DAYS", fmt::format("legal_entity.payment_days: {} is not from 0 to {}",
                                                               entity.payment_days, kPaymentDaysMax));
  }
  return CheckText("legal_entity.payment_terms", entity.payment_terms, 0, 1000, true);
}

Status CheckBillingProfile(const BillingProfile& profile) {
  ALLOD_CHECK_OK(CheckId("billing_profile.legal_entity", profile.legal_entity));
  ALLOD_CHECK_OK(CheckParty("billing_profile.party", profile.buyer));
  ALLOD_CHECK_OK(CheckText("billing_profile.buyer_reference", profile.buyer_reference, 0, 100));
  const TaxRule& tax = profile.tax;
  ALLOD_CHECK_OK(CheckText("billing_profile.tax_note", tax.note, 0, 400));
  const bool is_taxed = tax.category == TaxCategory::kStandard;
  if (tax.basis_points < 0 || tax.basis_points > kBasisPointsMax || is_taxed != (tax.basis_points > 0)) {
    return InvalidArgument("INVALID_TAX",
                           fmt::format("billing_profile.tax_basis_points: {} does not go with category {}; S has 1 to "
                                       "{}, the others 0",
                                       tax.basis_points, CodeOf(tax.category), kBasisPointsMax));
  }
  const bool has_reason = tax.category != TaxCategory::kStandard && tax.category != TaxCategory::kZeroRated;
  if (has_reason == tax.note.empty()) {
    return InvalidArgument(
        "INVALID_TAX", fmt::format("billing_profile.tax_note: category {} {}", CodeOf(tax.category),
                                   has_reason ? "needs a note that says why there is no tax, such as \"Reverse charge\""
                                              : "has none"));
  }
  return {};
}

Status CheckSamePrefixes(const LegalEntity& stored, const LegalEntity& wanted) {
  if (stored.invoice_prefix == wanted.invoice_prefix && stored.credit_note_prefix == wanted.credit_note_prefix) {
    return {};
  }
  return FailedPrecondition(
      "NUMBER_PREFIX_IMMUTABLE",
      fmt::format("legal_entity: legalEntities/{} numbers with {} and {} for good; make another one for other prefixes",
                  stored.id, stored.invoice_prefix, stored.credit_note_prefix));
}

std::string ChangesOf(const LegalEntity& before, const LegalEntity& after) {
  std::string out;
  const auto add = [&](std::string_view field, const auto& old, const auto& now) {
    if (old != now) out += fmt::format("{}{}: {} -> {}", out.empty() ? "" : "; ", field, old, now);
  };
  const Party& old = before.party;
  const Party& now = after.party;
  add("party.display_name", old.name, now.name);
  add("party.street", old.street, now.street);
  add("party.city", old.city, now.city);
  add("party.postal_code", old.postal_code, now.postal_code);
  add("party.country_code", old.country_code, now.country_code);
  add("party.tax_id", old.tax_id, now.tax_id);
  add("party.registration_id", old.registration_id, now.registration_id);
  add("payment_days", before.payment_days, after.payment_days);
  add("payment_terms", before.payment_terms, after.payment_terms);
  return out;
}

Status CheckPrefixIsFree(const LegalEntity& taker, const LegalEntity& wanted) {
  for (const std::string& prefix : {wanted.invoice_prefix, wanted.credit_note_prefix}) {
    if (taker.id == wanted.id || (prefix != taker.invoice_prefix && prefix != taker.credit_note_prefix)) continue;
    return Fail(Code::kAlreadyExists, "NUMBER_PREFIX_TAKEN",
                fmt::format("legal_entity: legalEntities/{} numbers with {} already; a number says whose it is, so "
                            "choose another prefix",
                            taker.id, prefix));
  }
  return {};
}

bool SameProfile(const BillingProfile& a, const BillingProfile& b) {
  return a.legal_entity == b.legal_entity && a.buyer == b.buyer && a.buyer_reference == b.buyer_reference &&
         a.tax == b.tax && a.finalise_by_hand == b.finalise_by_hand;
}

Error NoAccountForProfile() {
  return Refusal("NO_BILLING_ACCOUNT", "the tenant has no billing account; open one with SetBillingAccount");
}

Error NoLegalEntity(const std::string& id) {
  return Refusal("NO_LEGAL_ENTITY", fmt::format("billing_profile.legal_entity: legalEntities/{} does not exist; "
                                                "make it with SetLegalEntity",
                                                id));
}

Status CheckTaxIds(const TaxRule& tax, const Party& seller, const Party& buyer) {
  if (tax.category == TaxCategory::kOutOfScope) return {};
  if (seller.tax_id.empty()) {
    return FailedPrecondition(
        "TAX_ID_MISSING", fmt::format("tax category {} needs the tax_id of the legal entity", CodeOf(tax.category)));
  }
  if (tax.category == TaxCategory::kReverseCharge && buyer.tax_id.empty() && buyer.registration_id.empty()) {
    return FailedPrecondition("TAX_ID_MISSING",
                              "a reverse charge (AE) needs the tax_id or the registration_id of the billing profile");
  }
  return {};
}

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

Amount TaxOn(Amount taxable, std::int32_t basis_points, int decimals) {
  // No currency has more than four decimals, so that the division leaves nothing.
  return Round(Amount::FromPico(taxable.pico() / kBasisPointsMax * basis_points), decimals);
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
  for (const OpenUsage& usage : state.usage) {
    // The rest stays open, and comes into the next one as what is settled late does.
    if (out.lines.size() + LineCount(usage) > kIssuedLinesMax) break;
    for (const Meter meter : {Meter::kPrompt, Meter::kCompletion}) {
      ALLOD_CHECK_OK(AddLine(usage, meter, state.epoch, tax, decimals, out));
    }
  }
  ALLOD_CHECK_OK(AddChargeLines(state.charges, tax, decimals, out));
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

namespace {

// All credits of an invoice together give back no more than it asked: a line in full, of which a discount took
// something off, is more than that.
Status CheckCreditedNet(const CreditState& state, const std::vector<IssuedLine>& lines) {
  Amount credit, left = state.invoice.net;
  for (const IssuedLine& line : lines) {
    ALLOD_TRY(credit, Add(credit, line.amount));
  }
  for (const auto& [number, credited] : state.credited) {
    ALLOD_TRY(left, Subtract(left, credited));
  }
  if (lines.empty() || credit == Amount()) {
    return FailedPrecondition("NOTHING_TO_CREDIT", "nothing is left of it to be credited");
  }
  if (credit < Amount()) {
    return InvalidArgument(
        "INVALID_CREDIT", fmt::format("lines: together they are {}, and a credit note gives something back; name lines "
                                      "that asked for more as well",
                                      credit.ToString()));
  }
  if (credit > left) {
    return FailedPrecondition("CREDIT_EXCEEDS_INVOICE",
                              fmt::format("lines: {} is more than the {} that is left of the invoice, which took "
                                          "something off; credit that as well",
                                          credit.ToString(), left.ToString()));
  }
  return {};
}

// What is to be given back of each line, checked against what is left of it.
Result<std::vector<IssuedLine>> CreditedLines(const CreditState& state, const CreditCommand& command, int decimals) {
  std::map<std::int32_t, std::optional<Amount>> wanted;
  for (const CreditCommand::Line& line : command.lines) {
    if (!wanted.emplace(line.number, line.amount).second) {
      return InvalidArgument("INVALID_CREDIT", fmt::format("lines: line {} is named twice", line.number));
    }
  }
  std::vector<IssuedLine> out;
  for (const IssuedLine& line : state.invoice.lines) {
    const auto want = wanted.find(line.number);
    if (want == wanted.end() && !wanted.empty()) continue;
    const auto credited = state.credited.find(line.number);
    ALLOD_TRY(const Amount left, Subtract(line.amount, credited == state.credited.end() ? Amount() : credited->second));
    const std::optional<Amount> asked = want == wanted.end() ? std::nullopt : want->second;
    if (want != wanted.end()) wanted.erase(want);
    const Amount amount = asked.value_or(left);
    const bool takes_off = line.amount < Amount();
    if (asked && (amount == Amount() || (amount < Amount()) != takes_off || Round(amount, decimals) != amount)) {
      return InvalidArgument(
          "INVALID_CREDIT", fmt::format("lines: {} of line {} is not a {} amount of at most {} decimals",
                                        amount.ToString(), line.number, takes_off ? "negative" : "positive", decimals));
    }
    if (takes_off ? amount < left : amount > left) {
      return FailedPrecondition("CREDIT_EXCEEDS_INVOICE",
                                fmt::format("lines: {} of line {} is more than the {} that is left of it",
                                            amount.ToString(), line.number, left.ToString()));
    }
    if (amount != Amount()) {
      IssuedLine credit = line;
      credit.number = static_cast<std::int32_t>(out.size()) + 1;
      credit.credited_line = line.number;
      credit.quantity = credit.request_count = 0;
      credit.exact = credit.amount = amount;
      out.push_back(std::move(credit));
    }
    if (!command.lines.empty() && wanted.empty()) break;
  }
  if (!wanted.empty()) {
    return InvalidArgument("INVALID_CREDIT", fmt::format("lines: the invoice has no line {}", wanted.begin()->first));
  }
  ALLOD_CHECK_OK(CheckCreditedNet(state, out));
  return out;
}

}  // namespace

Result<IssuedInvoice> DecideCredit(const CreditState& state, const CreditCommand& command, Time now) {
  const IssuedInvoice& invoice = state.invoice;
  if (state.credit_notes >= kCreditNotesPerInvoiceMax) {
    return FailedPrecondition(
        "TOO_MANY_CREDIT_NOTES",
        fmt::format("{} credit notes correct this invoice; that is the most", kCreditNotesPerInvoiceMax));
  }
  ALLOD_TRY(const int decimals, MinorUnitDecimals("currency_code", invoice.currency_code));
  IssuedInvoice out = invoice;
  out.kind = IssuedInvoice::Kind::kCreditNote;
  out.id = fmt::format("{}-c{}", invoice.id, state.credit_notes + 1);
  out.sequence = 0;
  out.number.clear();
  out.issue_time = out.due_time = std::chrono::floor<std::chrono::microseconds>(now);
  out.payment_terms.clear();
  out.taxes.clear();
  out.net = out.tax = out.payable = out.residue = Amount();
  out.corrected_id = invoice.id;
  out.corrected_number = invoice.number;
  out.corrected_issue_time = invoice.issue_time;
  out.reason = command.reason;
  out.request = command.request;
  ALLOD_TRY(out.lines, CreditedLines(state, command, decimals));
  std::map<TaxKey, Amount> before;
  for (const IssuedLine& line : invoice.lines) {
    if (const auto credited = state.credited.find(line.number); credited != state.credited.end()) {
      Amount& sum = before[{line.tax_category, line.tax_basis_points}];
      ALLOD_TRY(sum, Add(sum, credited->second));
    }
  }
  ALLOD_TRY(const auto nets, NetByTax(out.lines));
  for (const auto& [key, net] : nets) {
    // Of all credits together, less those before: in the end exactly the invoice's tax is given back.
    ALLOD_TRY(const Amount after, Add(before[key], net));
    ALLOD_TRY(const Amount tax, Subtract(TaxOn(after, key.second, decimals), TaxOn(before[key], key.second, decimals)));
    const auto of = std::ranges::find_if(invoice.taxes, [&](const TaxSubtotal& subtotal) {
      return TaxKey(subtotal.category, subtotal.basis_points) == key;
    });
    out.taxes.push_back({key.first, key.second, net, tax, of == invoice.taxes.end() ? "" : of->note});
  }
  ALLOD_CHECK_OK(AddUp(out));
  return out;
}

Status CheckTotals(const IssuedInvoice& invoice) {
  ALLOD_TRY(const int decimals, MinorUnitDecimals("currency_code", invoice.currency_code));
  ALLOD_TRY(const auto nets, NetByTax(invoice.lines));
  Amount net, tax;
  for (const auto& [key, sum] : nets) {
    ALLOD_TRY(net, Add(net, sum));
  }
  for (const IssuedLine& line : invoice.lines) {
    if (Round(line.amount, decimals) != line.amount) {
      return Wrong(invoice, "the minor unit of a line", line.amount, Round(line.amount, decimals));
    }
  }
  if (nets.size() != invoice.taxes.size()) {
    return Wrong(invoice, "BR-CO-18", Amount::FromPico(static_cast<Int128>(nets.size())),
                 Amount::FromPico(static_cast<Int128>(invoice.taxes.size())));
  }
  Int128 minor_unit = 1'000'000'000'000;
  for (int i = 0; i < decimals; ++i) minor_unit /= 10;
  for (const TaxSubtotal& subtotal : invoice.taxes) {
    const auto taxed = nets.find({subtotal.category, subtotal.basis_points});
    if (taxed == nets.end() || taxed->second != subtotal.taxable) {
      return Wrong(invoice, "the taxable amount of a category", subtotal.taxable,
                   taxed == nets.end() ? Amount() : taxed->second);
    }
    const Amount expected = TaxOn(subtotal.taxable, subtotal.basis_points, decimals);
    // A credit's tax is part of a sum that is rounded as a whole: one minor unit to either side.
    const Int128 slack = invoice.kind == IssuedInvoice::Kind::kCreditNote ? minor_unit : 0;
    const Int128 off = subtotal.tax.pico() - expected.pico();
    if (off > slack || off < -slack || Round(subtotal.tax, decimals) != subtotal.tax) {
      return Wrong(invoice, "BR-CO-17", subtotal.tax, expected);
    }
    ALLOD_TRY(tax, Add(tax, subtotal.tax));
  }
  if (invoice.net != net) return Wrong(invoice, "BR-CO-10 and BR-CO-13", invoice.net, net);
  if (net < Amount()) return Wrong(invoice, "that nothing is negative", net, Amount());
  if (invoice.tax != tax) return Wrong(invoice, "BR-CO-14", invoice.tax, tax);
  ALLOD_TRY(const Amount gross, Add(net, tax));
  if (invoice.payable != gross) return Wrong(invoice, "BR-CO-15 and BR-CO-16", invoice.payable, gross);
  return {};
}

}  // namespace allod::billing
