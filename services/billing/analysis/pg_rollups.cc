#include "services/billing/analysis/pg_rollups.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/billing/pg_store_rows.h"
#include "services/common/fault_point.h"
#include "services/common/pg/row_reader.h"

namespace allod::billing::analysis {
namespace {

constexpr std::string_view kBehind =
    "SELECT b.tenant_id FROM billing.outbox_behind('usage_rollups', $1::uuid, $2) AS b ORDER BY b.tenant_id";

// Whether something is beyond the roll-ups. A report of a year sorts some ten thousand rows: in memory, and as many
// reports as may run at once have it.
constexpr std::string_view kIsBehind =
    "SELECT set_config('work_mem', '32MB', true), EXISTS (SELECT FROM billing.outbox o WHERE o.tenant_id = $1::uuid "
    "AND o.request_ids IS NOT NULL AND "
    "o.sequence > coalesce((SELECT c.sequence FROM billing.outbox_cursors c WHERE c.tenant_id = $1::uuid AND "
    "c.consumer = 'usage_rollups'), 0))";

constexpr std::string_view kCounts =
    "r.request_count, r.billed_request_count, r.prompt_tokens, r.completion_tokens, r.billed_prompt_tokens, "
    "r.billed_completion_tokens, r.amount";
constexpr std::string_view kSums =
    "sum(request_count)::bigint AS request_count, sum(billed_request_count)::bigint AS billed_request_count, "
    "sum(prompt_tokens)::bigint AS prompt_tokens, sum(completion_tokens)::bigint AS completion_tokens, "
    "sum(billed_prompt_tokens)::bigint AS billed_prompt_tokens, "
    "sum(billed_completion_tokens)::bigint AS billed_completion_tokens, sum(amount) AS amount";
constexpr std::string_view kModelOfRecord =
    "CASE WHEN u.variant LIKE 'models/%' THEN 'models/' || split_part(u.variant, '/', 2) ELSE '' END";

// The column of a dimension that is no period.
std::string_view ColumnOf(UsageDimension dimension) {
  switch (dimension) {
    case UsageDimension::kProject:
      return "project";
    case UsageDimension::kInstance:
      return "instance";
    case UsageDimension::kModel:
      return "model";
    case UsageDimension::kVariant:
      return "variant";
    case UsageDimension::kIsolationClass:
      return "isolation_class";
    case UsageDimension::kApiKey:
      return "api_key";
    case UsageDimension::kHourly:
    case UsageDimension::kDaily:
    case UsageDimension::kMonthly:
      break;
  }
  return "period";
}

std::string_view OrderOf(UsageOrder order) {
  switch (order) {
    case UsageOrder::kAmount:
      return "l.amount DESC, ";
    case UsageOrder::kRequests:
      return "l.request_count DESC, ";
    case UsageOrder::kTokens:
      return "l.prompt_tokens + l.completion_tokens DESC, ";
    case UsageOrder::kDimensions:
      break;
  }
  return "";
}

// The beginning of the period that a column falls in, which has beginnings of that grain ("": any time).
std::string PeriodOf(const UsageReportQuery& query, std::string_view grain, std::string_view column) {
  const auto period = std::ranges::find_if(query.group_by, IsPeriod);
  if (period == query.group_by.end()) return "NULL::timestamptz";
  const std::string_view word = *period == UsageDimension::kHourly  ? "hour"
                                : *period == UsageDimension::kDaily ? "day"
                                                                    : "month";
  return word == grain ? std::string(column) : fmt::format("date_trunc('{}', {}, 'UTC')", word, column);
}

// The parts of a statement that depend on by what a report is.
struct Keys {
  std::string plain, order;        // ", project, model"; the same of l, in their order
  std::string of_line, of_record;  // of l, and of the record u

