// Lists, sums and the audit.
#include <fmt/format.h>

#include "services/billing/pg_store.h"
#include "services/billing/pg_store_rows.h"

namespace allod::billing {
namespace {

// A range of the primary key, or of (tenant, instance, id) or (tenant, project, id): a page costs the same however many
// rows there are.
constexpr std::string_view kListUsage =
    "SELECT {} FROM billing.usage_records u WHERE u.tenant_id = $1::uuid AND u.request_id >= $2::uuid "
    "AND u.request_id < $3::uuid {} ORDER BY u.tenant_id DESC{}, u.request_id DESC LIMIT $4";
const std::string kListAllUsage = fmt::format(kListUsage, kUsageColumns, "", "");
const std::string kListInstanceUsage =
    fmt::format(kListUsage, kUsageColumns, "AND u.instance = $5", ", u.instance DESC");
const std::string kListProjectUsage = fmt::format(kListUsage, kUsageColumns, "AND u.project = $5", ", u.project DESC");

// Those of a line of an invoice: a range of epochs.
const std::string kListLineUsage =
    fmt::format(kListUsage, kUsageColumns,
                "AND u.instance = $5 AND u.variant = $6 AND u.price_book_id = $7::uuid AND u.isolation_class = $8 AND "
                "u.billed AND u.invoice_epoch BETWEEN $9 AND $10",
                ", u.instance DESC");

// What no invoice has yet. A row that none has anything of is there whatever it says.
constexpr std::string_view kSumMonth =
    "SELECT t.instance, t.variant, t.price_book_id, t.request_count - t.requests_invoiced, "
    "t.prompt_tokens - t.prompt_tokens_invoiced, t.completion_tokens - t.completion_tokens_invoiced, "
    "t.prompt_price, t.completion_price, (t.prompt_tokens - t.prompt_tokens_invoiced) * t.prompt_price "
    "+ (t.completion_tokens - t.completion_tokens_invoiced) * t.completion_price, t.isolation_class "
    "FROM billing.usage_totals t WHERE t.tenant_id = $1::uuid "
    "AND t.month = (billing.from_micros($2) AT TIME ZONE 'UTC')::date AND (t.open OR t.next_epoch = 0) "
    "AND ($4 = '' OR split_part(t.instance, '/', 4) = $4) "
    "ORDER BY t.instance COLLATE \"C\", t.variant COLLATE \"C\", t.price_book_id, t.isolation_class COLLATE \"C\" "
    "LIMIT $3";

constexpr std::string_view kListLedgerAccounts =
    "SELECT code, currency_code, posted, held FROM billing.ledger_accounts "
    "WHERE tenant_id = $1::uuid AND code COLLATE \"C\" > $2 ORDER BY code COLLATE \"C\" LIMIT $3";

constexpr std::string_view kAudit = R"(
  WITH t AS (SELECT *, billing.posts(kind) AS posts FROM billing.transfers WHERE tenant_id = $1::uuid),
  hold AS (SELECT p.debit, p.amount FROM t p
    WHERE p.kind = 'pending' AND NOT EXISTS (SELECT FROM t x WHERE x.pending_id = p.id)),
  moved AS (
    SELECT debit AS code, -amount AS posted, 0 AS held FROM t WHERE posts
    UNION ALL SELECT credit, amount, 0 FROM t WHERE posts
    UNION ALL SELECT debit, 0, amount FROM hold
    UNION ALL SELECT debit, 0, amount FROM t WHERE kind = 'lease'
    UNION ALL SELECT debit, 0, -amount FROM t WHERE kind IN ('lease_return', 'lease_post')),
  summed AS (SELECT code, sum(posted) AS posted, sum(held) AS held FROM moved GROUP BY code),
  open_lease AS (SELECT e.expire_time FROM billing.leases e WHERE e.tenant_id = $1::uuid AND e.end_time IS NULL)
  SELECT coalesce(a.code, s.code), coalesce(a.currency_code, ''), coalesce(a.posted, 0), coalesce(a.held, 0),
    coalesce(s.posted, 0), coalesce(s.held, 0),
    (SELECT count(*) FROM t), (SELECT count(*) FROM billing.usage_records u WHERE u.tenant_id = $1::uuid),
    (SELECT count(*) FROM hold), (SELECT count(*) FROM billing.open_reservations o WHERE o.tenant_id = $1::uuid),
    (SELECT count(*) FROM billing.open_reservations o
     WHERE o.tenant_id = $1::uuid AND o.expire_time < billing.from_micros($2)),
    (SELECT count(*) FROM billing.usage_records u
     WHERE u.tenant_id = $1::uuid AND u.excess_prompt_tokens + u.excess_completion_tokens > 0),
    (SELECT coalesce(sum(amount), 0) FROM t WHERE kind LIKE '%post'),
    (SELECT coalesce(sum(cost), 0) FROM billing.usage_records u WHERE u.tenant_id = $1::uuid),
    (SELECT coalesce(sum(amount), 0) FROM billing.usage_totals m WHERE m.tenant_id = $1::uuid),
    (SELECT count(*) FROM open_lease),
    (SELECT count(*) FROM open_lease WHERE expire_time < statement_timestamp() - $3 * interval '1 microsecond'),
    (SELECT count(*) FROM t WHERE kind = 'lease_short_post')
  FROM (SELECT * FROM billing.ledger_accounts WHERE tenant_id = $1::uuid) a FULL JOIN summed s ON s.code = a.code
  ORDER BY 1)";

// Of what ends a hold: it fits it. And a hold is that of its reservation.
constexpr std::string_view kCountTransferFaults = R"(
  WITH t AS (SELECT * FROM billing.transfers x WHERE x.tenant_id = $1::uuid)
  SELECT (SELECT count(*) FROM t LEFT JOIN t p ON p.id = coalesce(t.pending_id, t.expired_id)
          WHERE t.kind IN ('post', 'void', 'expire', 'late_post') AND (p.kind IS DISTINCT FROM 'pending'
            OR (p.debit, p.credit, p.currency_code) <> (t.debit, t.credit, t.currency_code) OR t.amount > p.amount
            OR (t.kind IN ('void', 'expire') AND t.amount <> p.amount)
            OR (t.kind = 'late_post' AND NOT EXISTS (SELECT FROM t x WHERE x.pending_id = p.id AND x.kind = 'expire'))))
    + (SELECT count(*) FROM (SELECT * FROM t WHERE t.kind = 'pending') p
       FULL JOIN (SELECT * FROM billing.reservations r WHERE r.tenant_id = $1::uuid) r ON r.hold_id = p.id
       WHERE r.hold IS DISTINCT FROM p.amount))";

