#include "inference/engine/text/draw_budget.h"

#include <algorithm>

namespace allod::inference::engine::text {
namespace {

constexpr double kShareOfStep = 0.25;
constexpr std::size_t kTenantsMax = 1024;  // of those that left owing something

}  // namespace

void DrawBudget::Earn(double step_seconds, const std::set<std::string>& tenants) {
  for (const std::string& tenant : tenants) left_.try_emplace(tenant, 0.0);
  if (left_.empty()) return;
  const double share = kShareOfStep * std::max(0.0, step_seconds) / static_cast<double>(left_.size());
  for (auto& [tenant, left] : left_) left = std::min(left + share, share);
  std::erase_if(left_, [&](const auto& entry) { return entry.second >= 0 && !tenants.contains(entry.first); });
  while (left_.size() > std::max(kTenantsMax, tenants.size())) left_.erase(left_.begin());
}

double DrawBudget::Of(const std::string& tenant) const {
  const auto found = left_.find(tenant);
  return found == left_.end() ? 0 : found->second;
}

void DrawBudget::Spend(const std::string& tenant, double seconds) { left_[tenant] -= seconds; }

}  // namespace allod::inference::engine::text
