// Legal entities, billing profiles, and issued documents as they are read.
#include "services/billing/pg_store_issued.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/billing/pg_store.h"
#include "services/billing/pg_store_charges.h"
#include "services/billing/pg_store_rows.h"
#include "services/billing/refusals.h"

namespace allod::billing {
namespace {

constexpr std::string_view kEntityColumns =
    "SELECT id, name, street, city, postal_code, country_code, tax_id, registration_id, invoice_prefix, "
    "credit_note_prefix, payment_days, payment_terms FROM billing.legal_entities ";
constexpr std::string_view kUpsertEntity =
    "INSERT INTO billing.legal_entities (id, name, street, city, postal_code, country_code, tax_id, registration_id, "
    "invoice_prefix, credit_note_prefix, payment_days, payment_terms, create_time, update_time) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, billing.from_micros($13), billing.from_micros($13)) "
    "ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, street = EXCLUDED.street, city = EXCLUDED.city, "
    "postal_code = EXCLUDED.postal_code, country_code = EXCLUDED.country_code, tax_id = EXCLUDED.tax_id, "
    "registration_id = EXCLUDED.registration_id, payment_days = EXCLUDED.payment_days, "
    "payment_terms = EXCLUDED.payment_terms, update_time = EXCLUDED.update_time";

// Said in words before billing.number_prefixes refuses it.
constexpr std::string_view kPrefixTakers =
    "WHERE id <> $1 AND (invoice_prefix IN ($2, $3) OR credit_note_prefix IN ($2, $3)) LIMIT 1";

constexpr std::string_view kFindProfile =
    "SELECT a.tenant_name, p.legal_entity_id, p.name, p.street, p.city, p.postal_code, p.country_code, p.tax_id, "
    "p.registration_id, p.buyer_reference, p.tax_category, p.tax_basis_points, p.tax_note, p.finalise_by_hand "
    "FROM billing.billing_profiles p JOIN billing.billing_accounts a ON a.tenant_id = p.tenant_id "
    "WHERE p.tenant_id = $1::uuid";
constexpr std::string_view kUpsertProfile =
    "INSERT INTO billing.billing_profiles (tenant_id, legal_entity_id, name, street, city, postal_code, country_code, "
    "tax_id, registration_id, buyer_reference, tax_category, tax_basis_points, tax_note, finalise_by_hand, "
    "create_time, update_time) "
    "VALUES ($1::uuid, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, billing.from_micros($15), "
    "billing.from_micros($15)) "
    "ON CONFLICT (tenant_id) DO UPDATE SET legal_entity_id = EXCLUDED.legal_entity_id, name = EXCLUDED.name, "
    "street = EXCLUDED.street, city = EXCLUDED.city, postal_code = EXCLUDED.postal_code, "
    "country_code = EXCLUDED.country_code, tax_id = EXCLUDED.tax_id, registration_id = EXCLUDED.registration_id, "
    "buyer_reference = EXCLUDED.buyer_reference, tax_category = EXCLUDED.tax_category, "
    "tax_basis_points = EXCLUDED.tax_basis_points, tax_note = EXCLUDED.tax_note, "
    "finalise_by_hand = EXCLUDED.finalise_by_hand, update_time = EXCLUDED.update_time";

// With the invoice that it corrects as c.
constexpr std::string_view kInvoiceColumns =
    "SELECT i.tenant_id, a.tenant_name, i.id, i.kind, billing.to_micros(i.month::timestamp AT TIME ZONE 'UTC'), "
    "i.legal_entity_id, i.sequence, i.number, i.currency_code, billing.to_micros(i.issue_time), "
    "billing.to_micros(i.due_time), i.seller_name, i.seller_street, i.seller_city, i.seller_postal_code, "
    "i.seller_country_code, i.seller_tax_id, i.seller_registration_id, i.buyer_name, i.buyer_street, i.buyer_city, "
    "i.buyer_postal_code, i.buyer_country_code, i.buyer_tax_id, i.buyer_registration_id, i.buyer_reference, "
    "i.payment_terms, i.net, i.tax, i.payable, i.residue, coalesce(i.corrected_id, ''), coalesce(c.number, ''), "
    "billing.to_micros(coalesce(c.issue_time, i.issue_time)), i.reason FROM billing.invoices i "
    "JOIN billing.billing_accounts a ON a.tenant_id = i.tenant_id "
    "LEFT JOIN billing.invoices c ON c.tenant_id = i.tenant_id AND c.id = i.corrected_id ";
constexpr std::string_view kOneInvoice = "WHERE i.tenant_id = $1::uuid AND i.id = $2";
constexpr std::string_view kPageOfInvoices =
    "WHERE i.tenant_id = $1::uuid AND ($2 = '' OR i.id < $2) ORDER BY i.id DESC LIMIT $3";

// Lines of an invoice, and those of a credit note with what they credit: of tokens, then of charges.
constexpr std::string_view kLines = R"(
  SELECT l.number, billing.to_micros(l.month::timestamp AT TIME ZONE 'UTC'), l.instance, l.variant, l.price_book_id,
    l.isolation_class, l.meter, l.request_count, l.first_epoch, l.last_epoch, l.quantity, l.unit_price, l.exact, l.amount,
    l.tax_category, l.tax_basis_points, 0, NULL, 'one', 1, '', NULL::uuid, ''
  FROM billing.invoice_lines l WHERE l.tenant_id = $1::uuid AND l.invoice_id = $2 AND ($3 = 0 OR l.number = $3)
  UNION ALL
  SELECT n.number, billing.to_micros(l.month::timestamp AT TIME ZONE 'UTC'), l.instance, l.variant, l.price_book_id,
    l.isolation_class, l.meter, 0, l.first_epoch, l.last_epoch, 0, l.unit_price, n.amount, n.amount, l.tax_category,
    l.tax_basis_points, n.credited_line, NULL, 'one', 1, '', NULL::uuid, ''
  FROM billing.credit_note_lines n
  JOIN billing.invoice_lines l
    ON l.tenant_id = n.tenant_id AND l.invoice_id = n.credited_id AND l.number = n.credited_line
  WHERE n.tenant_id = $1::uuid AND n.invoice_id = $2 AND ($3 = 0 OR n.number = $3)
  UNION ALL
  SELECT g.number, billing.to_micros(g.month::timestamp AT TIME ZONE 'UTC'), g.instance, g.variant,
    coalesce(g.price_book_id, '00000000-0000-0000-0000-000000000000'), g.isolation_class, 'prompt', 0, 0, 0, g.quantity,
    g.unit_price, g.exact, g.amount, g.tax_category, g.tax_basis_points, 0, g.kind, g.unit, g.per, g.detail, g.charge_id,
    g.term
  FROM billing.invoice_charges g WHERE g.tenant_id = $1::uuid AND g.invoice_id = $2 AND ($3 = 0 OR g.number = $3)
  UNION ALL
  SELECT h.number, billing.to_micros(g.month::timestamp AT TIME ZONE 'UTC'), g.instance, g.variant,
    coalesce(g.price_book_id, '00000000-0000-0000-0000-000000000000'), g.isolation_class, 'prompt', 0, 0, 0, 0,
    g.unit_price, h.amount, h.amount, g.tax_category, g.tax_basis_points, h.credited_line, g.kind, g.unit, g.per, g.detail,
    g.charge_id, g.term
  FROM billing.credit_note_charges h
  JOIN billing.invoice_charges g
    ON g.tenant_id = h.tenant_id AND g.invoice_id = h.credited_id AND g.number = h.credited_line
  WHERE h.tenant_id = $1::uuid AND h.invoice_id = $2 AND ($3 = 0 OR h.number = $3)
  ORDER BY 1)";
constexpr std::string_view kTaxes =
    "SELECT category, basis_points, taxable, tax, note FROM billing.invoice_taxes "
    "WHERE tenant_id = $1::uuid AND invoice_id = $2";

void ReadParty(RowReader& row, Party& party) {
  row.Into(party.name, party.street, party.city, party.postal_code, party.country_code, party.tax_id,
           party.registration_id);
}

LegalEntity ReadEntity(RowReader& row) {
  LegalEntity out;
  row.Into(out.id);
  ReadParty(row, out.party);
  row.Into(out.invoice_prefix, out.credit_note_prefix, out.payment_days, out.payment_terms);
  return out;
}

IssuedInvoice ReadHeader(RowReader& row) {
  IssuedInvoice out;
  Time month;
  row.Into(out.tenant, out.tenant_name, out.id, out.kind, month, out.legal_entity, out.sequence, out.number,
           out.currency_code, out.issue_time, out.due_time);
  ReadParty(row, out.seller);
  ReadParty(row, out.buyer);
  row.Into(out.buyer_reference, out.payment_terms, out.net, out.tax, out.payable, out.residue, out.corrected_id,
           out.corrected_number, out.corrected_issue_time, out.reason);
  out.period = PeriodOf(month);
  return out;
}

IssuedLine ReadLine(RowReader& row) {
  IssuedLine out;
  row.Into(out.number, out.month, out.instance, out.variant, out.price_book, out.isolation_class, out.meter,
           out.request_count, out.first_epoch, out.last_epoch, out.quantity, out.unit_price, out.exact, out.amount,
           out.tax_category, out.tax_basis_points, out.credited_line);
  ChargeTerms charge;
  const bool is_charge = !row.NextIsNull();
  if (is_charge) {
    row.Into(charge.kind, charge.unit, charge.per, charge.detail, charge.id, charge.term);
    out.charge = std::move(charge);
  }
  return out;
}

std::unexpected<Error> NoSuchInvoice(const std::string& id) {
  return NotFound(fmt::format("invoice {} is not issued", id));
}

}  // namespace

