// Budgets on PostgreSQL (migrations/billing/0022_create_budgets.sql). Changes are made under the lock of the tenant's
// account, so that no lease is adjusted and nothing is settled in between.
#pragma once

#include "services/billing/budget/budget_store.h"
#include "services/common/audit/pg_log.h"
#include "services/common/pg/pool.h"

namespace allod::billing::budget {

class PgBudgetStore final : public BudgetStore {
 public:
  // The pool connects as allod_billing and outlives it.
  explicit PgBudgetStore(PgPool& desk) : desk_(desk) {}

  Result<Budget> CreateBudget(const Budget& budget, bool validate_only, Time now) override;
  Result<Budget> GetBudget(TenantId tenant, const std::string& id, Time now) override;
  Result<std::vector<Budget>> ListBudgets(TenantId tenant, const std::string& after, int limit, Time now) override;
  Result<Budget> UpdateBudget(const Budget& wanted, const std::string& etag, bool validate_only, Time now) override;
  Status DeleteBudget(TenantId tenant, const std::string& tenant_name, const std::string& id) override;

 private:
  PgPool& desk_;
  const audit::PgLog audit_{"billing"};
};

}  // namespace allod::billing::budget