// Documents that do not add up or were not booked; totals, and lines, that are not what the records of theirs add up
// to; and totals of which another amount was invoiced than they say.
constexpr std::string_view kCountInvoiceFaults = R"(
  WITH used AS MATERIALIZED (
    SELECT date_trunc('month', u.admit_time AT TIME ZONE 'UTC')::date AS month, u.instance, u.variant, u.price_book_id,
      u.isolation_class, u.invoice_epoch, count(*) AS requests, sum(u.prompt_tokens - u.excess_prompt_tokens) AS prompt,
      sum(u.completion_tokens - u.excess_completion_tokens) AS completion, sum(u.cost) AS cost
    FROM billing.usage_records u WHERE u.tenant_id = $1::uuid AND u.billed GROUP BY 1, 2, 3, 4, 5, 6)
  SELECT (SELECT count(*) FROM (
            SELECT month, instance, variant, price_book_id, isolation_class, sum(requests) AS requests,
              sum(prompt) AS prompt, sum(completion) AS completion, sum(cost) AS cost
            FROM used GROUP BY 1, 2, 3, 4, 5) u
          FULL JOIN (SELECT * FROM billing.usage_totals t WHERE t.tenant_id = $1::uuid) t
            USING (month, instance, variant, price_book_id, isolation_class)
          WHERE (u.requests, u.prompt, u.completion, u.cost) IS DISTINCT FROM
            (t.request_count::numeric, t.prompt_tokens::numeric, t.completion_tokens::numeric, t.amount))
    + (SELECT count(*) FROM (
         SELECT l.quantity, sum(CASE l.meter WHEN 'prompt' THEN u.prompt ELSE u.completion END) AS used
         FROM billing.invoice_lines l LEFT JOIN used u ON (u.month, u.instance, u.variant, u.price_book_id,
             u.isolation_class) = (l.month, l.instance, l.variant, l.price_book_id, l.isolation_class)
           AND u.invoice_epoch BETWEEN l.first_epoch AND l.last_epoch
         WHERE l.tenant_id = $1::uuid GROUP BY l.invoice_id, l.number, l.quantity) s
       WHERE s.used IS DISTINCT FROM s.quantity::numeric)
    + (SELECT count(*) FROM billing.invoices i
          WHERE i.tenant_id = $1::uuid AND (billing.invoice_fault(i.tenant_id, i.id) IS NOT NULL
            OR billing.share_fault(i.tenant_id, i.id) IS NOT NULL))
    + (SELECT count(*) FROM billing.usage_totals t
       LEFT JOIN (
         SELECT month, instance, variant, price_book_id, isolation_class,
           sum(quantity) FILTER (WHERE meter = 'prompt') AS prompt,
           sum(quantity) FILTER (WHERE meter = 'completion') AS completion
         FROM billing.invoice_lines WHERE tenant_id = $1::uuid
         GROUP BY month, instance, variant, price_book_id, isolation_class) l
         USING (month, instance, variant, price_book_id, isolation_class)
       WHERE t.tenant_id = $1::uuid AND (t.prompt_tokens_invoiced, t.completion_tokens_invoiced)
         IS DISTINCT FROM (coalesce(l.prompt, 0)::bigint, coalesce(l.completion, 0)::bigint))
    + (SELECT count(*) FROM billing.instance_time_totals t
       LEFT JOIN (
         SELECT month, instance, variant, isolation_class, price_book_id, sum(quantity)::bigint AS seconds
         FROM billing.invoice_charges WHERE tenant_id = $1::uuid AND source = 'instance_time'
         GROUP BY month, instance, variant, isolation_class, price_book_id) g
         USING (month, instance, variant, isolation_class, price_book_id)
       WHERE t.tenant_id = $1::uuid AND t.seconds_invoiced <> coalesce(g.seconds, 0))
    + (SELECT count(*) FROM billing.charges c
       LEFT JOIN billing.invoice_charges g ON g.tenant_id = c.tenant_id AND g.charge_id = c.id
       WHERE c.tenant_id = $1::uuid AND (c.open = (g.charge_id IS NOT NULL) OR c.exact <> g.exact)))";

