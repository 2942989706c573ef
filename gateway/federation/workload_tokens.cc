#include "gateway/federation/workload_tokens.h"

#include <algorithm>

#include "gateway/access/bearer.h"
#include "services/common/ids.h"

namespace allod::gateway::federation {
namespace {

std::unexpected<Error> Revoked() {
  return Fail(Code::kUnauthenticated, "TOKEN_REVOKED",
              "what granted this token holds no more: its workload rule or identity provider was deleted, changed or "
              "disabled, or its tenant is suspended");
}

}  // namespace

Result<access::Principal> WorkloadTokens::Authenticate(std::string_view authorization,
                                                       const std::optional<IpAddress>& /*client*/) const {
  ALLOD_TRY(const WorkloadToken token, sealer_.Open(access::BearerToken(authorization), clock_.Now()));
  const std::string tenant = TenantOf(token.rule);
  ALLOD_TRY(const std::shared_ptr<const Trust> trust, table_.Find(tenant));
  const Rule* rule = trust ? trust->RuleNamed(token.rule) : nullptr;
  if (rule == nullptr && !table_.current()) return TrustTable::NotSynced();
  if (rule == nullptr) return Revoked();
  const Provider* provider = trust->ProviderNamed(token.provider);
  if (rule->grounds != token.grounds || rule->disabled || rule->provider != token.provider || provider == nullptr ||
      provider->disabled) {
    return Revoked();
  }
  access::Principal out;
  out.id = token.rule;
  out.name = token.rule;
  out.rule = token.rule.substr(token.rule.rfind('/') + 1);
  out.tenant = tenant;
  out.tenant_id = tenant.substr(tenant.find('/') + 1);
  out.project = rule->project;
  out.inference = token.inference && rule->inference;
  out.portal = token.portal && rule->portal;
  // What the token was given, by what it permits now.
  out.roles = token.roles.InBoth(rule->roles.built_in());
  for (const auto& role : rule->roles.custom()) {
    if (std::ranges::find(token.custom_roles, role->id) != token.custom_roles.end()) out.roles.Add(role);
  }
  return out;
}

}  // namespace allod::gateway::federation