  explicit Keys(const UsageReportQuery& query) {
    for (const UsageDimension dimension : query.group_by) {
      if (IsPeriod(dimension)) continue;
      const std::string_view column = ColumnOf(dimension);
      plain += fmt::format(", {}", column);
      of_line += fmt::format(", l.{}", column);
      order += fmt::format(", l.{} COLLATE \"C\"", column);
      of_record +=
          dimension == UsageDimension::kModel ? fmt::format(", {}", kModelOfRecord) : fmt::format(", u.{}", column);
    }
  }
};

std::string FilterOf(std::string_view row, std::string_view model) {
  return fmt::format(
      "($4 = '' OR {0}.project = $4) AND ($5 = '' OR {0}.instance = $5) AND ($6 = '' OR {1} = $6) AND ($7 = '' OR "
      "{0}.variant = $7) AND ($8 = '' OR {0}.isolation_class = $8) AND ($9 = '' OR {0}.api_key = $9)",
      row, model);
}

// Of the roll-ups of one grain, in the range of two parameters.
std::string RolledSql(const UsageReportQuery& query, std::string_view grain, int low) {
  return fmt::format(
      "SELECT {} AS period, d.grp, {} FROM billing.usage_rollups r JOIN dimension d ON d.id = r.dimension_id "
      "WHERE r.tenant_id = $1::uuid AND r.grain = '{}' AND r.period >= billing.from_micros(${}) "
      "AND r.period < billing.from_micros(${})",
      PeriodOf(query, grain, "r.period"), kCounts, grain, low, low + 1);
}

// Lines of the report: what is rolled up, with what is beyond it if there is something.
std::string LineSql(const UsageReportQuery& query, const Keys& keys, bool is_behind) {
  const std::string rolled =
      fmt::format("SELECT r.period{}, {} FROM rolled r JOIN named USING (grp)", keys.plain, kCounts);
  if (!is_behind) return rolled;
  return fmt::format(
      R"(
    SELECT period{keys}, {sums} FROM (
      {rolled}
      UNION ALL
      SELECT {period}{keys_of_record}, 1, u.billed::int, u.prompt_tokens, u.completion_tokens,
        CASE WHEN u.billed THEN u.prompt_tokens - u.excess_prompt_tokens ELSE 0 END,
        CASE WHEN u.billed THEN u.completion_tokens - u.excess_completion_tokens ELSE 0 END, u.cost
      FROM billing.usage_beyond_rollups($1::uuid) u
      WHERE u.admit_time >= billing.from_micros($2) AND u.admit_time < billing.from_micros($3) AND {filter}) AS c
    GROUP BY period{keys})",
      fmt::arg("keys", keys.plain), fmt::arg("sums", kSums), fmt::arg("rolled", rolled),
      fmt::arg("period", PeriodOf(query, "", "u.admit_time")), fmt::arg("keys_of_record", keys.of_record),
      fmt::arg("filter", FilterOf("u", kModelOfRecord)));
}

// $1: tenant; $2, $3: what is beyond the roll-ups; $4 to $9: filters; $10 to $15: ranges of the roll-ups, empty or not;
// $16, $17: the page. Dimensions are few and rows are many: what is one line of the report is found among the former,
// as a number, before the latter are added up.
std::string ReportSql(const UsageReportQuery& query, bool is_behind) {
  const Keys keys(query);
  return fmt::format(
      R"(
  WITH dimension AS MATERIALIZED (
    SELECT d.id, dense_rank() OVER ({rank}) AS grp{keys} FROM billing.usage_dimensions d
    WHERE d.tenant_id = $1::uuid AND $2::bigint < $3::bigint AND {filter}),
  named AS MATERIALIZED (SELECT DISTINCT ON (grp) grp{keys} FROM dimension),
  rolled AS MATERIALIZED (
    SELECT period, grp, {sums} FROM ({days} UNION ALL {before} UNION ALL {after}) AS r GROUP BY 1, 2),
  line AS MATERIALIZED ({line}),
  total AS (SELECT count(*) AS rows, {sums} FROM line)
  SELECT coalesce((SELECT a.currency_code FROM billing.billing_accounts a WHERE a.tenant_id = $1::uuid), ''), t.rows,
    coalesce(t.request_count, 0), coalesce(t.billed_request_count, 0), coalesce(t.prompt_tokens, 0),
    coalesce(t.completion_tokens, 0), coalesce(t.billed_prompt_tokens, 0), coalesce(t.billed_completion_tokens, 0),
    coalesce(t.amount, 0), l.request_count IS NOT NULL, l.request_count, l.billed_request_count, l.prompt_tokens,
    l.completion_tokens, l.billed_prompt_tokens, l.billed_completion_tokens, l.amount,
    billing.to_micros(l.period){keys_of_line}
  FROM total t LEFT JOIN (
    SELECT * FROM line l ORDER BY {order}l.period{key_order} LIMIT $16 OFFSET $17) AS l ON true
  ORDER BY {order}l.period{key_order})",
      fmt::arg("rank", keys.plain.empty() ? "" : "ORDER BY " + keys.plain.substr(2)), fmt::arg("keys", keys.plain),
      fmt::arg("filter", FilterOf("d", "d.model")), fmt::arg("sums", kSums),
      fmt::arg("days", RolledSql(query, "day", 10)), fmt::arg("before", RolledSql(query, "hour", 12)),
      fmt::arg("after", RolledSql(query, "hour", 14)), fmt::arg("line", LineSql(query, keys, is_behind)),
      fmt::arg("keys_of_line", keys.of_line), fmt::arg("order", OrderOf(query.order)),
      fmt::arg("key_order", keys.order));
}