std::optional<LegalEntity> FindLegalEntityIn(PgTx& tx, const std::string& id) {
  const auto rows = tx.Exec(std::string(kEntityColumns) + "WHERE id = $1", id);
  if (rows.empty()) return std::nullopt;
  return ReadFirst(rows, ReadEntity);
}

std::optional<BillingProfile> FindProfileIn(TenantTx& tx, TenantId tenant) {
  const auto rows = tx.Exec(kFindProfile, tenant);
  if (rows.empty()) return std::nullopt;
  RowReader row(rows[0]);
  BillingProfile out{.tenant = tenant};
  row.Into(out.tenant_name, out.legal_entity);
  ReadParty(row, out.buyer);
  row.Into(out.buyer_reference, out.tax.category, out.tax.basis_points, out.tax.note, out.finalise_by_hand);
  return out;
}

Result<IssuedInvoice> ReadIssuedIn(TenantTx& tx, TenantId tenant, const std::string& id) {
  const auto rows = tx.Exec(fmt::format("{}{}", kInvoiceColumns, kOneInvoice), tenant, id);
  if (rows.empty()) return NoSuchInvoice(id);
  IssuedInvoice out = ReadFirst(rows, ReadHeader);
  out.lines = ReadAll(tx.Exec(kLines, tenant, id, 0), ReadLine);
  out.taxes = ReadAll(tx.Exec(kTaxes, tenant, id), [](RowReader& row) {
    TaxSubtotal tax;
    row.Into(tax.category, tax.basis_points, tax.taxable, tax.tax, tax.note);
    return tax;
  });
  std::ranges::sort(out.taxes, {}, [](const TaxSubtotal& tax) { return std::pair(tax.category, tax.basis_points); });
  return out;
}

