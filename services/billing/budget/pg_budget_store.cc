#include "services/billing/budget/pg_budget_store.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "services/billing/pg_budget_rows.h"
#include "services/billing/pg_store_rows.h"
#include "services/billing/refusals.h"

namespace allod::billing::budget {
namespace {

// $2: an id or '' for all; $3: those after it; $5: now.
constexpr std::string_view kFindBudgets = R"(
  SELECT b.tenant_id, a.tenant_name, b.id, b.uid, b.display_name, b.project, b.api_key, b.instance, b.period,
    billing.to_micros(b.start_time), billing.to_micros(b.end_time), b.amount, b.hard, b.thresholds::text[], b.version,
    a.currency_code, coalesce(p.spent, 0),
    (SELECT coalesce(sum(s.remaining), 0) FROM billing.budget_slices s
     WHERE s.tenant_id = b.tenant_id AND s.uid = b.slices_uid AND s.start_time = c.start),
    (SELECT coalesce(array_agg(x.percent::text ORDER BY x.percent), '{}') FROM billing.budget_alerts x
     WHERE x.tenant_id = b.tenant_id AND x.uid = b.uid AND x.start_time = c.start),
    (SELECT coalesce(array_agg(billing.to_micros(x.create_time)::text ORDER BY x.percent), '{}')
     FROM billing.budget_alerts x WHERE x.tenant_id = b.tenant_id AND x.uid = b.uid AND x.start_time = c.start),
    billing.to_micros(b.create_time), billing.to_micros(b.update_time)
  FROM billing.budgets b JOIN billing.billing_accounts a ON a.tenant_id = b.tenant_id
  CROSS JOIN LATERAL (SELECT coalesce(billing.budget_start(b, billing.from_micros($5)), b.start_time) AS start) c
  LEFT JOIN billing.budget_periods p ON p.tenant_id = b.tenant_id AND p.uid = b.uid AND p.start_time = c.start
  WHERE b.tenant_id = $1::uuid AND ($2 = '' OR b.id = $2) AND b.id > $3 ORDER BY b.id LIMIT $4)";
constexpr std::string_view kCountBudgets = "SELECT count(*) FROM billing.budgets b WHERE b.tenant_id = $1::uuid";
constexpr std::string_view kInsertBudget = R"(
  INSERT INTO billing.budgets (tenant_id, id, uid, display_name, project, api_key, instance, period, start_time, end_time,
    amount, hard, thresholds, version, slices_uid)
  VALUES ($1::uuid, $2, $3::uuid, $4, $5, $6, $7, $8, billing.from_micros($9), billing.from_micros($10), $11::numeric, $12,
    $13::int[], $14, $3::uuid))";
// Without slices, if it becomes hard.
constexpr std::string_view kUpdateBudget = R"(
  UPDATE billing.budgets b SET display_name = $3, amount = $4::numeric, hard = $5, thresholds = $6::int[], version = $7,
    slices_uid = CASE WHEN $5 AND NOT b.hard THEN gen_random_uuid() ELSE b.slices_uid END, update_time = clock_timestamp()
  WHERE b.tenant_id = $1::uuid AND b.uid = $2::uuid)";
// What gateways have of it they give back, or do not need any more.
constexpr std::string_view kRecallSlices =
    "UPDATE billing.budget_slices s SET recalled = true FROM billing.budgets b "
    "WHERE b.tenant_id = $1::uuid AND b.uid = $2::uuid AND s.tenant_id = b.tenant_id AND s.uid = b.slices_uid";
constexpr std::string_view kDropSlices =
    "DELETE FROM billing.budget_slices s USING billing.budgets b "
    "WHERE b.tenant_id = $1::uuid AND b.uid = $2::uuid AND s.tenant_id = b.tenant_id AND s.uid = b.slices_uid";
// Of the period that runs at $3 alone: what months that are over used says nothing about what may be used now.
constexpr std::string_view kAlert =
    "SELECT billing.alert_budgets(b.tenant_id, ARRAY[b.uid], ARRAY[billing.budget_start(b, billing.from_micros($3))]) "
    "FROM billing.budgets b WHERE b.tenant_id = $1::uuid AND b.uid = $2::uuid";
constexpr std::string_view kDeleteBudget = "DELETE FROM billing.budgets b WHERE b.tenant_id = $1::uuid AND b.id = $2";

Budget ReadBudget(RowReader& row) {
  Budget b;
  std::vector<std::string> thresholds, percents, times;
  row.Into(b.tenant, b.tenant_name, b.id, b.uid, b.display_name, b.scope.project, b.scope.api_key, b.scope.instance,
           b.period, b.start, b.end, b.amount, b.hard, thresholds, b.version, b.currency_code, b.spent, b.held,
           percents, times, b.create_time, b.update_time);
  for (const std::string& percent : thresholds) b.thresholds.push_back(std::stoi(percent));
  for (std::size_t i = 0; i < percents.size(); ++i) {
    b.alerts.push_back({std::stoi(percents[i]), FromMicros(std::stoll(times.at(i)))});
  }
  return b;
}

std::optional<Budget> Find(TenantTx& tx, const std::string& id, Time now) {
  const pqxx::result rows = tx.Exec(kFindBudgets, tx.tenant(), id, "", 1, now);
  if (rows.empty()) return std::nullopt;
  return ReadFirst(rows, ReadBudget);
}