void ReadSums(RowReader& row, UsageSums& out) {
  row.Into(out.request_count, out.billed_request_count, out.prompt_tokens, out.completion_tokens,
           out.billed_prompt_tokens, out.billed_completion_tokens, out.amount);
}

}  // namespace

Result<std::vector<TenantId>> PgRollupStore::TenantsBehind(std::optional<TenantId> after, int limit) {
  return desk_.Run<std::vector<TenantId>>([&](GlobalTx& tx) -> Result<std::vector<TenantId>> {
    return ReadAll(tx.Exec(kBehind, after ? after->value : Uuid(), limit),
                   [](RowReader& row) { return row.Next<TenantId>(); });
  });
}

Result<int> PgRollupStore::RollUp(TenantId tenant, int limit) {
  // Begun again it goes on where it was.
  return desk_.Run<int>(
      tenant,
      [&](TenantTx& tx) -> Result<int> {
        const int events = tx.Exec("SELECT billing.roll_up_usage($1::uuid, $2)", tenant, limit)[0][0].as<int>();
        if (events > 0) ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kRollUpWritten));
        return events;
      },
      RunAgain{});
}

Result<std::int64_t> PgRollupStore::Rebuild(TenantId tenant) {
  return reports_.Run<std::int64_t>(
      tenant,
      [&](TenantTx& tx) -> Result<std::int64_t> {
        AllowMinutes(tx);
        return tx.Exec("SELECT billing.rebuild_rollups($1::uuid)", tenant)[0][0].as<std::int64_t>();
      },
      RunAgain{});
}

Result<UsageReport> PgRollupStore::Report(const UsageReportQuery& query) {
  const ReportRanges ranges = SplitByDays(query);
  const auto keys = std::ranges::count_if(query.group_by, [](UsageDimension d) { return !IsPeriod(d); });
  return reports_.RunSnapshot<UsageReport>(query.tenant, [&](TenantTx& tx) -> Result<UsageReport> {
    UsageReport out;
    const bool is_behind = tx.Exec(kIsBehind, query.tenant)[0][1].as<bool>();
    for (const pqxx::row& fields :
         tx.Exec(ReportSql(query, is_behind), query.tenant, query.start, query.end, query.project, query.instance,
                 query.model, query.variant, query.isolation_class, query.api_key, ranges.days.start, ranges.days.end,
                 ranges.hours_before.start, ranges.hours_before.end, ranges.hours_after.start, ranges.hours_after.end,
                 query.limit, query.offset)) {
      RowReader row(fields);
      row.Into(out.currency_code, out.row_count);
      ReadSums(row, out.total);
      if (!row.Next<bool>()) continue;  // nothing, or a page beyond the last
      UsageReportRow& line = out.rows.emplace_back();
      ReadSums(row, line.sums);
      row.Into(line.period);
      for (std::ptrdiff_t i = 0; i < keys; ++i) line.keys.push_back(row.Next<std::string>());
    }
    return out;
  });
}

}  // namespace allod::billing::analysis
