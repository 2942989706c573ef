// Computed usage: events in, lists, and the check against usage records.
#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "services/billing/pg_store.h"
#include "services/billing/pg_store_rows.h"
#include "services/common/fault_point.h"

namespace allod::billing {
namespace {

constexpr std::string_view kKnownTenant = "SELECT FROM billing.known_tenants WHERE tenant_id = $1::uuid";

// A batch in one statement. What is there already stays as it is and is compared afterwards.
constexpr std::string_view kInsertEvents = R"(
  INSERT INTO billing.computed_usage (tenant_id, event_id, request_id, instance, node, replica_id, prompt_tokens_computed,
    prompt_tokens_cached, sampled_tokens, outcome, start_time, end_time)
  SELECT $1::uuid, e.event_id, e.request_id, e.instance, e.node, e.replica_id, e.computed, e.cached, e.sampled, e.outcome,
    billing.from_micros(e.start_us), billing.from_micros(e.end_us)
  FROM jsonb_to_recordset($2::jsonb) AS e (event_id text, request_id uuid, instance text, node text, replica_id uuid,
    computed bigint, cached bigint, sampled bigint, outcome text, start_us bigint, end_us bigint)
  ON CONFLICT (tenant_id, event_id) DO NOTHING)";

constexpr std::string_view kColumns =
    "c.event_id, c.request_id, c.instance, c.node, c.replica_id, c.prompt_tokens_computed, c.prompt_tokens_cached, "
    "c.sampled_tokens, c.outcome, billing.to_micros(c.start_time), billing.to_micros(c.end_time)";

const std::string kFindEvents = fmt::format(
    "SELECT {} FROM billing.computed_usage c WHERE c.tenant_id = $1::uuid AND c.event_id = ANY($2::text[])", kColumns);

const std::string kListEvents = fmt::format(R"(
  SELECT {} FROM billing.computed_usage c
  WHERE c.tenant_id = $1::uuid
    AND ($2::bigint IS NULL OR c.start_time >= billing.from_micros($2))
    AND ($3::bigint IS NULL OR c.start_time < billing.from_micros($3))
    AND ($4 = '' OR c.instance = $4) AND ($5::uuid IS NULL OR c.request_id = $5)
    AND ($6::bigint IS NULL OR (c.start_time, c.event_id) < (billing.from_micros($6), $7))
    AND ($9 = '' OR split_part(c.instance, '/', 4) = $9)
  ORDER BY c.start_time DESC, c.event_id DESC LIMIT $8)",
                                            kColumns);

// $2, $3: range of request ids; $4, $5: range of time; $6: what ended before then must be settled; $7: what was settled
// before then must have been told of by nodes. One without a reservation was admitted from a lease: nothing says that
// it is still to be settled but the time.
constexpr std::string_view kUsageAgainstEvents = R"(
  WITH u AS (
    SELECT r.request_id, r.instance, r.completion_tokens, r.prompt_tokens, r.billed,
      r.settle_time >= billing.from_micros($7) AS fresh,
      (SELECT sum(c.sampled_tokens)::bigint FROM billing.computed_usage c
       WHERE c.tenant_id = $1::uuid AND c.request_id = r.request_id) AS sampled
    FROM billing.usage_records r
    WHERE r.tenant_id = $1::uuid AND r.request_id >= $2::uuid AND r.request_id < $3::uuid),
  c AS (
    SELECT e.request_id, min(e.instance) AS instance, sum(e.sampled_tokens)::bigint AS sampled, count(*) AS events,
      max(e.end_time) < billing.from_micros($6) AS overdue,
      NOT EXISTS (SELECT FROM billing.usage_records r WHERE r.tenant_id = $1::uuid AND r.request_id = e.request_id)
        AS unsettled,
      EXISTS (SELECT FROM billing.open_reservations o WHERE o.tenant_id = $1::uuid AND o.request_id = e.request_id) AS open,
      EXISTS (SELECT FROM billing.reservations v WHERE v.tenant_id = $1::uuid AND v.request_id = e.request_id) AS reserved
    FROM billing.computed_usage e
    WHERE e.tenant_id = $1::uuid AND e.start_time >= billing.from_micros($4) AND e.start_time < billing.from_micros($5)
    GROUP BY e.request_id),
  short AS (
    SELECT request_id, instance, completion_tokens, sampled, fresh FROM u
    WHERE CASE WHEN sampled IS NULL THEN request_id >= (SELECT billing.computed_usage_since($1::uuid))
            AND (completion_tokens > 0 OR (billed AND prompt_tokens > 0))
          ELSE completion_tokens > sampled END),
  finding AS (
    SELECT CASE WHEN sampled IS NULL THEN 3 ELSE 1 END AS kind, request_id, instance, completion_tokens,
      coalesce(sampled, 0) AS sampled FROM short WHERE NOT fresh
    UNION ALL SELECT 2, request_id, instance, 0, sampled FROM c
      WHERE unsettled AND NOT open AND (reserved OR overdue)
    UNION ALL SELECT 4, request_id, instance, 0, sampled FROM c WHERE unsettled AND open AND overdue))";
const std::string kCountUsage = fmt::format(R"({}
  SELECT (SELECT count(*) FROM u), (SELECT coalesce(sum(events), 0)::bigint FROM c), (SELECT count(*) FROM c),
    (SELECT count(*) FROM finding WHERE kind = 1), (SELECT count(*) FROM finding WHERE kind = 2),
    (SELECT count(*) FROM finding WHERE kind = 3), 
    (SELECT count(*) FROM c WHERE unsettled AND (open OR NOT reserved) AND NOT overdue),
    (SELECT count(*) FROM finding WHERE kind = 4), (SELECT count(*) FROM short WHERE fresh),
    (SELECT coalesce(sum(completion_tokens), 0)::bigint FROM u), (SELECT coalesce(sum(sampled), 0)::bigint FROM c))",
                                            kUsageAgainstEvents);
