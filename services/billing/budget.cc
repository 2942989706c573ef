#include "services/billing/budget.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/common/text_check.h"

namespace allod::billing {
namespace {

std::unexpected<Error> Invalid(const std::string& what) { return InvalidArgument("INVALID_BUDGET", what); }

Status CheckScope(const Budget& budget) {
  const BudgetScope& scope = budget.scope;
  for (const auto& [field, name] :
       {std::pair{"budget.api_key", &scope.api_key}, std::pair{"budget.instance", &scope.instance}}) {
    const std::string below = fmt::format("{}/projects/{}/", budget.tenant_name, scope.project);
    if (name->empty() || scope.project.empty() || name->starts_with(below)) continue;
    return Invalid(fmt::format("{}: {} is not of the budget's project, so that nothing would count", field, *name));
  }
  return {};
}

Status CheckTimes(const Budget& budget) {
  if (budget.period != BudgetPeriod::kRange) {
    if (budget.start == Time() && budget.end == Time()) return {};
    return Invalid("budget.start_time: only a range has times");
  }
  if (!HasPeriod(budget.start) || !HasPeriod(budget.end)) {
    return Invalid("budget.start_time: a range needs `start_time` and `end_time`, from 2020 to 2199");
  }
  if (budget.start < budget.end) return {};
  return Invalid("budget.end_time: must be after start_time");
}

Status CheckThresholds(const std::vector<std::int32_t>& thresholds) {
  if (thresholds.size() > kThresholdsMax) {
    return Invalid(fmt::format("budget.thresholds: {}; at most {}", thresholds.size(), kThresholdsMax));
  }
  for (const std::int32_t percent : thresholds) {
    if (percent >= 1 && percent <= kThresholdMax) continue;
    return Invalid(fmt::format("budget.thresholds: {} is not from 1 to {} percent", percent, kThresholdMax));
  }
  return {};
}

}  // namespace

std::string EtagOf(const Budget& budget) {
  return fmt::format("{}-{}", budget.uid.ToString().substr(0, 8), budget.version);
}

Result<Budget> CheckBudget(Budget budget) {
  ALLOD_CHECK_OK(CheckText("budget.display_name", budget.display_name, 0, 128));
  if (budget.amount < Amount() || budget.amount > kCreditLimitMax) {
    return InvalidArgument("INVALID_AMOUNT", fmt::format("budget.amount: {} is not from 0 to {}",
                                                         budget.amount.ToString(), kCreditLimitMax.ToString()));
  }
  ALLOD_CHECK_OK(CheckScope(budget));
  ALLOD_CHECK_OK(CheckTimes(budget));
  std::ranges::sort(budget.thresholds);
  const auto rest = std::ranges::unique(budget.thresholds);
  budget.thresholds.erase(rest.begin(), rest.end());
  ALLOD_CHECK_OK(CheckThresholds(budget.thresholds));
  return budget;
}

bool SameContent(const Budget& a, const Budget& b) {
  return a.display_name == b.display_name && a.scope == b.scope && a.period == b.period && a.start == b.start &&
         a.end == b.end && a.amount == b.amount && a.hard == b.hard && a.thresholds == b.thresholds;
}

Result<Budget> ChangedBudget(const Budget& standing, const Budget& wanted, const std::string& etag) {
  if (etag != EtagOf(standing)) {
    return Fail(Code::kAborted, "ETAG_MISMATCH",
                fmt::format("budget.etag: {}/budgets/{} was changed since it was read; read it again",
                            standing.tenant_name, standing.id));
  }
  if (wanted.scope != standing.scope || wanted.period != standing.period || wanted.start != standing.start ||
      wanted.end != standing.end) {
    return FailedPrecondition(
        "BUDGET_IMMUTABLE",
        "budget: what counts in it, its period and the times of it are for good, because what was "
        "counted would not be of them; make another budget");
  }
  Budget out = standing;
  out.display_name = wanted.display_name;
  out.amount = wanted.amount;
  out.hard = wanted.hard;
  out.thresholds = wanted.thresholds;
  if (!SameContent(out, standing)) ++out.version;
  return out;
}

std::optional<Time> StartOfPeriod(BudgetPeriod period, Time start, Time end, Time admitted) {
  switch (period) {
    case BudgetPeriod::kTotal:
      return Time();
    case BudgetPeriod::kRange:
      if (admitted < start || admitted >= end) return std::nullopt;
      return start;
    case BudgetPeriod::kMonth: {
      const std::chrono::year_month_day day(std::chrono::floor<std::chrono::days>(admitted));
      return std::chrono::sys_days(day.year() / day.month() / 1);
    }
  }
  return std::nullopt;
}

bool Counts(const BudgetScope& scope, const std::string& project, const std::string& api_key,
            const std::string& instance) {
  const auto holds = [](const std::string& wanted, const std::string& is) { return wanted.empty() || wanted == is; };
  return holds(scope.project, project) && holds(scope.api_key, api_key) && holds(scope.instance, instance);
}

}  // namespace allod::billing
