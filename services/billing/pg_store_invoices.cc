// Finalising and crediting: the transactions that make documents. pg_store_issued.cc reads them.
//
// Locks are taken in one order: the tenant's account, then the numbers of the legal entity, then the head of the audit
// log. So tenants wait for each other only from the header's insertion to the commit.
#include <fmt/format.h>

#include <algorithm>

#include "services/billing/charge_lines.h"
#include "services/billing/pg_store.h"
#include "services/billing/pg_store_charges.h"
#include "services/billing/pg_store_issued.h"
#include "services/billing/pg_store_rows.h"
#include "services/billing/terms/pg_terms.h"
#include "services/common/fault_point.h"

namespace allod::billing {
namespace {

constexpr std::string_view kLastPeriod =
    "SELECT billing.to_micros(i.month::timestamp AT TIME ZONE 'UTC') FROM billing.invoices i "
    "WHERE i.tenant_id = $1::uuid AND i.kind = 'invoice' ORDER BY i.month DESC LIMIT 1";
constexpr std::string_view kOpenHolds =
    "SELECT request_id, count(*) OVER () FROM billing.open_reservations "
    "WHERE tenant_id = $1::uuid AND request_id < $2::uuid ORDER BY request_id LIMIT $3";
constexpr std::string_view kOpenUsage =
    "SELECT billing.to_micros(t.month::timestamp AT TIME ZONE 'UTC'), t.instance, t.variant, t.price_book_id, "
    "t.isolation_class, t.prompt_price, t.completion_price, t.request_count, t.prompt_tokens, t.completion_tokens, "
    "t.requests_invoiced, t.prompt_tokens_invoiced, t.completion_tokens_invoiced, t.next_epoch FROM "
    "billing.usage_totals t WHERE t.tenant_id = $1::uuid AND t.open "
    "AND t.month <= (billing.from_micros($2) AT TIME ZONE 'UTC')::date "
    "ORDER BY t.month, t.instance COLLATE \"C\", t.variant COLLATE \"C\", t.price_book_id, "
    "t.isolation_class COLLATE \"C\" LIMIT $3";

// Sequence and number are the trigger's, and times, which do not go back along numbers.
constexpr std::string_view kInsertInvoice = R"(
  INSERT INTO billing.invoices (tenant_id, id, kind, month, legal_entity_id, currency_code, issue_time, due_time,
    seller_name, seller_street, seller_city, seller_postal_code, seller_country_code, seller_tax_id,
    seller_registration_id, buyer_name, buyer_street, buyer_city, buyer_postal_code, buyer_country_code, buyer_tax_id,
    buyer_registration_id, buyer_reference, payment_terms, net, tax, payable, residue, corrected_id, reason, request_id,
    payload_sha256)
  VALUES ($1::uuid, $2, $3, (billing.from_micros($4) AT TIME ZONE 'UTC')::date, $5, $6, billing.from_micros($7),
    billing.from_micros($8), $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
    $25::numeric, $26::numeric, $27::numeric, $28::numeric, NULLIF($29, ''), $30, $31::uuid, $32)
  RETURNING sequence, number, billing.to_micros(issue_time), billing.to_micros(due_time))";
constexpr std::string_view kInsertLines = R"(
  INSERT INTO billing.invoice_lines (tenant_id, invoice_id, number, month, instance, variant, price_book_id,
    isolation_class, meter, request_count, first_epoch, last_epoch, quantity, unit_price, exact, amount, tax_category,
    tax_basis_points)
  SELECT $1::uuid, $2, l.number, (billing.from_micros(l.month) AT TIME ZONE 'UTC')::date, l.instance, l.variant,
    l.price_book, l.class, l.meter, l.requests, l.first, l.last, l.quantity, l.price, l.exact, l.amount, l.category, l.rate
  FROM unnest($3::int[], $4::bigint[], $5::text[], $6::text[], $7::uuid[], $8::text[], $9::text[], $10::bigint[],
    $11::int[], $12::int[], $13::bigint[], $14::numeric[], $15::numeric[], $16::numeric[], $17::text[], $18::int[])
    AS l (number, month, instance, variant, price_book, class, meter, requests, first, last, quantity, price, exact,
          amount, category, rate)
  ORDER BY l.number)";
constexpr std::string_view kInsertCreditLines = R"(
  INSERT INTO billing.credit_note_lines (tenant_id, invoice_id, number, credited_id, credited_line, amount)
  SELECT $1::uuid, $2, l.number, $3, l.credited, l.amount
  FROM unnest($4::int[], $5::int[], $6::numeric[]) AS l (number, credited, amount))";
