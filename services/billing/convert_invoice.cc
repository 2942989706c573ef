#include "services/billing/convert_invoice.h"

#include <fmt/format.h>

#include <charconv>

#include "services/billing/convert.h"
#include "services/billing/convert_charge.h"
#include "services/common/rpc/timestamp.h"
#include "services/common/text_check.h"

namespace allod::billing {
namespace {

constexpr std::int64_t kPerMillion = 1'000'000;

Party PartyFrom(const pb::Party& in) {
  return {.name = in.display_name(),
          .street = in.street(),
          .city = in.city(),
          .postal_code = in.postal_code(),
          .country_code = in.country_code(),
          .tax_id = in.tax_id(),
          .registration_id = in.registration_id()};
}

void Fill(const Party& party, pb::Party& out) {
  out.set_display_name(party.name);
  out.set_street(party.street);
  out.set_city(party.city);
  out.set_postal_code(party.postal_code);
  out.set_country_code(party.country_code);
  out.set_tax_id(party.tax_id);
  out.set_registration_id(party.registration_id);
}

Result<TaxCategory> CategoryFrom(pb::TaxCategory category) {
  switch (category) {
    case pb::TAX_CATEGORY_STANDARD:
      return TaxCategory::kStandard;
    case pb::TAX_CATEGORY_ZERO_RATED:
      return TaxCategory::kZeroRated;
    case pb::TAX_CATEGORY_EXEMPT:
      return TaxCategory::kExempt;
    case pb::TAX_CATEGORY_REVERSE_CHARGE:
      return TaxCategory::kReverseCharge;
    case pb::TAX_CATEGORY_EXPORT:
      return TaxCategory::kExport;
    case pb::TAX_CATEGORY_OUT_OF_SCOPE:
      return TaxCategory::kOutOfScope;
    default:
      return InvalidArgument("INVALID_TAX",
                             "billing_profile.tax_category: say which; without any tax it is OUT_OF_SCOPE");
  }
}

pb::TaxCategory CategoryOf(TaxCategory category) {
  switch (category) {
    case TaxCategory::kStandard:
      return pb::TAX_CATEGORY_STANDARD;
    case TaxCategory::kZeroRated:
      return pb::TAX_CATEGORY_ZERO_RATED;
    case TaxCategory::kExempt:
      return pb::TAX_CATEGORY_EXEMPT;
    case TaxCategory::kReverseCharge:
      return pb::TAX_CATEGORY_REVERSE_CHARGE;
    case TaxCategory::kExport:
      return pb::TAX_CATEGORY_EXPORT;
    case TaxCategory::kOutOfScope:
      return pb::TAX_CATEGORY_OUT_OF_SCOPE;
  }
  return pb::TAX_CATEGORY_UNSPECIFIED;
}

void FillLine(const IssuedInvoice& invoice, const IssuedLine& line, pb::Invoice::Line& out) {
  const bool is_prompt = line.meter == Meter::kPrompt;
  out.set_number(line.number);
  out.set_instance(line.instance);
  out.set_variant(line.variant);
  if (line.price_book != Uuid() || !line.charge) out.set_price_book("priceBooks/" + line.price_book.ToString());
  out.set_isolation_class(line.isolation_class);
  out.set_usage_period(PeriodOf(line.month).name);
  const std::string& currency = invoice.currency_code;
  *out.mutable_amount() = billing::ToProto(line.amount, currency);
  *out.mutable_exact_amount() = billing::ToProto(line.exact, currency);
  out.set_tax_category(CategoryOf(line.tax_category));
  out.set_tax_basis_points(line.tax_basis_points);
  out.set_credited_line(line.credited_line);
  if (line.charge) return Fill(*line.charge, line.quantity, line.unit_price, currency, *out.mutable_charge());
  out.set_meter(is_prompt ? pb::Invoice::METER_PROMPT_TOKENS : pb::Invoice::METER_COMPLETION_TOKENS);
  if (is_prompt) {
    out.set_prompt_tokens(line.quantity);
  } else {
    out.set_completion_tokens(line.quantity);
  }
  *(is_prompt ? out.mutable_prompt_price_per_million() : out.mutable_completion_price_per_million()) =
      billing::ToProto(Amount::FromPico(line.unit_price.pico() * kPerMillion), currency);
  out.set_request_count(line.request_count);
}

void FillWhole(const IssuedInvoice& invoice, pb::Invoice& out) {
  const std::string& currency = invoice.currency_code;
  *out.mutable_due_time() = ToTimestamp(invoice.due_time);
  out.set_legal_entity("legalEntities/" + invoice.legal_entity);
  Fill(invoice.seller, *out.mutable_seller());
  Fill(invoice.buyer, *out.mutable_buyer());
  out.set_buyer_reference(invoice.buyer_reference);
  out.set_payment_terms(invoice.payment_terms);
  for (const TaxSubtotal& tax : invoice.taxes) {
    pb::Invoice::Tax& row = *out.add_taxes();
    row.set_category(CategoryOf(tax.category));
    row.set_basis_points(tax.basis_points);
    *row.mutable_taxable() = billing::ToProto(tax.taxable, currency);
    *row.mutable_amount() = billing::ToProto(tax.tax, currency);
    row.set_note(tax.note);
  }
  *out.mutable_tax_total() = billing::ToProto(invoice.tax, currency);
  *out.mutable_payable() = billing::ToProto(invoice.payable, currency);
  *out.mutable_residue() = billing::ToProto(invoice.residue, currency);
  out.set_reason(invoice.reason);
}

}  // namespace

Result<std::string> LegalEntityId(std::string_view field, const std::string& name) {
  ALLOD_TRY(const auto parts, MatchName(field, name, "legalEntities/*"));
  return parts.at(0);
}

Result<LegalEntity> FromProto(const pb::LegalEntity& entity) {
  LegalEntity out{.party = PartyFrom(entity.party()),
                  .invoice_prefix = entity.invoice_prefix(),
                  .credit_note_prefix = entity.credit_note_prefix(),
                  .payment_days = entity.payment_days(),
                  .payment_terms = entity.payment_terms()};
  ALLOD_TRY(out.id, LegalEntityId("legal_entity.name", entity.name()));
  ALLOD_CHECK_OK(CheckLegalEntity(out));
  return out;
}

pb::LegalEntity ToProto(const LegalEntity& entity) {
  pb::LegalEntity out;
  out.set_name("legalEntities/" + entity.id);
  Fill(entity.party, *out.mutable_party());
  out.set_invoice_prefix(entity.invoice_prefix);
  out.set_credit_note_prefix(entity.credit_note_prefix);
  out.set_payment_days(entity.payment_days);
  out.set_payment_terms(entity.payment_terms);
  return out;
}

Result<BillingProfile> FromProto(const pb::BillingProfile& profile) {
  BillingProfile out{.buyer = PartyFrom(profile.party()),
                     .buyer_reference = profile.buyer_reference(),
                     .tax = {.basis_points = profile.tax_basis_points(), .note = profile.tax_note()},
                     .finalise_by_hand = profile.finalise_by_hand()};
  ALLOD_CHECK_OK(MatchName("billing_profile.name", profile.name(), "tenants/*/billingProfile"));
  out.tenant_name = TenantOf(profile.name());
  ALLOD_TRY(out.tenant, TenantId::FromName(out.tenant_name));
  ALLOD_TRY(out.legal_entity, LegalEntityId("billing_profile.legal_entity", profile.legal_entity()));
  ALLOD_TRY(out.tax.category, CategoryFrom(profile.tax_category()));
  ALLOD_CHECK_OK(CheckBillingProfile(out));
  return out;
}

pb::BillingProfile ToProto(const BillingProfile& profile) {
  pb::BillingProfile out;
  out.set_name(profile.tenant_name + "/billingProfile");
  out.set_legal_entity("legalEntities/" + profile.legal_entity);
  Fill(profile.buyer, *out.mutable_party());
  out.set_buyer_reference(profile.buyer_reference);
  out.set_tax_category(CategoryOf(profile.tax.category));
  out.set_tax_basis_points(profile.tax.basis_points);
  out.set_tax_note(profile.tax.note);
  out.set_finalise_by_hand(profile.finalise_by_hand);
  return out;
}

Result<InvoiceName> ParseInvoiceName(std::string_view field, const std::string& name, Time now) {
  InvoiceName out;
  ALLOD_TRY(const auto parts, MatchName(field, name, "tenants/*/invoices/*"));
  ALLOD_TRY(out.tenant, TenantId::FromName(name));
  ALLOD_TRY(out.id, ParseInvoiceId(parts.at(1), now));
  return out;
}

Result<InvoiceLineName> ParseInvoiceLineName(const std::string& name, const std::string& parent, Time now) {
  InvoiceLineName out;
  ALLOD_TRY(const auto parts, MatchName("invoice_line", name, "tenants/*/invoices/*/lines/*"));
  if (TenantOf(name) != parent) {
    return InvalidArgument("OTHER_TENANT", fmt::format("invoice_line: {} does not belong to {}", name, parent));
  }
  ALLOD_TRY(out.invoice, ParseInvoiceName("invoice_line", name.substr(0, name.rfind("/lines/")), now));
  const std::string& digits = parts.at(2);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.number);
  if (error == std::errc() && end == digits.data() + digits.size() && out.number > 0) return out;
  return InvalidArgument("INVALID_NAME", fmt::format("invoice_line: '{}' is no number of a line", digits));
}

