// What the relay reads and writes.
#include <fmt/format.h>

#include <map>

#include "services/billing/events/pg_event_rows.h"
#include "services/billing/events/pg_event_store.h"
#include "services/billing/pg_store_rows.h"

namespace allod::billing::events {
namespace {

// Whoever moves the time ahead has it.
constexpr std::string_view kClaimSink =
    "UPDATE billing.event_sinks s SET next_attempt_time = clock_timestamp() + $3 * interval '1 second' "
    "WHERE s.tenant_id = $1::uuid AND s.id = $2 AND NOT s.disabled AND NOT s.suspended "
    "AND s.next_attempt_time <= clock_timestamp() RETURNING s.row_offset";
constexpr std::string_view kCursor =
    "SELECT c.sequence FROM billing.outbox_cursors c WHERE c.tenant_id = $1::uuid AND c.consumer = $2";
// Up to so many requests, but one row at least. What is not wanted is read without them.
constexpr std::string_view kRows = R"(
  SELECT r.sequence, r.kind, r.payload::text, billing.to_micros(r.create_time), r.requests
  FROM (
    SELECT o.sequence, o.kind, o.payload, o.create_time,
      CASE WHEN $5 THEN o.request_ids END AS requests,
      sum(CASE WHEN $5 THEN coalesce(cardinality(o.request_ids), 0) ELSE 0 END) OVER (ORDER BY o.sequence) AS total,
      row_number() OVER (ORDER BY o.sequence) AS number
    FROM (SELECT * FROM billing.outbox n WHERE n.tenant_id = $1::uuid AND n.sequence > $2 ORDER BY n.sequence LIMIT $3) AS o) AS r
  WHERE r.total <= $4 OR r.number = 1 ORDER BY r.sequence)";
const std::string kUsage = fmt::format(
    "SELECT {} FROM unnest($2::uuid[]) AS w (id), LATERAL (SELECT * FROM billing.usage_records n "
    "WHERE n.tenant_id = $1::uuid AND n.request_id = w.id OFFSET 0) u",
    kUsageColumns);
constexpr std::string_view kLockSink =
    "SELECT s.row_offset FROM billing.event_sinks s WHERE s.tenant_id = $1::uuid AND s.id = $2 FOR NO KEY UPDATE";
constexpr std::string_view kDelivered =
    "UPDATE billing.event_sinks s SET row_offset = $3, failures = 0, failing_since = NULL, next_attempt_time = "
    "'-infinity', "
    "last_success_time = CASE WHEN $4 THEN clock_timestamp() ELSE s.last_success_time END "
    "WHERE s.tenant_id = $1::uuid AND s.id = $2";
// Whether the row after that one is too old; the end of what a sink may hold that limps, or is slower than events come.
constexpr std::string_view kIsFarBehind =
    "SELECT coalesce((SELECT o.create_time < clock_timestamp() - $3 * interval '1 second' FROM billing.outbox o "
    "WHERE o.tenant_id = $1::uuid AND o.sequence > $2 ORDER BY o.sequence LIMIT 1), false)";
constexpr std::string_view kSuspend =
    "UPDATE billing.event_sinks s SET suspended = true, failures = greatest(s.failures, 1), failing_since = "
    "coalesce(s.failing_since, clock_timestamp()), last_error_time = clock_timestamp(), last_error = $3, "
    "next_attempt_time = greatest(s.next_attempt_time, clock_timestamp()) "
    "WHERE s.tenant_id = $1::uuid AND s.id = $2 AND NOT s.suspended AND NOT s.disabled";
constexpr std::string_view kFailed =
    "UPDATE billing.event_sinks s SET failures = s.failures + 1, failing_since = coalesce(s.failing_since, "
    "clock_timestamp()), "
    "last_error_time = clock_timestamp(), last_error = $3, "
    "next_attempt_time = clock_timestamp() + $4 * interval '1 millisecond', "
    "suspended = coalesce(s.failing_since <= clock_timestamp() - $5 * interval '1 second', false) "
    "WHERE s.tenant_id = $1::uuid AND s.id = $2 AND NOT s.suspended RETURNING s.suspended";

}  // namespace

namespace {

// Answers whether it was.
bool SuspendIfFarBehind(TenantTx& tx, const SinkKey& key, std::int64_t sequence, const std::string& why) {
  const auto behind = tx.Exec(kIsFarBehind, tx.tenant(), sequence, std::chrono::seconds(kBehindMax).count());
  if (!behind[0][0].as<bool>()) return false;
  if (tx.Exec(kSuspend, tx.tenant(), key.id, why).affected_rows() == 0) return false;
  tx.Exec("SELECT billing.close_cursor($1::uuid, $2)", tx.tenant(), ConsumerOf(key.id));
  return true;
}

}  // namespace

std::vector<OutboxRow> ReadOutbox(TenantTx& tx, const std::string& tenant_name, std::int64_t after, bool with_usage,
                                  const UsageJsonFn& usage_json) {
  std::vector<OutboxRow> out;
  std::vector<std::string> requests;
  std::vector<std::pair<std::size_t, std::string>> places;
  for (const auto& fields : tx.Exec(kRows, tx.tenant(), after, kRowsPerReadMax, kRequestsPerReadMax, with_usage)) {
    RowReader row(fields);
    OutboxRow& made = out.emplace_back();
    std::optional<std::vector<std::string>> ids;
    row.Into(made.sequence, made.kind, made.payload, made.create_time, ids);
    for (std::string& id : ids.value_or(std::vector<std::string>())) {
      requests.push_back(id);
      places.emplace_back(out.size() - 1, std::move(id));
    }
  }
  if (requests.empty()) return out;
  std::map<std::string, UsageData> found;
  for (const UsageRecord& record : ReadAll(tx.Exec(kUsage, tx.tenant(), requests), ReadUsageRecord)) {
    const std::string id = record.request_id.ToString();
    found[id] = {id, record.settle_time, usage_json(record, tenant_name)};
  }
  // A record that retention has taken away is told no more.
  for (const auto& [at, id] : places) {
    if (const auto record = found.find(id); record != found.end()) out[at].usage.push_back(record->second);
  }
  return out;
}