constexpr std::string_view kInsertTax =
    "INSERT INTO billing.invoice_taxes (tenant_id, invoice_id, category, basis_points, taxable, tax, note) "
    "VALUES ($1::uuid, $2, $3, $4, $5::numeric, $6::numeric, $7)";
constexpr std::string_view kInsertInvoiceTransfer =
    "INSERT INTO billing.transfers (tenant_id, id, kind, invoice_id, debit, credit, currency_code, amount, "
    "create_time) VALUES ($1::uuid, $2::uuid, $3, $4, $5, $6, $7, $8::numeric, billing.from_micros($9))";

constexpr std::string_view kFindCreditByRequest =
    "SELECT id, payload_sha256 FROM billing.invoices WHERE tenant_id = $1::uuid AND request_id = $2::uuid";
constexpr std::string_view kCountCredits =
    "SELECT count(*) FROM billing.invoices WHERE tenant_id = $1::uuid AND corrected_id = $2";
constexpr std::string_view kCredited =
    "SELECT credited_line, sum(amount) FROM billing.credit_note_lines "
    "WHERE tenant_id = $1::uuid AND credited_id = $2 GROUP BY credited_line "
    "UNION ALL SELECT credited_line, sum(amount) FROM billing.credit_note_charges "
    "WHERE tenant_id = $1::uuid AND credited_id = $2 GROUP BY credited_line";

constexpr std::string_view kTenantsWithDuePeriods =
    "SELECT d.tenant_id, d.month_micros FROM billing.tenants_with_due_periods($1, $2::uuid, $3) d ORDER BY d.tenant_id";

constexpr std::string_view kClock = "SELECT billing.to_micros(clock_timestamp())";
// As billing.number_invoice has it.
constexpr std::chrono::minutes kAheadMax{5};

// Said in words before the trigger refuses it.
Status CheckIssueTime(TenantTx& tx, Time now) {
  const auto rows = tx.Exec(kClock);
  const Time there = ReadFirst(rows, [](RowReader& row) { return row.Next<Time>(); });
  if (now <= there + kAheadMax) return {};
  return FailedPrecondition(
      "CLOCK_SKEW",
      fmt::format("billing's clock says {} and the database's {}; nothing is issued until the one that is "
                  "wrong is set, because dates never go back along numbers",
                  Instant(now), Instant(there)));
}

Result<FinaliseState> ReadFinaliseState(TenantTx& tx, const FinaliseCommand& command) {
  const std::string tenant = command.tenant.ToString();
  FinaliseState state;
  const std::optional<LockedAccount> account = LockAccount(tx);
  if (!account) return state;
  state.account = BillingAccount{
      .tenant = command.tenant, .tenant_name = account->tenant_name, .currency_code = account->currency_code};
  state.epoch = account->invoice_epoch;
  state.profile = FindProfileIn(tx, command.tenant);
  if (state.profile) state.issuer = FindLegalEntityIn(tx, state.profile->legal_entity);
  if (const auto last = tx.Exec(kLastPeriod, tenant); !last.empty())
    state.last_period = RowReader(last[0]).Next<Time>();
  for (const auto& fields :
       tx.Exec(kOpenHolds, tenant, FirstRequestIdAt(command.period.end).ToString(), kHoldsNamedMax)) {
    RowReader(fields).Into(state.open_holds.emplace_back(), state.open_hold_count);
  }
  const auto usage = tx.Exec(kOpenUsage, tenant, command.period.start, kIssuedLinesMax + 1);
  state.usage = ReadAll(usage, [](RowReader& row) {
    OpenUsage out;
    InvoiceLine& totals = out.totals;
    row.Into(out.month, totals.instance, totals.variant, totals.price_book, totals.isolation_class, totals.prompt_price,
             totals.completion_price, totals.request_count, totals.prompt_tokens, totals.completion_tokens,
             out.requests_invoiced, out.prompt_tokens_invoiced, out.completion_tokens_invoiced, out.next_epoch);
    return out;
  });
  state.charges = ReadOpenChargesIn(
      tx, {.tenant = command.tenant, .last = command.period.start, .limit = kIssuedLinesMax + 1, .project = ""});
  ALLOD_TRY(const std::vector<Charge> of_terms,
            terms::ReadOpenAdjustmentsIn(tx, command.tenant, state.last_period, command.period.start));
  state.charges.insert(state.charges.end(), of_terms.begin(), of_terms.end());
  return state;
}

