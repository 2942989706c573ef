#include "services/billing/pg_store_slices.h"

#include <fmt/format.h>

#include "services/billing/pg_budget_rows.h"
#include "services/common/pg/micros.h"
#include "services/common/pg/row_reader.h"

namespace allod::billing {
namespace {

// One row for each ask, in their order.
constexpr std::string_view kReadSlices = R"(
  SELECT b.uid IS NOT NULL, coalesce(b.period, 'total'), coalesce(billing.to_micros(b.start_time), 0),
    coalesce(billing.to_micros(b.end_time), 0), coalesce(b.amount, 0), coalesce(p.spent, 0), coalesce(g.granted, 0),
    coalesce(s.remaining, 0), coalesce(s.added, 0), coalesce(s.epoch, 0)
  FROM unnest($3::uuid[], $4::bigint[]) WITH ORDINALITY AS w (uid, start_us, number)
  LEFT JOIN billing.budgets b ON b.tenant_id = $1::uuid AND b.slices_uid = w.uid AND b.hard
  LEFT JOIN billing.budget_periods p
    ON p.tenant_id = b.tenant_id AND p.uid = b.uid AND p.start_time = billing.from_micros(w.start_us)
  LEFT JOIN LATERAL (SELECT sum(o.remaining) AS granted FROM billing.budget_slices o
    WHERE o.tenant_id = b.tenant_id AND o.uid = w.uid AND o.start_time = billing.from_micros(w.start_us)) AS g ON true
  LEFT JOIN billing.budget_slices s ON s.tenant_id = b.tenant_id AND s.uid = w.uid
    AND s.start_time = billing.from_micros(w.start_us) AND s.lease_id = $2::uuid
  ORDER BY w.number)";
constexpr std::string_view kWriteSlices = R"(
  INSERT INTO billing.budget_slices AS s (tenant_id, uid, start_time, lease_id, remaining, epoch, added)
  SELECT $1::uuid, w.uid, billing.from_micros(w.start_us), $2::uuid, w.remaining, $3, w.added
  FROM unnest($4::uuid[], $5::bigint[], $6::numeric[], $7::numeric[]) AS w (uid, start_us, remaining, added)
  ON CONFLICT (tenant_id, uid, start_time, lease_id) DO UPDATE
    SET remaining = EXCLUDED.remaining, epoch = EXCLUDED.epoch, added = EXCLUDED.added,
      recalled = s.recalled AND NOT s.uid::text || ' ' || billing.to_micros(s.start_time) = ANY($8::text[]))";
constexpr std::string_view kRecalledSlices =
    "SELECT s.uid, billing.to_micros(s.start_time) FROM billing.budget_slices s "
    "WHERE s.tenant_id = $1::uuid AND s.lease_id = $2::uuid AND s.recalled AND s.remaining > 0";
constexpr std::string_view kHardBudgets =
    "SELECT b.slices_uid, b.id, b.project, b.api_key, b.instance, b.period, billing.to_micros(b.start_time), "
    "billing.to_micros(b.end_time) FROM billing.budgets b WHERE b.tenant_id = $1::uuid AND b.hard ORDER BY b.id";
// As for leases: the largest first; those that were asked already are asked again, and not written.
constexpr std::string_view kRecallOtherSlices = R"(
  WITH other AS (
    SELECT s.uid, s.start_time, s.lease_id, l.gateway_id, s.recalled FROM billing.budget_slices s
    JOIN billing.leases l ON l.tenant_id = s.tenant_id AND l.id = s.lease_id
    WHERE s.tenant_id = $1::uuid AND s.uid = $2::uuid AND s.start_time = billing.from_micros($3)
      AND s.lease_id <> $4::uuid AND s.remaining > 0 AND l.end_time IS NULL
    ORDER BY s.remaining DESC LIMIT $5),
  marked AS (
    UPDATE billing.budget_slices s SET recalled = true FROM other o
    WHERE s.tenant_id = $1::uuid AND s.uid = o.uid AND s.start_time = o.start_time AND s.lease_id = o.lease_id
      AND NOT o.recalled)
  SELECT o.gateway_id, o.lease_id, o.uid FROM other o)";
constexpr std::string_view kTake = R"(
  UPDATE billing.budget_slices s SET remaining = greatest(s.remaining - m.cost, 0)
  FROM (
    SELECT w.uid, w.start_us, w.lease_id, sum(w.cost) AS cost
    FROM unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::numeric[]) AS w (uid, start_us, lease_id, cost)
    GROUP BY w.uid, w.start_us, w.lease_id) AS m
  WHERE s.tenant_id = $1::uuid AND s.uid = m.uid AND s.start_time = billing.from_micros(m.start_us)
    AND s.lease_id = m.lease_id)";
constexpr std::string_view kCounts =
    "SELECT EXISTS (SELECT FROM billing.budgets b WHERE b.tenant_id = $1::uuid AND b.hard "
    "AND b.api_key IN ('', $2) AND b.instance IN ('', $3) AND b.project IN ('', split_part($3, '/', 4)) "
    "AND billing.budget_start(b, billing.from_micros($4)) IS NOT NULL)";

