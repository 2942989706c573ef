#include "services/scheduling/permit.h"

#include <algorithm>

#include "scheduler/placement.h"

namespace allod::scheduling {

Permit Permit::For(const Instance& instance) const {
  Permit out = *this;
  out.stopped_for_credit_ = instance.stopped_for_credit;
  return out;
}

std::optional<Error> Permit::Refusal() const {
  if (terms_ == nullptr) {
    return Error{Code::kFailedPrecondition, std::string(kTenantUnknown),
                 "the tenant is not known here yet; tenancy may be away, and it goes on when it has told"};
  }
  if (!terms_->active) return Error{Code::kFailedPrecondition, "TENANT_SUSPENDED", "the tenant is suspended"};
  if (stopped_for_credit_) {
    return Error{Code::kFailedPrecondition, "CREDIT_USED_UP",
                 "the credit of the tenant is used up, and the instance costs something by the hour; it goes on within "
                 "a minute when there is credit again"};
  }
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
