#include "services/billing/pg_store_charges.h"

#include "services/billing/pg_store.h"
#include "services/billing/pg_store_issued.h"
#include "services/billing/pg_store_rows.h"
#include "services/billing/terms/pg_terms.h"

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

// One statement for all of a document: the numbers of its legal entity are locked meanwhile.
constexpr std::string_view kInsertCharges = R"(
  INSERT INTO billing.invoice_charges (tenant_id, invoice_id, number, month, kind, source, charge_id, term, instance,
    variant, price_book_id, isolation_class, detail, quantity, unit, per, unit_price, exact, amount, tax_category,
    tax_basis_points)
  SELECT $1::uuid, $2, w.number, (billing.from_micros(w.month) AT TIME ZONE 'UTC')::date, w.kind, w.source,
    NULLIF(w.charge_id, '')::uuid, w.term, w.instance, w.variant, NULLIF(w.price_book_id, '')::uuid, w.isolation_class,
    w.detail, w.quantity, w.unit, w.per, w.unit_price, w.exact, w.amount, w.tax_category, w.tax_basis_points
  FROM unnest($3::int[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
      $11::text[], $12::text[], $13::text[], $14::bigint[], $15::text[], $16::bigint[], $17::numeric[], $18::numeric[],
      $19::numeric[], $20::text[], $21::int[])
    AS w (number, month, kind, source, charge_id, term, instance, variant, price_book_id, isolation_class, detail,
      quantity, unit, per, unit_price, exact, amount, tax_category, tax_basis_points)
  ORDER BY w.number)";
constexpr std::string_view kInsertCreditedCharges = R"(
  INSERT INTO billing.credit_note_charges (tenant_id, invoice_id, number, credited_id, credited_line, amount)
  SELECT $1::uuid, $2, w.number, $3, w.credited_line, w.amount
  FROM unnest($4::int[], $5::int[], $6::numeric[]) AS w (number, credited_line, amount) ORDER BY w.number)";

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
  using Column = std::vector<std::string>;
  Column number, amount;
  if (doc.kind == IssuedInvoice::Kind::kCreditNote) {
    Column credited;
    for (const IssuedLine& line : doc.lines) {
      if (!line.charge) continue;
      number.push_back(std::to_string(line.number));
      credited.push_back(std::to_string(line.credited_line));
      amount.push_back(line.amount.ToPicoString());
    }
    if (!number.empty()) {
      tx.Exec(kInsertCreditedCharges, doc.tenant, doc.id, doc.corrected_id, number, credited, amount);
    }
    return;
  }
  Column month, kind, from, charge, term, instance, variant, book, isolation, detail, quantity, unit, per, price, exact,
      category, basis_points;
  for (const IssuedLine& line : doc.lines) {
    if (!line.charge) continue;
    const std::string_view source = SourceOf(*line.charge);
    number.push_back(std::to_string(line.number));
    month.push_back(std::to_string(ToMicros(line.month)));
    kind.emplace_back(ToRowWord(line.charge->kind));
    from.emplace_back(source);
    charge.push_back(line.charge->id ? line.charge->id->ToString() : "");
    term.push_back(line.charge->term);
    instance.push_back(line.instance);
    variant.push_back(line.variant);
    book.push_back(source == "instance_time" ? line.price_book.ToString() : "");
    isolation.push_back(line.isolation_class);
    detail.push_back(line.charge->detail);
    quantity.push_back(std::to_string(line.quantity));
    unit.emplace_back(ToRowWord(line.charge->unit));
    per.push_back(std::to_string(line.charge->per));
    price.push_back(line.unit_price.ToPicoString());
    exact.push_back(line.exact.ToPicoString());
    amount.push_back(line.amount.ToPicoString());
    category.emplace_back(CodeOf(line.tax_category));
    basis_points.push_back(std::to_string(line.tax_basis_points));
  }
  if (number.empty()) return;
  tx.Exec(kInsertCharges, doc.tenant, doc.id, number, month, kind, from, charge, term, instance, variant, book,
          isolation, detail, quantity, unit, per, price, exact, amount, category, basis_points);
}

Result<std::vector<Charge>> PgStore::OpenCharges(const MonthQuery& query) {
  return reports_.Run<std::vector<Charge>>(query.tenant, [&](TenantTx& tx) -> Result<std::vector<Charge>> {
    std::vector<Charge> out = ReadOpenChargesIn(
        tx, {query.tenant, query.month, query.month, static_cast<std::int64_t>(query.limit), query.project});
    if (!query.project.empty()) return out;
    // What terms do is the tenant's as a whole.
    ALLOD_TRY(const std::vector<Charge> of_terms, terms::ReadMonthAdjustmentsIn(tx, query.tenant, query.month));
    out.insert(out.end(), of_terms.begin(), of_terms.end());
    return out;
  });
}

}  // namespace allod::billing