Result<LegalEntity> PgStore::SetLegalEntity(const LegalEntity& entity, Time now) {
  return desk_.Run<LegalEntity>(
      [&](GlobalTx& tx) -> Result<LegalEntity> {
        const Party& p = entity.party;
        const auto takers = tx.Exec(fmt::format("{}{}", kEntityColumns, kPrefixTakers), entity.id,
                                    entity.invoice_prefix, entity.credit_note_prefix);
        if (!takers.empty()) ALLOD_CHECK_OK(CheckPrefixIsFree(ReadFirst(takers, ReadEntity), entity));
        tx.Exec(kUpsertEntity, entity.id, p.name, p.street, p.city, p.postal_code, p.country_code, p.tax_id,
                p.registration_id, entity.invoice_prefix, entity.credit_note_prefix, entity.payment_days,
                entity.payment_terms, now);
        const LegalEntity stored = *FindLegalEntityIn(tx, entity.id);
        ALLOD_CHECK_OK(CheckSamePrefixes(stored, entity));
        return stored;
      },
      RunAgain{});
}

Result<LegalEntity> PgStore::GetLegalEntity(const std::string& id) {
  return desk_.Run<LegalEntity>([&](GlobalTx& tx) -> Result<LegalEntity> {
    if (auto found = FindLegalEntityIn(tx, id)) return *std::move(found);
    return NotFound(fmt::format("legalEntities/{} does not exist", id));
  });
}