Result<CreditCommand> FromProto(const pb::CreateCreditNoteRequest& request, Time now) {
  CreditCommand out{.reason = request.reason()};
  ALLOD_TRY(const InvoiceName name, ParseInvoiceName("invoice", request.invoice(), now));
  if (name.id.credit_note != 0) {
    return InvalidArgument("INVALID_CREDIT", "invoice: a credit note is not corrected; correct the invoice");
  }
  out.tenant = name.tenant;
  out.period = name.id.period;
  ALLOD_CHECK_OK(CheckText("reason", out.reason, 1, 400));
  if (static_cast<std::size_t>(request.lines_size()) > kIssuedLinesMax) {
    return InvalidArgument("INVALID_CREDIT",
                           fmt::format("lines: {} of them; at most {}", request.lines_size(), kIssuedLinesMax));
  }
  std::string payload = request.invoice() + "\n" + out.reason;
  for (const auto& line : request.lines()) {
    CreditCommand::Line& row = out.lines.emplace_back(CreditCommand::Line{.number = line.number()});
    if (!line.amount().empty()) {
      ALLOD_TRY(row.amount, Amount::Parse("lines.amount", line.amount()));
    }
    payload += fmt::format("\n{} {}", line.number(), row.amount ? row.amount->ToPicoString() : "");
  }
  ALLOD_TRY(out.request, MakeRequestId(request.request_id(), "CreateCreditNote", payload));
  if (out.request.given()) return out;
  return InvalidArgument("REQUEST_ID_REQUIRED",
                         "request_id: give a UUID, so that a retry does not give the money back twice");
}

