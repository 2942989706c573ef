// The storage port of budgets. As for all of billing (../store.h): every method is one whole transaction, thread-safe
// and blocking, and may fail with UNAVAILABLE when the database cannot be reached. What is said to be of the current
// period is of that in which `now` lies.
#pragma once

#include <string>
#include <vector>

#include "services/billing/budget.h"

namespace allod::billing::budget {

class BudgetStore {
 public:
  virtual ~BudgetStore() = default;

  // `budget` has passed CheckBudget. With `validate_only` nothing is changed. The same content again gives what is
  // there. ALREADY_EXISTS; FAILED_PRECONDITION / NO_BILLING_ACCOUNT; RESOURCE_EXHAUSTED / TOO_MANY_BUDGETS.
  virtual Result<Budget> CreateBudget(const Budget& budget, bool validate_only, Time now) = 0;
  virtual Result<Budget> GetBudget(TenantId tenant, const std::string& id, Time now) = 0;  // NOT_FOUND
  // Ordered by id, those after `after`.
  virtual Result<std::vector<Budget>> ListBudgets(TenantId tenant, const std::string& after, int limit, Time now) = 0;
  // Errors of ChangedBudget; NOT_FOUND.
  virtual Result<Budget> UpdateBudget(const Budget& wanted, const std::string& etag, bool validate_only, Time now) = 0;
  virtual Status DeleteBudget(TenantId tenant, const std::string& tenant_name, const std::string& id) = 0;  // NOT_FOUND
};

}  // namespace allod::billing::budget