std::unexpected<Error> NoBudget(const std::string& tenant_name, const std::string& id) {
  return NotFound(fmt::format("{}/budgets/{} does not exist", tenant_name, id));
}

std::vector<std::string> Texts(const std::vector<std::int32_t>& numbers) {
  std::vector<std::string> out;
  for (const std::int32_t number : numbers) out.push_back(std::to_string(number));
  return out;
}

audit::Act ActOf(const Budget& b, const std::string& verb) {
  return {.action = "billing.budgets." + verb,
          .resource = fmt::format("{}/budgets/{}", b.tenant_name, b.id),
          .details = {{"amount", b.amount.ToString()},
                      {"hard", b.hard ? "true" : "false"},
                      {"thresholds", fmt::format("{}", fmt::join(b.thresholds, " "))}}};
}

void Insert(TenantTx& tx, const Budget& b) {
  tx.Exec(kInsertBudget, b.tenant, b.id, b.uid, b.display_name, b.scope.project, b.scope.api_key, b.scope.instance,
          b.period, b.start, b.end, b.amount, b.hard, Texts(b.thresholds), b.version);
}

}  // namespace

Result<Budget> PgBudgetStore::CreateBudget(const Budget& budget, bool validate_only, Time now) {
  return desk_.Run<Budget>(
      budget.tenant,
      [&](TenantTx& tx) -> Result<Budget> {
        const std::optional<LockedAccount> account = LockAccount(tx);
        if (!account) return NoBillingAccount();
        if (auto standing = Find(tx, budget.id, now)) {
          if (SameContent(*standing, budget)) return *std::move(standing);
          return Fail(Code::kAlreadyExists, "ALREADY_EXISTS",
                      fmt::format("{}/budgets/{} exists with other content", budget.tenant_name, budget.id));
        }
        if (tx.Exec(kCountBudgets, budget.tenant)[0][0].as<int>() >= kBudgetsMax) {
          return Fail(Code::kResourceExhausted, "TOO_MANY_BUDGETS",
                      fmt::format("{} has {} budgets, as many as a tenant may have", budget.tenant_name, kBudgetsMax));
        }
        Budget made = budget;
        made.currency_code = account->currency_code;
        made.uid = Uuid::V7();
        if (validate_only) return made;
        Insert(tx, made);
        ALLOD_CHECK_OK(audit_.Append(tx, budget.tenant_name, ActOf(budget, "create")));
        return Find(tx, budget.id, now).value();
      },
      RunAgain{});
}

Result<Budget> PgBudgetStore::GetBudget(TenantId tenant, const std::string& id, Time now) {
  return desk_.Run<Budget>(tenant, [&](TenantTx& tx) -> Result<Budget> {
    if (auto budget = Find(tx, id, now)) return *std::move(budget);
    return NotFound(fmt::format("budgets/{} does not exist", id));
  });
}

Result<std::vector<Budget>> PgBudgetStore::ListBudgets(TenantId tenant, const std::string& after, int limit, Time now) {
  return desk_.Run<std::vector<Budget>>(tenant, [&](TenantTx& tx) -> Result<std::vector<Budget>> {
    return ReadAll(tx.Exec(kFindBudgets, tenant, "", after, limit, now), ReadBudget);
  });
}

Result<Budget> PgBudgetStore::UpdateBudget(const Budget& wanted, const std::string& etag, bool validate_only,
                                           Time now) {
  return desk_.Run<Budget>(
      wanted.tenant,
      [&](TenantTx& tx) -> Result<Budget> {
        LockAccount(tx);
        const std::optional<Budget> standing = Find(tx, wanted.id, now);
        if (!standing) return NoBudget(wanted.tenant_name, wanted.id);
        ALLOD_TRY(Budget changed, ChangedBudget(*standing, wanted, etag));
        if (validate_only || changed.version == standing->version) return changed;
        tx.Exec(kUpdateBudget, changed.tenant, changed.uid, changed.display_name, changed.amount, changed.hard,
                Texts(changed.thresholds), changed.version);
        tx.Exec(changed.hard ? kRecallSlices : kDropSlices, changed.tenant, changed.uid);
        tx.Exec(kAlert, changed.tenant, changed.uid, now);
        ALLOD_CHECK_OK(audit_.Append(tx, changed.tenant_name, ActOf(changed, "update")));
        return Find(tx, changed.id, now).value();
      },
      // What was asked for is there, or is changed once more: the etag says which.
      [&](TenantTx& tx) -> Result<Budget> {
        auto standing = Find(tx, wanted.id, now);
        if (standing && SameContent(*standing, wanted)) return *std::move(standing);
        return NotFound("the change was not made");
      });
}

Status PgBudgetStore::DeleteBudget(TenantId tenant, const std::string& tenant_name, const std::string& id) {
  const Result<bool> done = desk_.Run<bool>(
      tenant,
      [&](TenantTx& tx) -> Result<bool> {
        LockAccount(tx);
        const std::optional<Budget> standing = Find(tx, id, Time());
        if (!standing) return NoBudget(tenant_name, id);
        tx.Exec(kDeleteBudget, tenant, id);
        ALLOD_CHECK_OK(audit_.Append(tx, tenant_name, ActOf(*standing, "delete")));
        return true;
      },
      [&](TenantTx& tx) -> Result<bool> {
        if (Find(tx, id, Time())) return NotFound("the budget was not deleted");
        return true;
      });
  if (!done) return std::unexpected(done.error());
  return {};
}

}  // namespace allod::billing::budget
