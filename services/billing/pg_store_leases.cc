// Leases: adjusting, ending, expiring them.
#include <fmt/format.h>

#include "services/billing/pg_store.h"
#include "services/billing/pg_store_prices.h"
#include "services/billing/pg_store_rows.h"
#include "services/billing/pg_store_slices.h"
#include "services/common/fault_point.h"

namespace allod::billing {
namespace {

const std::string kLockForAdjust = fmt::format(
    "SELECT billing.to_micros(s.read_time), {}, {} FROM billing.lock_for_adjust($1::uuid, $2::uuid) s, "
    "LATERAL (SELECT s.account AS a, s.receivable AS l, s.lease AS e) x",
    kAccountColumns, kLeaseColumns);

// $9: given back, $10: added, $11: when it was made. The transfers move what remains.
constexpr std::string_view kWriteAdjustment = R"(
  WITH lease AS (
    INSERT INTO billing.leases AS l (tenant_id, id, gateway_id, epoch, expire_time, payload_sha256, added, create_time)
    VALUES ($1::uuid, $2::uuid, $3::uuid, $4, billing.from_micros($5), $6, $10::numeric, billing.from_micros($11))
    ON CONFLICT (tenant_id, id) DO UPDATE SET epoch = EXCLUDED.epoch, expire_time = EXCLUDED.expire_time,
      recalled = false, payload_sha256 = EXCLUDED.payload_sha256, added = EXCLUDED.added)
  INSERT INTO billing.transfers (tenant_id, id, kind, lease_id, debit, credit, currency_code, amount, create_time)
  SELECT $1::uuid, gen_random_uuid(), m.kind, $2::uuid, 'receivable', 'usage-revenue', $7, m.amount,
    billing.from_micros($8)
  FROM (VALUES ('lease_return', $9::numeric), ('lease', $10::numeric)) AS m (kind, amount) WHERE m.amount > 0)";

constexpr std::string_view kReturnAll = R"(
  INSERT INTO billing.transfers (tenant_id, id, kind, lease_id, debit, credit, currency_code, amount, create_time)
  SELECT l.tenant_id, gen_random_uuid(), 'lease_return', l.id, 'receivable', 'usage-revenue', a.currency_code, l.remaining,
    clock_timestamp()
  FROM billing.leases l JOIN billing.billing_accounts a ON a.tenant_id = l.tenant_id
  WHERE l.tenant_id = $1::uuid AND l.id = ANY($2::uuid[]) AND l.end_time IS NULL AND l.remaining > 0)";
constexpr std::string_view kEnd = R"(
  WITH slices AS (DELETE FROM billing.budget_slices s WHERE s.tenant_id = $1::uuid AND s.lease_id = ANY($2::uuid[]))
  UPDATE billing.leases l SET end_time = clock_timestamp()
  WHERE l.tenant_id = $1::uuid AND l.id = ANY($2::uuid[]) AND l.end_time IS NULL)";

// The largest first. Those that were asked already are asked again, and not written.
constexpr std::string_view kRecallOthers = R"(
  WITH other AS (
    SELECT l.id, l.gateway_id, l.recalled FROM billing.leases l
    WHERE l.tenant_id = $1::uuid AND l.id <> $2::uuid AND l.end_time IS NULL AND l.remaining > 0
    ORDER BY l.remaining DESC LIMIT $3),
  marked AS (
    UPDATE billing.leases l SET recalled = true FROM other o
    WHERE l.tenant_id = $1::uuid AND l.id = o.id AND NOT o.recalled)
  SELECT o.gateway_id, o.id FROM other o)";

constexpr std::string_view kLeasesBesides =
    "SELECT b.tenant_id, b.id FROM billing.leases_besides($1::uuid, $2::uuid[], $3::uuid, $4::uuid, $5) AS b "
    "ORDER BY b.tenant_id, b.id";

constexpr std::string_view kTenantsWithDueLeases =
    "SELECT d.id FROM billing.tenants_with_due_leases($1::uuid, $2) AS d (id) ORDER BY d.id";

constexpr std::string_view kFindDue =
    "SELECT l.id::text FROM billing.leases l WHERE l.tenant_id = $1::uuid AND l.end_time IS NULL "
    "AND l.expire_time <= statement_timestamp() ORDER BY l.expire_time LIMIT $2";

AdjustLeaseState LockForAdjust(TenantTx& tx, const AdjustLeaseCommand& command) {
  const pqxx::result rows = tx.Exec(kLockForAdjust, command.tenant, command.lease_id);
  RowReader row(rows.at(0));
  AdjustLeaseState state;
  row.Into(state.now);
  if (row.NextIsNull()) {
    row.Skip(kAccountColumnCount);
  } else {
    state.account = ReadAccount(row);
  }
  if (!row.NextIsNull()) state.lease = ReadLease(row);
  if (state.account) state.prices = FindTermsPrices(tx, command.terms, state.account->currency_code);
  return state;
}