Result<std::vector<LegalEntity>> PgStore::ListLegalEntities(const std::string& after, int limit) {
  return desk_.Run<std::vector<LegalEntity>>([&](GlobalTx& tx) -> Result<std::vector<LegalEntity>> {
    return ReadAll(
        tx.Exec(std::string(kEntityColumns) + "WHERE id COLLATE \"C\" > $1 ORDER BY id COLLATE \"C\" LIMIT $2", after,
                limit),
        ReadEntity);
  });
}

Result<BillingProfile> PgStore::SetBillingProfile(const BillingProfile& profile, Time now) {
  return desk_.Run<BillingProfile>(
      profile.tenant,
      [&](TenantTx& tx) -> Result<BillingProfile> {
        if (!LockAccount(tx)) return NoBillingAccount();
        if (!FindLegalEntityIn(tx, profile.legal_entity)) {
          return std::unexpected(NoLegalEntity(profile.legal_entity));
        }
        const Party& p = profile.buyer;
        const auto before = FindProfileIn(tx, profile.tenant);
        if (before && SameProfile(*before, profile)) return *before;
        tx.Exec(kUpsertProfile, profile.tenant, profile.legal_entity, p.name, p.street, p.city, p.postal_code,
                p.country_code, p.tax_id, p.registration_id, profile.buyer_reference, profile.tax.category,
                profile.tax.basis_points, profile.tax.note, profile.finalise_by_hand, now);
        ALLOD_CHECK_OK(
            audit_.Append(tx, profile.tenant_name,
                          audit::Act{.action = "billing.billingProfiles.set",
                                     .resource = profile.tenant_name + "/billingProfile",
                                     .details = {{"legal_entity", profile.legal_entity},
                                                 {"tax_category", std::string(CodeOf(profile.tax.category))},
                                                 {"tax_basis_points", std::to_string(profile.tax.basis_points)}}}));
        return *FindProfileIn(tx, profile.tenant);
      },
      RunAgain{});
}

Result<BillingProfile> PgStore::GetBillingProfile(TenantId tenant) {
  return desk_.Run<BillingProfile>(tenant, [&](TenantTx& tx) -> Result<BillingProfile> {
    if (auto found = FindProfileIn(tx, tenant)) return *std::move(found);
    return NotFound("the tenant has no billing profile; the operator sets one with SetBillingProfile");
  });
}

Result<IssuedInvoice> PgStore::FindInvoice(TenantId tenant, const std::string& id) {
  return reports_.Run<IssuedInvoice>(tenant, [&](TenantTx& tx) { return ReadIssuedIn(tx, tenant, id); });
}

Result<IssuedLine> PgStore::FindInvoiceLine(TenantId tenant, const std::string& id, std::int32_t number) {
  return reports_.Run<IssuedLine>(tenant, [&](TenantTx& tx) -> Result<IssuedLine> {
    const auto rows = tx.Exec(kLines, tenant, id, number);
    if (rows.empty()) return NotFound(fmt::format("invoice {} has no line {}", id, number));
    return ReadFirst(rows, ReadLine);
  });
}

Result<std::vector<IssuedInvoice>> PgStore::ListInvoices(TenantId tenant, const std::string& before, int limit) {
  return reports_.Run<std::vector<IssuedInvoice>>(tenant, [&](TenantTx& tx) -> Result<std::vector<IssuedInvoice>> {
    return ReadAll(tx.Exec(fmt::format("{}{}", kInvoiceColumns, kPageOfInvoices), tenant, before, limit), ReadHeader);
  });
}

}  // namespace allod::billing
