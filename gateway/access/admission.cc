#include "gateway/access/admission.h"

#include <utility>

namespace allod::gateway::access {

Admission::Admission(const AdmissionLimits& limits, const std::optional<RedisConfig>& redis)
    : keys_(limits.key, "this key"), tenants_(limits.tenant, "this tenant, with all its keys together,") {
  if (!redis) return;
  lease_.emplace(*redis, std::vector<RateLease::Buckets>{{"allod:gateway:requests:", keys_},
                                                         {"allod:gateway:tenant-requests:", tenants_}});
}

void Admission::Stop() {
  if (lease_) lease_->Stop();
}

void Admission::Permit::ChargeTokens(std::int64_t tokens, SteadyTime now) {
  key_.ChargeTokens(tokens, now);
  tenant_.ChargeTokens(tokens, now);
}

Result<Admission::Permit> Admission::Admit(const Principal& principal, SteadyTime now, http::Headers& headers) {
  Standing standing, of_tenant;
  auto key = keys_.Admit(principal.id, now, standing);
  if (!key) {
    standing.AddTo(headers);
    return std::unexpected(std::move(key).error());
  }
  auto tenant = tenants_.Admit(principal.tenant, now, of_tenant);
  if (!tenant) {
    of_tenant.AddTo(headers);
    return std::unexpected(std::move(tenant).error());
  }
  standing.TightenTo(of_tenant);
  standing.AddTo(headers);
  Permit permit;
  permit.key_ = *std::move(key);
  permit.tenant_ = *std::move(tenant);
  return permit;
}

}  // namespace allod::gateway::access