Result<std::vector<SinkKey>> PgEventStore::DueSinks(const std::optional<SinkKey>& after, int limit) {
  return pool_.Run<std::vector<SinkKey>>([&](GlobalTx& tx) -> Result<std::vector<SinkKey>> {
    const SinkKey last = after.value_or(SinkKey{});
    return ReadAll(
        tx.Exec("SELECT d.tenant_id, d.id FROM billing.due_sinks($1::uuid, $2, $3) AS d", last.tenant, last.id, limit),
        [](RowReader& row) {
          SinkKey key;
          row.Into(key.tenant, key.id);
          return key;
        });
  });
}

Result<std::optional<Pending>> PgEventStore::Take(const SinkKey& key) {
  return pool_.Run<std::optional<Pending>>(key.tenant, [&](TenantTx& tx) -> Result<std::optional<Pending>> {
    const auto claimed = tx.Exec(kClaimSink, tx.tenant(), key.id, kClaim.count());
    const auto cursor = tx.Exec(kCursor, tx.tenant(), ConsumerOf(key.id));
    if (claimed.empty() || cursor.empty()) return std::optional<Pending>();
    Pending out;
    out.begin = {cursor[0][0].as<std::int64_t>(), claimed[0][0].as<std::int32_t>()};
    ALLOD_TRY(out.sink, FindSink(tx, key.id));
    out.rows =
        ReadOutbox(tx, out.sink.tenant_name, out.begin.sequence, IsWanted(out.sink.kinds, kUsageRecorded), usage_json_);
    return out;
  });
}

Result<bool> PgEventStore::Delivered(const SinkKey& key, Position begin, Position end, bool sent) {
  return pool_.Run<bool>(
      key.tenant,
      [&](TenantTx& tx) -> Result<bool> {
        // Whoever sends it back takes this lock first.
        const auto locked = tx.Exec(kLockSink, tx.tenant(), key.id);
        const auto cursor = tx.Exec(kCursor, tx.tenant(), ConsumerOf(key.id));
        if (locked.empty() || cursor.empty()) return false;
        const Position standing{cursor[0][0].as<std::int64_t>(), locked[0][0].as<std::int32_t>()};
        const bool moves = standing == begin;
        tx.Exec(kDelivered, tx.tenant(), key.id, moves ? end.offset : standing.offset, sent);
        if (moves)
          tx.Exec("SELECT billing.advance_cursor($1::uuid, $2, $3)", tx.tenant(), ConsumerOf(key.id), end.sequence);
        return SuspendIfFarBehind(tx, key, moves ? end.sequence : standing.sequence,
                                  "it takes events more slowly than they come: what it gets next is older than a week");
      },
      // It stands at `end` then, and nothing moves.
      RunAgain{});
}

Result<bool> PgEventStore::Failed(const SinkKey& key, const Failure& failure) {
  return pool_.Run<bool>(key.tenant, [&](TenantTx& tx) -> Result<bool> {
    const auto rows = tx.Exec(kFailed, tx.tenant(), key.id, failure.error, failure.retry_after.count(),
                              std::chrono::seconds(kSuspendAfter).count());
    if (rows.empty()) return false;
    if (!rows[0][0].as<bool>()) {
      const auto cursor = tx.Exec(kCursor, tx.tenant(), ConsumerOf(key.id));
      return !cursor.empty() && SuspendIfFarBehind(tx, key, cursor[0][0].as<std::int64_t>(), failure.error);
    }
    tx.Exec("SELECT billing.close_cursor($1::uuid, $2)", tx.tenant(), ConsumerOf(key.id));
    return true;
  });
}

Result<std::vector<TenantId>> PgEventStore::TenantsToTrim(std::optional<TenantId> after, int limit) {
  const Time keep_since = std::chrono::system_clock::now() - kReplayWindow;
  return pool_.Run<std::vector<TenantId>>([&](GlobalTx& tx) -> Result<std::vector<TenantId>> {
    return ReadAll(tx.Exec("SELECT t.id FROM billing.tenants_to_trim($1, $2::uuid, $3) AS t (id)", keep_since,
                           after ? after->value : Uuid(), limit),
                   [](RowReader& row) { return row.Next<TenantId>(); });
  });
}

Result<int> PgEventStore::Trim(TenantId tenant, int limit) {
  return pool_.Run<int>(tenant, [&](TenantTx& tx) -> Result<int> {
    const auto sinks = tx.Exec(
        "SELECT EXISTS (SELECT FROM billing.outbox_cursors c WHERE c.tenant_id = $1::uuid AND c.consumer LIKE "
        "'sinks/%')",
        tenant);
    const Time now = std::chrono::system_clock::now();
    const Time keep_since = sinks[0][0].as<bool>() ? now - kReplayWindow : now + kReplayWindow;
    return tx.Exec("SELECT billing.trim_outbox($1::uuid, $2, $3)", tenant, keep_since, limit)[0][0].as<int>();
  });
}

}  // namespace allod::billing::events