struct StoredSlice {
  SliceState state;
  Amount added;
  std::int64_t epoch = 0;
};

std::vector<StoredSlice> ReadSlices(TenantTx& tx, const AdjustLeaseCommand& command) {
  std::vector<std::string> uids, starts;
  for (const SliceAsk& ask : command.slices) {
    uids.push_back(ask.key.budget.ToString());
    starts.push_back(std::to_string(ToMicros(ask.key.start)));
  }
  std::size_t next = 0;
  return ReadAll(tx.Exec(kReadSlices, tx.tenant(), command.lease_id, uids, starts), [&](RowReader& row) {
    StoredSlice out;
    HardBudget budget;
    row.Into(out.state.exists, budget.period, budget.start, budget.end, out.state.amount, out.state.spent,
             out.state.granted, out.state.remaining, out.added, out.epoch);
    const bool is_start = IsStart(budget, command.slices.at(next++).key.start);
    out.state.exists = out.state.exists && is_start;
    return out;
  });
}

void WriteSlices(TenantTx& tx, const AdjustLeaseCommand& command, const std::vector<SliceDecision>& decisions) {
  std::vector<std::string> uids, starts, remaining, added;
  // Who gives something back has done what a recall asks for; whoever only asks for more is told of it with the answer.
  std::vector<std::string> given_back;
  for (const SliceAsk& ask : command.slices) {
    if (ask.give_back > Amount()) {
      given_back.push_back(fmt::format("{} {}", ask.key.budget.ToString(), ToMicros(ask.key.start)));
    }
  }
  for (const SliceDecision& slice : decisions) {
    if (!slice.exists) continue;
    uids.push_back(slice.key.budget.ToString());
    starts.push_back(std::to_string(ToMicros(slice.key.start)));
    remaining.push_back(slice.remaining.ToPicoString());
    added.push_back(slice.added.ToPicoString());
  }
  if (uids.empty()) return;
  tx.Exec(kWriteSlices, tx.tenant(), command.lease_id, command.epoch, uids, starts, remaining, added, given_back);
}

}  // namespace

std::vector<LeaseRecall> AdjustSlices(TenantTx& tx, const AdjustLeaseCommand& command, bool was_done,
                                      std::int64_t budgets_version, AdjustedLease& answer) {
  std::vector<LeaseRecall> recalls;
  answer.slices.clear();
  if (!command.slices.empty()) {
    const std::vector<StoredSlice> stored = ReadSlices(tx, command);
    for (std::size_t i = 0; i < stored.size(); ++i) {
      const SliceAsk& ask = command.slices[i];
      if (was_done) {
        const Amount added = stored[i].epoch == command.epoch ? stored[i].added : Amount();
        answer.slices.push_back({.key = ask.key,
                                 .exists = stored[i].state.exists,
                                 .remaining = stored[i].state.remaining,
                                 .added = added,
                                 .is_short = added < ask.need});
        continue;
      }
      answer.slices.push_back(DecideSlice(ask, stored[i].state));
      if (!answer.slices.back().is_short) continue;
      for (const pqxx::row& fields :
           tx.Exec(kRecallOtherSlices, tx.tenant(), ask.key.budget, ask.key.start, command.lease_id, kRecallsMax)) {
        LeaseRecall& recall = recalls.emplace_back();
        RowReader(fields).Into(recall.gateway, recall.lease, recall.budget);
      }
    }
    if (!was_done) WriteSlices(tx, command, answer.slices);
  }
  answer.budgets_version = budgets_version;
  if (!recalls.empty()) answer.ask_again_after = kRecallTime;
  answer.recalled_slices = ReadAll(tx.Exec(kRecalledSlices, tx.tenant(), command.lease_id), [](RowReader& row) {
    SliceKey key;
    row.Into(key.budget, key.start);
    return key;
  });
  if (budgets_version == command.budgets_version) return recalls;
  answer.budgets = ReadAll(tx.Exec(kHardBudgets, tx.tenant()), [](RowReader& row) {
    HardBudget b;
    row.Into(b.uid, b.id, b.scope.project, b.scope.api_key, b.scope.instance, b.period, b.start, b.end);
    return b;
  });
  return recalls;
}

void TakeFromSlices(TenantTx& tx, const std::vector<SliceCost>& costs) {
  if (costs.empty()) return;
  std::vector<std::string> uids, starts, leases, amounts;
  for (const SliceCost& cost : costs) {
    uids.push_back(cost.key.budget.ToString());
    starts.push_back(std::to_string(ToMicros(cost.key.start)));
    leases.push_back(cost.lease.ToString());
    amounts.push_back(cost.cost.ToPicoString());
  }
  tx.Exec(kTake, tx.tenant(), uids, starts, leases, amounts);
}

bool CountsInHardBudget(TenantTx& tx, const std::string& api_key, const std::string& instance, Time admitted) {
  return tx.Exec(kCounts, tx.tenant(), api_key, instance, admitted).at(0)[0].as<bool>();
}

}  // namespace allod::billing