const std::string kListFindings = fmt::format(
    "{} SELECT kind, request_id, instance, completion_tokens, sampled FROM finding ORDER BY kind, request_id LIMIT $8",
    kUsageAgainstEvents);

auto ReadEventOf(TenantId tenant) {
  return [tenant](RowReader& row) {
    ComputedUsage event{.tenant = tenant};
    row.Into(event.event_id, event.request_id, event.instance, event.node, event.replica, event.prompt_tokens_computed,
             event.prompt_tokens_cached, event.sampled_tokens, event.outcome, event.start_time, event.end_time);
    return event;
  };
}

std::string ToJson(const std::vector<ComputedUsage>& events) {
  nlohmann::json rows = nlohmann::json::array();
  for (const ComputedUsage& e : events) {
    rows.push_back({{"event_id", e.event_id},
                    {"request_id", e.request_id.ToString()},
                    {"instance", e.instance},
                    {"node", e.node},
                    {"replica_id", e.replica.ToString()},
                    {"computed", e.prompt_tokens_computed},
                    {"cached", e.prompt_tokens_cached},
                    {"sampled", e.sampled_tokens},
                    {"outcome", ToRowWord(e.outcome)},
                    {"start_us", ToMicros(e.start_time)},
                    {"end_us", ToMicros(e.end_time)}});
  }
  return rows.dump();
}

}  // namespace

Result<RecordedEvents> PgStore::RecordComputedUsage(TenantId tenant, const std::vector<ComputedUsage>& events) {
  return desk_.Run<RecordedEvents>(
      tenant,
      [&](TenantTx& tx) -> Result<RecordedEvents> {
        RecordedEvents out;
        if (tx.Exec(kKnownTenant, tenant.ToString()).empty()) {
          out.known_tenant = false;
          return out;
        }
        out.recorded = static_cast<int>(tx.Exec(kInsertEvents, tenant.ToString(), ToJson(events)).affected_rows());
        ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kComputedWritten));
        if (out.recorded == static_cast<int>(events.size())) return out;
        std::vector<std::string> ids;
        for (const ComputedUsage& event : events) ids.push_back(event.event_id);
        std::map<std::string, ComputedUsage> stored;
        for (ComputedUsage& event : ReadAll(tx.Exec(kFindEvents, tenant.ToString(), ids), ReadEventOf(tenant))) {
          stored[event.event_id] = std::move(event);
        }
        for (const ComputedUsage& event : events) {
          if (stored.at(event.event_id) != event) out.reused.push_back(event.event_id);
        }
        return out;
      },
      // What was recorded is met again as a duplicate.
      RunAgain{});
}

Result<std::vector<ComputedUsage>> PgStore::ListComputedUsage(const ComputedQuery& query) {
  return reports_.Run<std::vector<ComputedUsage>>(
      query.tenant, [&](TenantTx& tx) -> Result<std::vector<ComputedUsage>> {
        std::optional<Time> before_time;
        std::string before_id;
        if (query.before) {
          before_time = query.before->start_time;
          before_id = query.before->event_id;
        }
        const auto rows = tx.Exec(kListEvents, query.tenant.ToString(), query.start, query.end, query.instance,
                                  query.request_id, before_time, before_id, query.limit, query.project);
        return ReadAll(rows, ReadEventOf(query.tenant));
      });
}

UsageCheck PgStore::CheckUsageIn(TenantTx& tx, const UsageRange& range, Time now) {
  AllowMinutes(tx);
  const std::string id = tx.tenant().ToString();
  const std::string low = FirstRequestIdAt(range.start).ToString();
  const std::string high = FirstRequestIdAt(range.end).ToString();
  const Time settled_before = now - kSettleTimeMax;
  const Time told_before = now - kReportTimeMax;
  const auto counted = tx.Exec(kCountUsage, id, low, high, range.start, range.end, settled_before, told_before);
  RowReader row(counted.at(0));
  UsageCheck out;
  row.Into(out.usage_record_count, out.computed_event_count, out.computed_request_count, out.overbilled_count,
           out.unbilled_count, out.uncomputed_count, out.open_count, out.unsettled_count, out.unreported_count,
           out.completion_tokens, out.sampled_tokens);
  const std::int64_t found = out.overbilled_count + out.unbilled_count + out.uncomputed_count + out.unsettled_count;
  if (range.findings_max == 0 || found == 0) return out;
  out.findings =
      ReadAll(tx.Exec(kListFindings, id, low, high, range.start, range.end, settled_before, told_before,
                      static_cast<std::int64_t>(range.findings_max)),
              [](RowReader& entry) {
                UsageFinding finding;
                finding.kind = static_cast<UsageFinding::Kind>(entry.Next<std::int64_t>());
                entry.Into(finding.request_id, finding.instance, finding.completion_tokens, finding.sampled_tokens);
                return finding;
              });
  return out;
}

Result<UsageCheck> PgStore::CheckUsage(TenantId tenant, const UsageRange& range, Time now) {
  return reports_.RunSnapshot<UsageCheck>(
      tenant, [&](TenantTx& tx) -> Result<UsageCheck> { return CheckUsageIn(tx, range, now); });
}

}  // namespace allod::billing
