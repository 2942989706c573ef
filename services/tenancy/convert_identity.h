// Between the messages of allod.tenancy.v1 about workload identity and the domain.
#pragma once

#include "allod/tenancy/v1/identity.pb.h"
#include "services/common/rpc/caller.h"
#include "services/tenancy/identity_feed.h"

namespace allod::tenancy {

// As a user gave it, not checked yet (identity.h does). INVALID_ARGUMENT / INVALID_NAME, INVALID_CLAIM, INVALID_SCOPE,
// INVALID_ROLE for what the domain cannot say.
Result<IdentityProvider> ProviderFromRequest(const v1::CreateIdentityProviderRequest& request, Time now);
Result<IdentityProvider> ProviderFromRequest(const v1::UpdateIdentityProviderRequest& request);
Result<WorkloadRule> RuleFromRequest(const v1::CreateWorkloadRuleRequest& request, Time now);
Result<WorkloadRule> RuleFromRequest(const v1::UpdateWorkloadRuleRequest& request);

struct ProviderName {
  std::string tenant;
  std::string id;
};
struct RuleName {
  std::string tenant;
  std::string project;
  std::string id;
};
Result<ProviderName> ProviderNameOf(std::string_view field, std::string_view name);
Result<RuleName> RuleNameOf(std::string_view field, std::string_view name);

v1::IdentityProvider ToProto(const IdentityProvider& provider);
v1::WorkloadRule ToProto(const WorkloadRule& rule);
v1::WatchIdentitiesResponse::TenantIdentities ToProto(const KnownIdentity& known);

}  // namespace allod::tenancy
