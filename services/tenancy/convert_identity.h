// Between the messages of allod.tenancy.v1 about identity providers, workload rules and what gateways are told, and the
// domain.
#pragma once

#include "allod/tenancy/v1/identity.pb.h"
#include "services/common/rpc/caller.h"
#include "services/tenancy/client_secrets.h"
#include "services/tenancy/identity_feed.h"

namespace allod::tenancy {

// As a user gave it, not checked yet (identity.h does). INVALID_ARGUMENT / INVALID_NAME, INVALID_CLAIM, INVALID_SCOPE,
// INVALID_ROLE, INVALID_SIGN_IN for what the domain cannot say. A client's secret is sealed in `request`, so that
// nothing that is made of it, a fingerprint neither, tells of the secret.
Result<IdentityProvider> ProviderFromRequest(v1::CreateIdentityProviderRequest& request, const ClientSecrets& secrets,
                                             Time now);
Result<IdentityProvider> ProviderFromRequest(v1::UpdateIdentityProviderRequest& request, const ClientSecrets& secrets);
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
// Id of a provider of `tenant`. INVALID_ARGUMENT / INVALID_NAME, also for another tenant's.
Result<std::string> ProviderIdOf(std::string_view field, std::string_view name, const std::string& tenant);

// INVALID_ARGUMENT / INVALID_CLAIM.
Result<std::vector<ClaimMatch>> ClaimsFrom(std::string_view field,
                                           const google::protobuf::RepeatedPtrField<v1::ClaimMatch>& from);
v1::ClaimMatch ToProto(const ClaimMatch& match);

v1::IdentityProvider ToProto(const IdentityProvider& provider);
v1::WorkloadRule ToProto(const WorkloadRule& rule);
// A secret that cannot be opened is left out, with a line in the log.
v1::WatchIdentitiesResponse::TenantIdentities ToProto(const KnownIdentity& known, const ClientSecrets& secrets);

}  // namespace allod::tenancy