constexpr std::string_view kCountBudgetFaults = "SELECT billing.budget_faults($1::uuid)";
constexpr std::string_view kCountPaymentFaults = "SELECT billing.payment_faults($1::uuid)";

// What remains of each is what its transfers leave.
constexpr std::string_view kMismatchedLeases = R"(
  SELECT e.id FROM billing.leases e
  LEFT JOIN (
    SELECT lease_id, sum(CASE WHEN kind = 'lease' THEN amount ELSE -amount END) AS remaining FROM billing.transfers
    WHERE tenant_id = $1::uuid AND kind IN ('lease', 'lease_return', 'lease_post') GROUP BY lease_id) AS s
    ON s.lease_id = e.id
  WHERE e.tenant_id = $1::uuid AND e.remaining <> coalesce(s.remaining, 0) ORDER BY e.id LIMIT $2)";

constexpr std::string_view kMismatchedPayouts =
    "SELECT 'payouts/' || split_part(p.publisher, '/', 2) || '-' || lower(p.currency_code) || '-' || to_char(p.month, "
    "'YYYY-MM') FROM billing.payouts p WHERE billing.payout_fault(p.publisher, p.currency_code, p.month) IS NOT NULL "
    "ORDER BY 1 LIMIT $1";

constexpr std::string_view kListKnownTenants =
    "SELECT tenant_id, name FROM billing.known_tenants WHERE tenant_id > $1::uuid ORDER BY tenant_id LIMIT $2";

constexpr std::int64_t kOverdueMicros = std::chrono::microseconds(kOverdueAfter).count();

Uuid Highest() {
  std::array<std::uint8_t, 16> bytes;
  bytes.fill(0xff);
  return Uuid::FromBytes(bytes);
}

}  // namespace

Result<std::vector<UsageRecord>> PgStore::ListUsageRecords(const UsageQuery& query) {
  Uuid low = query.start ? FirstRequestIdAt(*query.start) : Uuid();
  Uuid high = query.end ? FirstRequestIdAt(*query.end) : Highest();
  if (query.before) high = std::min(high, *query.before);
  if (query.line) {
    low = std::max(low, FirstRequestIdAt(query.line->month));
    high = std::min(high, FirstRequestIdAt(NextMonth(query.line->month)));
  }
  return reports_.Run<std::vector<UsageRecord>>(query.tenant, [&](TenantTx& tx) -> Result<std::vector<UsageRecord>> {
    const std::string tenant = query.tenant.ToString();
    const auto list = [&](const std::string& sql, const auto&... filter) {
      return ReadAll(tx.Exec(sql, tenant, low.ToString(), high.ToString(), query.limit, filter...), ReadUsageRecord);
    };
    if (query.line) {
      const IssuedLine& line = *query.line;
      return list(kListLineUsage, line.instance, line.variant, line.price_book, line.isolation_class, line.first_epoch,
                  line.last_epoch);
    }
    if (!query.instance.empty()) return list(kListInstanceUsage, query.instance);
    return query.project.empty() ? list(kListAllUsage) : list(kListProjectUsage, query.project);
  });
}