// One array of text for each column of lines.
template <typename Of>
std::vector<std::string> Column(const std::vector<IssuedLine>& lines, Of&& of) {
  std::vector<std::string> out;
  out.reserve(lines.size());
  for (const IssuedLine& line : lines) out.push_back(of(line));
  return out;
}

void InsertHeader(TenantTx& tx, IssuedInvoice& doc) {
  const Party& s = doc.seller;
  const Party& b = doc.buyer;
  const std::optional<Uuid> request = doc.request.given() ? std::optional(doc.request.id) : std::nullopt;
  const auto rows =
      tx.Exec(kInsertInvoice, doc.tenant, doc.id, doc.kind, doc.period.start, doc.legal_entity, doc.currency_code,
              doc.issue_time, doc.due_time, s.name, s.street, s.city, s.postal_code, s.country_code, s.tax_id,
              s.registration_id, b.name, b.street, b.city, b.postal_code, b.country_code, b.tax_id, b.registration_id,
              doc.buyer_reference, doc.payment_terms, doc.net, doc.tax, doc.payable, doc.residue, doc.corrected_id,
              doc.reason, request, doc.request.payload_sha256);
  RowReader(rows.at(0)).Into(doc.sequence, doc.number, doc.issue_time, doc.due_time);
}

void InsertLines(TenantTx& tx, const IssuedInvoice& doc) {
  InsertChargeLines(tx, doc);
  std::vector<IssuedLine> lines;
  std::ranges::copy_if(doc.lines, std::back_inserter(lines), [](const IssuedLine& line) { return !line.charge; });
  if (lines.empty()) return;
  const auto number = Column(lines, [](const IssuedLine& l) { return std::to_string(l.number); });
  const auto amount = Column(lines, [](const IssuedLine& l) { return l.amount.ToPicoString(); });
  if (doc.kind == IssuedInvoice::Kind::kCreditNote) {
    tx.Exec(kInsertCreditLines, doc.tenant, doc.id, doc.corrected_id, number,
            Column(lines, [](const IssuedLine& l) { return std::to_string(l.credited_line); }), amount);
    return;
  }
  tx.Exec(kInsertLines, doc.tenant, doc.id, number,
          Column(lines, [](const IssuedLine& l) { return std::to_string(ToMicros(l.month)); }),
          Column(lines, [](const IssuedLine& l) { return l.instance; }),
          Column(lines, [](const IssuedLine& l) { return l.variant; }),
          Column(lines, [](const IssuedLine& l) { return l.price_book.ToString(); }),
          Column(lines, [](const IssuedLine& l) { return l.isolation_class; }),
          Column(lines, [](const IssuedLine& l) { return std::string(ToRowWord(l.meter)); }),
          Column(lines, [](const IssuedLine& l) { return std::to_string(l.request_count); }),
          Column(lines, [](const IssuedLine& l) { return std::to_string(l.first_epoch); }),
          Column(lines, [](const IssuedLine& l) { return std::to_string(l.last_epoch); }),
          Column(lines, [](const IssuedLine& l) { return std::to_string(l.quantity); }),
          Column(lines, [](const IssuedLine& l) { return l.unit_price.ToPicoString(); }),
          Column(lines, [](const IssuedLine& l) { return l.exact.ToPicoString(); }), amount,
          Column(lines, [](const IssuedLine& l) { return std::string(CodeOf(l.tax_category)); }),
          Column(lines, [](const IssuedLine& l) { return std::to_string(l.tax_basis_points); }));
}

void InsertTransfer(TenantTx& tx, const IssuedInvoice& doc, std::string_view kind, std::string_view debit,
                    std::string_view credit, Amount amount) {
  if (amount == Amount()) return;
  tx.Exec(kInsertInvoiceTransfer, doc.tenant, Uuid::V7(doc.issue_time), kind, doc.id, debit, credit, doc.currency_code,
          amount, doc.issue_time);
}

// Usage is owed already: what is left to book is charges, what rounding moved, and tax.
Status Book(TenantTx& tx, const IssuedInvoice& doc) {
  if (doc.kind == IssuedInvoice::Kind::kCreditNote) {
    InsertTransfer(tx, doc, "credit", kUsageRevenue, kReceivable, doc.net);
    InsertTransfer(tx, doc, "credit_tax", kTaxPayable, kReceivable, doc.tax);
    return {};
  }
  ALLOD_TRY(const ChargeSums sums, SumCharges(doc));
  InsertTransfer(tx, doc, "charge", kReceivable, kUsageRevenue, sums.charge);
  InsertTransfer(tx, doc, "discount", kUsageRevenue, kReceivable, sums.discount);
  if (doc.residue > Amount()) {
    InsertTransfer(tx, doc, "rounding", kRounding, kReceivable, doc.residue);
  } else {
    InsertTransfer(tx, doc, "rounding", kReceivable, kRounding, Amount::FromPico(-doc.residue.pico()));
  }
  InsertTransfer(tx, doc, "tax", kReceivable, kTaxPayable, doc.tax);
  return {};
}

