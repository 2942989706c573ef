#include "services/scheduling/instance_time/pg_interval_store.h"

#include "services/common/pg/row_reader.h"
#include "services/scheduling/pg_rows.h"

namespace allod::scheduling::instance_time {
namespace {

constexpr const char* kLoadDue =
    "SELECT v.replica_id, " ALLOD_MICROS("v.start_time") ", " ALLOD_MICROS(
        "greatest(v.start_time, COALESCE(v.end_time, scheduling.heard_of(v.node)))") ", v.end_time IS NOT NULL, "
    "v.instance_name, v.generation, v.variant, v.price_book, v.isolation_class FROM scheduling.instance_intervals v "
    "WHERE v.tenant_id = $1 AND v.due_time <= now() ORDER BY v.due_time, v.replica_id, v.start_time LIMIT $2";
// What ended meanwhile is longer than what was told, and stays due.
constexpr const char* kForgetTold =
    "DELETE FROM scheduling.instance_intervals v USING unnest($2::uuid[], $3::bigint[], $4::bigint[]) "
    "AS w (replica_id, start_us, until_us) WHERE v.tenant_id = $1 AND v.replica_id = w.replica_id "
    "AND v.start_time = " ALLOD_FROM_MICROS("w.start_us") " AND v.end_time <= " ALLOD_FROM_MICROS("w.until_us");
constexpr const char* kMarkTold =
    "UPDATE scheduling.instance_intervals v SET told_to = greatest(v.told_to, " ALLOD_FROM_MICROS("w.until_us") "), "
    "due_time = CASE WHEN v.end_time IS NULL THEN now() + interval '1 hour' ELSE now() END "
    "FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) AS w (replica_id, start_us, until_us) "
    "WHERE v.tenant_id = $1 AND v.replica_id = w.replica_id AND v.start_time = " ALLOD_FROM_MICROS("w.start_us");
constexpr const char* kPostpone =
    "UPDATE scheduling.instance_intervals v SET due_time = now() + interval '1 hour' "
    "FROM unnest($2::uuid[], $3::bigint[]) AS w (replica_id, start_us) "
    "WHERE v.tenant_id = $1 AND v.replica_id = w.replica_id AND v.start_time = " ALLOD_FROM_MICROS("w.start_us");
constexpr const char* kStopForCredit =
    "UPDATE scheduling.instances SET stopped_for_credit = true WHERE tenant_id = $1 AND name = ANY($2::text[]) AND NOT "
    "stopped_for_credit "
    "AND NOT deleting RETURNING name";
constexpr const char* kAllDue =
    "UPDATE scheduling.instance_intervals SET due_time = now() WHERE tenant_id = $1 AND end_time IS NULL";
constexpr const char* kResume =
    "UPDATE scheduling.instances SET stopped_for_credit = false WHERE tenant_id = $1 AND stopped_for_credit RETURNING "
    "name";

// Of intervals, column by column.
struct Columns {
  explicit Columns(const std::vector<TimeInterval>& intervals) {
    for (const TimeInterval& interval : intervals) {
      replicas.push_back(interval.replica.ToString());
      starts.push_back(std::to_string(ToMicros(interval.start)));
      untils.push_back(std::to_string(ToMicros(interval.until)));
    }
  }
  std::vector<std::string> replicas, starts, untils;
};

Result<std::vector<NamedTenant>> ListTenants(PgPool& pool, const char* sql, const std::optional<TenantId>& after,
                                             int limit) {
  return pool.Run<std::vector<NamedTenant>>([&](GlobalTx& tx) -> Result<std::vector<NamedTenant>> {
    return ReadAll(tx.Exec(sql, after.value_or(TenantId()), limit), [](RowReader& row) {
      NamedTenant out;
      row.Into(out.tenant, out.name);
      return out;
    });
  });
}

std::vector<std::string> NamesIn(const pqxx::result& rows) {
  return ReadAll(rows, [](RowReader& row) { return row.Next<std::string>(); });
}

Status Done(const Result<int>& done) {
  if (!done) return std::unexpected(done.error());
  return {};
}

}  // namespace

Result<std::vector<NamedTenant>> PgIntervalStore::ListDue(const std::optional<TenantId>& after, int limit) {
  return ListTenants(pool_, "SELECT tenant_id, tenant_name FROM scheduling.tenants_with_due_intervals($1, $2)", after,
                     limit);
}

Result<std::vector<TimeInterval>> PgIntervalStore::LoadDue(const TenantId& tenant, int limit) {
  return pool_.Run<std::vector<TimeInterval>>(tenant, [&](TenantTx& tx) -> Result<std::vector<TimeInterval>> {
    return ReadAll(tx.Exec(kLoadDue, tenant, limit), [](RowReader& row) {
      TimeInterval out;
      row.Into(out.replica, out.start, out.until, out.ended, out.instance, out.generation, out.variant, out.price_book,
               out.isolation_class);
      return out;
    });
  });
}

Status PgIntervalStore::MarkTold(const TenantId& tenant, const std::vector<TimeInterval>& intervals) {
  if (intervals.empty()) return {};
  const Columns of(intervals);
  return Done(pool_.Run<int>(
      tenant,
      [&](TenantTx& tx) -> Result<int> {
        tx.Exec(kForgetTold, tenant, of.replicas, of.starts, of.untils);
        tx.Exec(kMarkTold, tenant, of.replicas, of.starts, of.untils);
        return 0;
      },
      RunAgain{}));
}

Status PgIntervalStore::Postpone(const TenantId& tenant, const std::vector<TimeInterval>& intervals) {
  if (intervals.empty()) return {};
  const Columns of(intervals);
  return Done(pool_.Run<int>(
      tenant,
      [&](TenantTx& tx) -> Result<int> {
        tx.Exec(kPostpone, tenant, of.replicas, of.starts);
        return 0;
      },
      RunAgain{}));
}

Result<std::vector<std::string>> PgIntervalStore::StopForCredit(const TenantId& tenant,
                                                                const std::vector<std::string>& instances) {
  if (instances.empty()) return std::vector<std::string>();
  return pool_.Run<std::vector<std::string>>(
      tenant,
      [&](TenantTx& tx) -> Result<std::vector<std::string>> {
        CountChange(tx, false);
        auto names = NamesIn(tx.Exec(kStopForCredit, tenant, instances));
        if (!names.empty()) tx.Exec(kAllDue, tenant);
        return names;
      },
      // The reconciler finds what was changed by itself.
      RunAgain{});
}

Result<std::vector<std::string>> PgIntervalStore::Resume(const TenantId& tenant) {
  return pool_.Run<std::vector<std::string>>(
      tenant,
      [&](TenantTx& tx) -> Result<std::vector<std::string>> {
        CountChange(tx, false);
        return NamesIn(tx.Exec(kResume, tenant));
      },
      RunAgain{});
}

Result<std::vector<NamedTenant>> PgIntervalStore::ListStoppedForCredit(const std::optional<TenantId>& after,
                                                                       int limit) {
  return ListTenants(pool_, "SELECT tenant_id, tenant_name FROM scheduling.tenants_stopped_for_credit($1, $2)", after,
                     limit);
}

}  // namespace allod::scheduling::instance_time