Result<std::vector<InvoiceLine>> PgStore::SumMonth(const MonthQuery& query) {
  return reports_.Run<std::vector<InvoiceLine>>(query.tenant, [&](TenantTx& tx) -> Result<std::vector<InvoiceLine>> {
    const auto rows =
        tx.Exec(kSumMonth, query.tenant.ToString(), query.month, static_cast<std::int64_t>(query.limit), query.project);
    return ReadAll(rows, [](RowReader& row) {
      InvoiceLine line;
      row.Into(line.instance, line.variant, line.price_book, line.request_count, line.prompt_tokens,
               line.completion_tokens, line.prompt_price, line.completion_price, line.amount, line.isolation_class);
      return line;
    });
  });
}

Result<std::vector<LedgerAccount>> PgStore::ListLedgerAccounts(TenantId tenant, const std::string& after, int limit) {
  return reports_.Run<std::vector<LedgerAccount>>(tenant, [&](TenantTx& tx) -> Result<std::vector<LedgerAccount>> {
    return ReadAll(tx.Exec(kListLedgerAccounts, tenant.ToString(), after, limit), [](RowReader& row) {
      LedgerAccount account;
      row.Into(account.code, account.currency_code, account.balance, account.held);
      return account;
    });
  });
}

Result<TenantAudit> PgStore::AuditTenant(TenantId tenant, Time now, const std::optional<UsageRange>& recent) {
  return reports_.RunSnapshot<TenantAudit>(tenant, [&](TenantTx& tx) -> Result<TenantAudit> {
    AllowMinutes(tx);
    TenantAudit audit;
    for (const auto& fields : tx.Exec(kAudit, tenant.ToString(), now - kOverdueAfter, kOverdueMicros)) {
      RowReader row(fields);
      TenantAudit::Account& account = audit.accounts.emplace_back();
      row.Into(account.code, account.currency_code, account.kept_balance, account.kept_held, account.balance,
               account.held);
      row.Into(audit.transfer_count, audit.usage_record_count, audit.open_hold_count, audit.open_reservation_count,
               audit.overdue_hold_count, audit.excess_record_count, audit.posted_usage, audit.recorded_usage,
               audit.invoiced_usage, audit.open_lease_count, audit.overdue_lease_count, audit.short_record_count);
    }
    audit.invoice_fault_count = tx.Exec(kCountInvoiceFaults, tenant.ToString())[0][0].as<std::int64_t>();
    audit.transfer_fault_count = tx.Exec(kCountTransferFaults, tenant)[0][0].as<std::int64_t>();
    audit.rollup_fault_count = tx.Exec("SELECT billing.count_rollup_faults($1::uuid)", tenant)[0][0].as<std::int64_t>();
    audit.budget_fault_count = tx.Exec(kCountBudgetFaults, tenant)[0][0].as<std::int64_t>();
    audit.instance_time_fault_count =
        tx.Exec("SELECT billing.instance_time_faults($1::uuid)", tx.tenant())[0][0].as<std::int64_t>();
    audit.payment_fault_count = tx.Exec(kCountPaymentFaults, tenant)[0][0].as<std::int64_t>();
    audit.mismatched_leases = ReadAll(tx.Exec(kMismatchedLeases, tenant, kMismatchedLeasesMax),
                                      [](RowReader& row) { return row.Next<Uuid>(); });
    audit.usage = CheckUsageIn(tx, kAllUsage, now);
    if (recent) audit.recent_usage = CheckUsageIn(tx, *recent, now);
    return audit;
  });
}

Result<std::vector<std::string>> PgStore::MismatchedPayouts(int limit) {
  return reports_.Run<std::vector<std::string>>([&](GlobalTx& tx) -> Result<std::vector<std::string>> {
    return ReadAll(tx.Exec(kMismatchedPayouts, limit), [](RowReader& row) { return row.Next<std::string>(); });
  });
}

Result<std::vector<KnownTenant>> PgStore::ListKnownTenants(std::optional<TenantId> after, int limit) {
  return reports_.Run<std::vector<KnownTenant>>([&](GlobalTx& tx) -> Result<std::vector<KnownTenant>> {
    const auto rows = tx.Exec(kListKnownTenants, (after ? after->value : Uuid()).ToString(), limit);
    return ReadAll(rows, [](RowReader& row) {
      KnownTenant tenant;
      row.Into(tenant.id, tenant.name);
      return tenant;
    });
  });
}

}  // namespace allod::billing