int EndThese(TenantTx& tx, const std::vector<std::string>& leases) {
  tx.Exec(kReturnAll, tx.tenant(), leases);
  return static_cast<int>(tx.Exec(kEnd, tx.tenant(), leases).affected_rows());
}

void WriteAdjustment(TenantTx& tx, const AdjustLeaseState& state, const AdjustLeaseDecision& decision) {
  const Lease& lease = decision.lease;
  tx.Exec(kWriteAdjustment, lease.tenant, lease.id, lease.gateway, lease.epoch, lease.expire_time, lease.payload_sha256,
          state.account->currency_code, state.now, decision.returned, lease.added, lease.create_time);
  if (lease.ended) EndThese(tx, {lease.id.ToString()});
}

std::vector<LeaseRecall> RecallOthers(TenantTx& tx, Uuid lease) {
  return ReadAll(tx.Exec(kRecallOthers, tx.tenant(), lease, kRecallsMax), [](RowReader& row) {
    LeaseRecall recall;
    row.Into(recall.gateway, recall.lease);
    return recall;
  });
}

std::vector<std::string> Texts(const std::vector<Uuid>& ids) {
  std::vector<std::string> out;
  out.reserve(ids.size());
  for (const Uuid& id : ids) out.push_back(id.ToString());
  return out;
}

}  // namespace

Result<LeaseAdjustment> PgStore::AdjustLease(const AdjustLeaseCommand& command) {
  return money_.Run<LeaseAdjustment>(
      command.tenant,
      [&](TenantTx& tx) -> Result<LeaseAdjustment> {
        const AdjustLeaseState state = LockForAdjust(tx, command);
        ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kAdjustLocked));
        const Result<AdjustLeaseDecision> decision = DecideAdjustLease(state, command);
        if (decision) {
          if (!decision->replay) WriteAdjustment(tx, state, *decision);
          ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kAdjustWritten));
          LeaseAdjustment out{.lease = AnswerOf(state, *decision)};
          // Who never had a budget pays nothing for them.
          const std::int64_t version = state.account->budgets_version;
          if ((version > 0 || command.budgets_version > 0) && !command.end) {
            out.recalls = AdjustSlices(tx, command, decision->replay, version, *out.lease);
          }
          return out;
        }
        if (decision.error().code != Code::kResourceExhausted) return std::unexpected(decision.error());
        LeaseAdjustment out{.refused = decision.error(), .recalls = RecallOthers(tx, command.lease_id)};
        if (!out.recalls.empty()) out.refused->retry_after = kRecallTime;
        return out;
      },
      // The same epoch again is answered again.
      RunAgain{});
}

Result<std::vector<LeaseKey>> PgStore::LeasesBesides(Uuid gateway, const std::vector<Uuid>& current,
                                                     std::optional<LeaseKey> after, int limit) {
  return money_.Run<std::vector<LeaseKey>>([&](GlobalTx& tx) -> Result<std::vector<LeaseKey>> {
    const LeaseKey last = after.value_or(LeaseKey{});
    return ReadAll(tx.Exec(kLeasesBesides, gateway, Texts(current), last.tenant, last.lease, limit),
                   [](RowReader& row) {
                     LeaseKey key;
                     row.Into(key.tenant, key.lease);
                     return key;
                   });
  });
}

Result<int> PgStore::EndLeases(TenantId tenant, const std::vector<Uuid>& leases) {
  return money_.Run<int>(
      tenant,
      [&](TenantTx& tx) -> Result<int> {
        LockAccount(tx);
        const int ended = EndThese(tx, Texts(leases));
        ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kEndLeasesWritten));
        return ended;
      },
      RunAgain{});
}

Result<std::vector<TenantId>> PgStore::TenantsWithDueLeases(std::optional<TenantId> after, int limit) {
  return money_.Run<std::vector<TenantId>>([&](GlobalTx& tx) -> Result<std::vector<TenantId>> {
    return ReadAll(tx.Exec(kTenantsWithDueLeases, (after ? after->value : Uuid()), limit),
                   [](RowReader& row) { return row.Next<TenantId>(); });
  });
}

Result<int> PgStore::ExpireLeases(TenantId tenant, int limit) {
  // In doubt, the next round finds what is left: an ended lease is no longer open.
  return money_.Run<int>(tenant, [&](TenantTx& tx) -> Result<int> {
    LockAccount(tx);
    const pqxx::result due = tx.Exec(kFindDue, tenant, limit);
    if (due.empty()) return 0;
    const int ended = EndThese(tx, ReadAll(due, [](RowReader& row) { return row.Next<std::string>(); }));
    ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kExpireLeasesWritten));
    return ended;
  });
}

}  // namespace allod::billing
