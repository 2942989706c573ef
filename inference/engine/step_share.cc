#include "inference/engine/step_share.h"

#include <algorithm>
#include <limits>

namespace allod::inference::engine {
namespace {

// How many times as long as a step without it one with a piece of prompt takes: rows are cheaper together, but those
// that come have to wait for it.
constexpr double kStepsInOne = 3;

double DecodeSeconds(const StepCost& cost, std::int32_t rows) { return cost.SecondsOf(std::max(1, rows)); }

}  // namespace

StepPlan PlanStep(std::span<const StepTenant> tenants, const StepCost& cost, double turn_budget, bool has_neighbours,
                  bool is_contended) {
  double least = std::numeric_limits<double>::infinity();
  std::int32_t rows = 0;
  for (const StepTenant& tenant : tenants) {
    least = std::min(least, tenant.served);
    rows += tenant.decode_rows;
  }
  // Less, and tenants that are level would take turns instead of sharing steps.
  const double slack = DecodeSeconds(cost, rows);
  StepPlan plan{.takes_part = {}, .budget = turn_budget};
  rows = 0;
  for (const StepTenant& tenant : tenants) {
    plan.takes_part.push_back(tenant.served - least <= slack);
    if (plan.takes_part.back()) rows += tenant.decode_rows;
  }
  if (!has_neighbours) return plan;
  plan.budget = kStepsInOne * DecodeSeconds(cost, rows);
  if (is_contended) plan.budget = std::min(plan.budget, turn_budget);
  return plan;
}

}  // namespace allod::inference::engine