Result<documents::Format> FromProto(pb::DocumentFormat format) {
  switch (format) {
    case pb::DOCUMENT_FORMAT_CSV:
      return documents::Format::kCsv;
    case pb::DOCUMENT_FORMAT_FOCUS:
      return documents::Format::kFocus;
    case pb::DOCUMENT_FORMAT_UBL:
      return documents::Format::kUbl;
    case pb::DOCUMENT_FORMAT_HTML:
      return documents::Format::kHtml;
    default:
      return InvalidArgument("INVALID_FORMAT", "format: say which: CSV, FOCUS, UBL or HTML");
  }
}

pb::Invoice ToProto(const IssuedInvoice& invoice, const std::string& project) {
  pb::Invoice out;
  const bool is_invoice = invoice.kind == IssuedInvoice::Kind::kInvoice;
  out.set_name(fmt::format("{}/invoices/{}", invoice.tenant_name, invoice.id));
  out.set_state(pb::Invoice::STATE_ISSUED);
  out.set_kind(is_invoice ? pb::Invoice::KIND_INVOICE : pb::Invoice::KIND_CREDIT_NOTE);
  *out.mutable_start_time() = ToTimestamp(invoice.period.start);
  *out.mutable_end_time() = ToTimestamp(invoice.period.end);
  out.set_number(invoice.number);
  *out.mutable_issue_time() = ToTimestamp(invoice.issue_time);
  if (!is_invoice) {
    out.set_corrected_invoice(fmt::format("{}/invoices/{}", invoice.tenant_name, invoice.corrected_id));
    out.set_corrected_number(invoice.corrected_number);
  }
  Int128 shown = 0;
  for (const IssuedLine& line : invoice.lines) {
    if (!project.empty() && ProjectIdOf(line.instance) != project) continue;
    FillLine(invoice, line, *out.add_lines());
    shown += line.amount.pico();
  }
  *out.mutable_total() = ToProto(project.empty() ? invoice.net : Amount::FromPico(shown), invoice.currency_code);
  if (project.empty()) FillWhole(invoice, out);
  return out;
}

}  // namespace allod::billing
