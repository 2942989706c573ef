// Rows of budgets as domain values. Included by the pg_*.cc files of billing only.
#pragma once

#include "services/billing/budget.h"
#include "services/common/pg/words.h"

namespace allod {

template <>
inline constexpr auto kRowWords<billing::BudgetPeriod> =
    std::to_array<RowWord<billing::BudgetPeriod>>({{billing::BudgetPeriod::kMonth, "month"},
                                                   {billing::BudgetPeriod::kRange, "range"},
                                                   {billing::BudgetPeriod::kTotal, "total"}});

}  // namespace allod