audit::Act ActOf(const IssuedInvoice& doc) {
  const bool is_invoice = doc.kind == IssuedInvoice::Kind::kInvoice;
  return {.action = is_invoice ? "billing.invoices.finalise" : "billing.invoices.credit",
          .resource = doc.tenant_name + "/invoices/" + doc.id,
          .details = {{"number", doc.number}, {"payable", doc.payable.ToString() + " " + doc.currency_code}}};
}

}  // namespace

Result<IssuedInvoice> WriteIssuedIn(TenantTx& tx, const audit::PgLog& log, IssuedInvoice doc, Time now) {
  ALLOD_CHECK_OK(CheckIssueTime(tx, now));
  AllowMinutes(tx);
  InsertHeader(tx, doc);
  ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kInvoiceNumbered));
  InsertLines(tx, doc);
  for (const TaxSubtotal& tax : doc.taxes) {
    tx.Exec(kInsertTax, doc.tenant, doc.id, CodeOf(tax.category), tax.basis_points, tax.taxable, tax.tax, tax.note);
  }
  ALLOD_CHECK_OK(Book(tx, doc));
  ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kInvoiceBooked));
  ALLOD_CHECK_OK(log.Append(tx, doc.tenant_name, ActOf(doc)));
  ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kInvoiceWritten));
  return doc;
}

Result<CreditState> ReadCreditStateIn(TenantTx& tx, TenantId tenant, const std::string& id) {
  CreditState state;
  ALLOD_TRY(state.invoice, ReadIssuedIn(tx, tenant, id));
  state.credit_notes = tx.Exec(kCountCredits, tenant, id)[0][0].as<int>();
  for (const auto& fields : tx.Exec(kCredited, tenant, id)) {
    RowReader row(fields);
    const auto line = row.Next<std::int32_t>();
    state.credited[line] = row.Next<Amount>();
  }
  return state;
}

Result<IssuedInvoice> PgStore::FinaliseInvoice(const FinaliseCommand& command, Time now) {
  // In doubt it is done again, and finds what it made.
  return desk_.Run<IssuedInvoice>(
      command.tenant,
      [&](TenantTx& tx) -> Result<IssuedInvoice> {
        LockAccount(tx);
        auto there = ReadIssuedIn(tx, command.tenant, command.period.name);
        if (there || there.error().code != Code::kNotFound) return there;
        ALLOD_TRY(const FinaliseState state, ReadFinaliseState(tx, command));
        ALLOD_TRY(IssuedInvoice made, DecideFinalise(state, command, now));
        return WriteIssuedIn(tx, audit_, std::move(made), now);
      },
      RunAgain{});
}

Result<IssuedInvoice> PgStore::CreateCreditNote(const CreditCommand& command, Time now) {
  return desk_.Run<IssuedInvoice>(
      command.tenant,
      [&](TenantTx& tx) -> Result<IssuedInvoice> {
        LockAccount(tx);
        const auto repeated = tx.Exec(kFindCreditByRequest, command.tenant, command.request.id);
        if (!repeated.empty()) {
          ALLOD_CHECK_OK(CheckSamePayload(command.request, repeated[0][1].as<std::string>()));
          return ReadIssuedIn(tx, command.tenant, repeated[0][0].as<std::string>());
        }
        ALLOD_TRY(const CreditState state, ReadCreditStateIn(tx, command.tenant, command.period.name));
        ALLOD_TRY(IssuedInvoice made, DecideCredit(state, command, now));
        return WriteIssuedIn(tx, audit_, std::move(made), now);
      },
      RunAgain{});
}

Result<std::vector<DuePeriod>> PgStore::TenantsWithDuePeriods(Time before, std::optional<TenantId> after, int limit) {
  return desk_.Run<std::vector<DuePeriod>>([&](GlobalTx& tx) -> Result<std::vector<DuePeriod>> {
    return ReadAll(tx.Exec(kTenantsWithDuePeriods, before, (after ? after->value : Uuid()).ToString(), limit),
                   [](RowReader& row) {
                     DuePeriod due;
                     row.Into(due.tenant, due.month);
                     return due;
                   });
  });
}

}  // namespace allod::billing
