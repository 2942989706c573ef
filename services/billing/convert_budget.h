// Messages of BudgetService to domain values and back; see ../convert.h.
#pragma once

#include "allod/billing/v1/budget.pb.h"
#include "services/billing/budget.h"

namespace allod::billing {

// `tenants/{tenant}/budgets/{budget}`.
struct BudgetName {
  TenantId tenant;
  std::string tenant_name;
  std::string id;
};
Result<BudgetName> ParseBudgetName(std::string_view field, const std::string& name);

// Checked (CheckBudget).
Result<Budget> FromProto(const v1::CreateBudgetRequest& request);
Result<Budget> FromProto(const v1::UpdateBudgetRequest& request);
v1::Budget ToProto(const Budget& budget);
v1::Budget::Period ToProto(BudgetPeriod period);

}  // namespace allod::billing
