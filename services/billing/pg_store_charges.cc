#include "services/billing/pg_store_charges.h"

#include "services/billing/pg_store.h"
#include "services/billing/pg_store_issued.h"
#include "services/billing/pg_store_rows.h"

namespace allod::billing {
namespace {

constexpr std::string_view kOpenCharges = R"(
  WITH span AS (SELECT (billing.from_micros($2) AT TIME ZONE 'UTC')::date AS first,
    (billing.from_micros($3) AT TIME ZONE 'UTC')::date AS last),
  time AS (
    SELECT t.month, 'instance_time' AS kind, t.instance, t.variant, t.isolation_class, t.price_book_id, '' AS detail,
      t.seconds - t.seconds_invoiced AS quantity, 'second' AS unit, 3600::bigint AS per, t.hour_price AS unit_price,
      NULL::numeric AS exact, NULL::uuid AS id
    FROM billing.instance_time_totals t, span
    WHERE t.tenant_id = $1::uuid AND t.open AND t.month BETWEEN span.first AND span.last
      AND ($5 = '' OR split_part(t.instance, '/', 4) = $5)
    ORDER BY t.month, t.instance COLLATE "C", t.variant COLLATE "C", t.isolation_class COLLATE "C", t.price_book_id
    LIMIT $4),
  single AS (
    SELECT c.month, c.kind, c.instance, c.variant, c.isolation_class, NULL::uuid, c.detail, c.quantity, c.unit, c.per,
      c.unit_price, c.exact, c.id
    FROM billing.charges c, span
    WHERE c.tenant_id = $1::uuid AND c.open AND c.month BETWEEN span.first AND span.last
      AND ($5 = '' OR split_part(c.instance, '/', 4) = $5)
    ORDER BY c.month, c.id LIMIT $4)
  SELECT billing.to_micros(o.month::timestamp AT TIME ZONE 'UTC'), o.kind, o.instance, o.variant, o.isolation_class,
    coalesce(o.price_book_id, '00000000-0000-0000-0000-000000000000'), o.detail, o.quantity, o.unit, o.per, o.unit_price,
    o.exact, o.id
  FROM (SELECT * FROM time UNION ALL SELECT * FROM single) AS o ORDER BY o.month LIMIT $4)";

constexpr std::string_view kInsertCharge =
    "INSERT INTO billing.invoice_charges (tenant_id, invoice_id, number, month, kind, source, charge_id, term, "
    "instance, "
    "variant, price_book_id, isolation_class, detail, quantity, unit, per, unit_price, exact, amount, tax_category, "
    "tax_basis_points) VALUES ($1::uuid, $2, $3, (billing.from_micros($4) AT TIME ZONE 'UTC')::date, $5, $6, $7::uuid, "
    "$8, "
    "$9, $10, $11::uuid, $12, $13, $14, $15, $16, $17::numeric, $18::numeric, $19::numeric, $20, $21)";
constexpr std::string_view kInsertCreditedCharge =
    "INSERT INTO billing.credit_note_charges (tenant_id, invoice_id, number, credited_id, credited_line, amount) "
    "VALUES ($1::uuid, $2, $3, $4, $5, $6::numeric)";

std::string_view SourceOf(const ChargeTerms& charge) {
  if (charge.id) return "charge";
  return charge.term.empty() ? "instance_time" : "terms";
}

}  // namespace

std::vector<Charge> ReadOpenChargesIn(TenantTx& tx, const OpenChargesQuery& query) {
  return ReadAll(
      tx.Exec(kOpenCharges, query.tenant, query.first, query.last, query.limit, query.project), [](RowReader& row) {
        Charge out;
        std::optional<Amount> exact;
        row.Into(out.month, out.terms.kind, out.instance, out.variant, out.isolation_class, out.price_book,
                 out.terms.detail, out.quantity, out.terms.unit, out.terms.per, out.unit_price, exact, out.terms.id);
        // Of time what is open now; its bounds keep it far below the limit of an amount.
        out.exact = exact ? *exact : ExactOf(out.quantity, out.unit_price, out.terms.per).value();
        return out;
      });
}

void InsertChargeLines(TenantTx& tx, const IssuedInvoice& doc) {
  for (const IssuedLine& line : doc.lines) {
    if (!line.charge) continue;
    if (doc.kind == IssuedInvoice::Kind::kCreditNote) {
      tx.Exec(kInsertCreditedCharge, doc.tenant, doc.id, line.number, doc.corrected_id, line.credited_line,
              line.amount);
      continue;
    }
    const std::string_view source = SourceOf(*line.charge);
    const std::optional<Uuid> book = source == "instance_time" ? std::optional(line.price_book) : std::nullopt;
    tx.Exec(kInsertCharge, doc.tenant, doc.id, line.number, line.month, line.charge->kind, source, line.charge->id,
            line.charge->term, line.instance, line.variant, book, line.isolation_class, line.charge->detail,
            line.quantity, line.charge->unit, line.charge->per, line.unit_price, line.exact, line.amount,
            CodeOf(line.tax_category), line.tax_basis_points);
  }
}

Result<std::vector<Charge>> PgStore::OpenCharges(const MonthQuery& query) {
  return reports_.Run<std::vector<Charge>>(query.tenant, [&](TenantTx& tx) -> Result<std::vector<Charge>> {
    return ReadOpenChargesIn(
        tx, {query.tenant, query.month, query.month, static_cast<std::int64_t>(query.limit), query.project});
  });
}

}  // namespace allod::billing
