#include "services/scheduling/permit.h"

#include <algorithm>

#include "scheduler/placement.h"

namespace allod::scheduling {

std::optional<Error> Permit::Refusal() const {
  if (terms_ == nullptr) {
    return Error{Code::kFailedPrecondition, std::string(kTenantUnknown),
                 "the tenant is not known here yet; tenancy may be away, and it goes on when it has told"};
  }
  if (!terms_->active) return Error{Code::kFailedPrecondition, "TENANT_SUSPENDED", "the tenant is suspended"};
  return std::nullopt;
}

std::optional<Error> Permit::RefusalIn(const std::string& region) const {
  if (auto refusal = Refusal()) return refusal;
  std::string why = scheduler::ResidencyRefusal(regions_, terms_->residency, region);
  if (why.empty()) return std::nullopt;
  const bool is_declared = std::ranges::find(regions_, region, &scheduler::Region::id) != regions_.end();
  return Error{Code::kFailedPrecondition, is_declared ? "REGION_OUTSIDE_RESIDENCY" : "UNKNOWN_REGION", std::move(why)};
}

std::optional<Error> Permit::RefusalOn(const scheduler::Node& node) const {
  if (auto refusal = RefusalIn(node.region)) return refusal;
  std::string why = scheduler::NodeRefusal(regions_, node);
  if (why.empty()) return std::nullopt;
  return Error{Code::kFailedPrecondition, "NODE_ELSEWHERE", std::move(why)};
}

ResidencyRules Permit::residency() const { return terms_ == nullptr ? ResidencyRules() : terms_->residency; }

}  // namespace allod::scheduling
