// Who invoices whom: what legal entities and billing profiles may say.
#include <fmt/format.h>

#include <algorithm>

#include "services/billing/invoice.h"
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

Error NoLegalEntity(const std::string& id) {
  return {
      Code::kFailedPrecondition, "NO_LEGAL_ENTITY",
      fmt::format("billing_profile.legal_entity: legalEntities/{} does not exist; make it with SetLegalEntity", id)};
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

}  // namespace allod::billing
