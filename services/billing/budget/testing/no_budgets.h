// A BudgetStore that answers nobody, for tests of who is let through to it.
#pragma once

#include "services/billing/budget/budget_store.h"

namespace allod::billing::budget {

class NoBudgets final : public BudgetStore {
  static std::unexpected<Error> Asked() { return Internal("a budget was asked for by a key of a project"); }

 public:
  Result<Budget> CreateBudget(const Budget&, bool, Time) override { return Asked(); }
  Result<Budget> GetBudget(TenantId, const std::string&, Time) override { return Asked(); }
  Result<std::vector<Budget>> ListBudgets(TenantId, const std::string&, int, Time) override { return Asked(); }
  Result<Budget> UpdateBudget(const Budget&, const std::string&, bool, Time) override { return Asked(); }
  Status DeleteBudget(TenantId, const std::string&, const std::string&) override { return Asked(); }
};

}  // namespace allod::billing::budget
