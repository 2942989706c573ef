// Budgets: what counts in one, its periods, and what may be changed. Pure; budget_slices.h has how a hard one is
// divided among gateways.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/billing/domain.h"

namespace allod::billing {

inline constexpr int kBudgetsMax = 200;  // of a tenant
inline constexpr std::size_t kThresholdsMax = 10;
inline constexpr std::int32_t kThresholdMax = 1000;  // percent

enum class BudgetPeriod { kMonth, kRange, kTotal };

// Which requests count: those for which all that is not empty holds.
struct BudgetScope {
  std::string project;  // its id
  std::string api_key;  // full names
  std::string instance;
  bool operator==(const BudgetScope&) const = default;
};

struct BudgetAlert {
  std::int32_t percent = 0;
  Time create_time;
};

struct Budget {
  TenantId tenant;
  std::string tenant_name;
  std::string id;
  Uuid uid;  // one that is made again under its old id has another
  std::string display_name;
  BudgetScope scope;
  BudgetPeriod period = BudgetPeriod::kMonth;
  Time start;  // of a range; else the epoch
  Time end;
  Amount amount;
  bool hard = false;
  std::vector<std::int32_t> thresholds;  // ascending, each once
  std::int64_t version = 1;
  std::string currency_code;  // of the account
  // Of the current period.
  Amount spent;
  Amount held;
  std::vector<BudgetAlert> alerts;
  Time create_time;
  Time update_time;
};

std::string EtagOf(const Budget& budget);

// Sorts the thresholds. INVALID_ARGUMENT / INVALID_BUDGET, INVALID_AMOUNT, INVALID_TEXT.
Result<Budget> CheckBudget(Budget budget);
// Of all that a caller says.
bool SameContent(const Budget& a, const Budget& b);
// `standing` with what may be changed of it as `wanted` says. FAILED_PRECONDITION / BUDGET_IMMUTABLE; ABORTED /
// ETAG_MISMATCH.
Result<Budget> ChangedBudget(const Budget& standing, const Budget& wanted, const std::string& etag);

// When the period begins in which a request counts that is admitted then; nothing: it counts in none.
std::optional<Time> StartOfPeriod(BudgetPeriod period, Time start, Time end, Time admitted);
// Whether a request counts, whatever the time.
bool Counts(const BudgetScope& scope, const std::string& project, const std::string& api_key,
            const std::string& instance);

}  // namespace allod::billing
