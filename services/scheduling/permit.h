// Whether something of a tenant may run, and where: what tenancy said of it last, held against the regions of this
// installation. Fails closed: of a tenant that is not known nothing may run. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/scheduling/domain.h"

namespace allod::scheduling {

class Permit {
 public:
  // Of the refusal that ends by itself, when tenancy has told of the tenant.
  static constexpr std::string_view kTenantUnknown = "TENANT_UNKNOWN";

  // `terms` is null for a tenant that is not known. Both outlive the permit.
  Permit(const std::vector<scheduler::Region>& regions, const TenantTerms* terms) : regions_(regions), terms_(terms) {}

  // The same of one of its instances, which may be stopped_for_credit besides.
  Permit For(const Instance& instance) const;

  // Why nothing of it may run anywhere; nothing if something may. FAILED_PRECONDITION / TENANT_SUSPENDED,
  // TENANT_UNKNOWN; of an instance, CREDIT_USED_UP.
  std::optional<Error> Refusal() const;
  // Why nothing of it may run in this region; FAILED_PRECONDITION / REGION_OUTSIDE_RESIDENCY, UNKNOWN_REGION also.
  std::optional<Error> RefusalIn(const std::string& region) const;
  // The same of a node; FAILED_PRECONDITION / NODE_ELSEWHERE also, for one that stands elsewhere than its region, or
  // does not say where.
  std::optional<Error> RefusalOn(const scheduler::Node& node) const;

  ResidencyRules residency() const;  // nowhere if it is not known
  int weight() const { return terms_ == nullptr ? 1 : terms_->weight; }
  // Nothing of it may be kept.
  bool purge() const { return terms_ != nullptr && terms_->purge; }

 private:
  const std::vector<scheduler::Region>& regions_;
  const TenantTerms* terms_;
  bool stopped_for_credit_ = false;
};

}  // namespace allod::scheduling
