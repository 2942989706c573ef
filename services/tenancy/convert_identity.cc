#include "services/tenancy/convert_identity.h"

#include <fmt/format.h>

#include "services/common/rpc/timestamp.h"
#include "services/tenancy/convert.h"

namespace allod::tenancy {
namespace {

void ReadProviderFields(const v1::IdentityProvider& from, IdentityProvider& to) {
  to.display_name = from.display_name();
  to.issuer = from.issuer();
  to.audiences.assign(from.audiences().begin(), from.audiences().end());
  to.disabled = from.disabled();
}

Status ReadClaims(const v1::WorkloadRule& from, WorkloadRule& to) {
  for (const auto& match : from.claims()) {
    switch (match.match_case()) {
      case v1::ClaimMatch::kEquals:
        to.claims.push_back({match.claim(), match.equals(), false});
        break;
      case v1::ClaimMatch::kPrefix:
        to.claims.push_back({match.claim(), match.prefix(), true});
        break;
      case v1::ClaimMatch::MATCH_NOT_SET:
        return InvalidArgument("INVALID_CLAIM", fmt::format("workload_rule.claims[{}]: say what the claim must be with "
                                                            "\"equals\" or \"prefix\"",
                                                            to.claims.size()));
    }
  }
  return {};
}

Status ReadRuleFields(const v1::WorkloadRule& from, WorkloadRule& to) {
  to.display_name = from.display_name();
  ALLOD_TRY(const ProviderName provider, ProviderNameOf("workload_rule.identity_provider", from.identity_provider()));
  if (provider.tenant != to.tenant) {
    return InvalidArgument("INVALID_NAME", fmt::format("workload_rule.identity_provider: {} is another tenant's",
                                                       from.identity_provider()));
  }
  to.provider = provider.id;
  ALLOD_CHECK_OK(ReadClaims(from, to));
  for (const int scope : from.scopes()) {
    if (scope != v1::ApiKey::SCOPE_INFERENCE && scope != v1::ApiKey::SCOPE_PORTAL) {
      return InvalidArgument("INVALID_SCOPE",
                             fmt::format("workload_rule.scopes: {} is not a scope; use SCOPE_INFERENCE or "
                                         "SCOPE_PORTAL",
                                         scope));
    }
    to.scopes.insert(scope == v1::ApiKey::SCOPE_INFERENCE ? Scope::kInference : Scope::kPortal);
  }
  for (const int role : from.roles()) {
    if (WordOfRole(static_cast<Role>(role)).empty()) {
      return InvalidArgument("INVALID_ROLE", fmt::format("workload_rule.roles: {} is no role; use one of: {}", role,
                                                         kRolesOfKeys.ToString()));
    }
    to.roles.Add(static_cast<Role>(role));
  }
  to.token_minutes = from.token_minutes();
  to.disabled = from.disabled();
  return {};
}

}  // namespace

Result<ProviderName> ProviderNameOf(std::string_view field, std::string_view name) {
  ALLOD_TRY(const auto parts, MatchName(field, name, "tenants/*/identityProviders/*"));
  return ProviderName{parts[0], parts[1]};
}

Result<RuleName> RuleNameOf(std::string_view field, std::string_view name) {
  ALLOD_TRY(const auto parts, MatchName(field, name, "tenants/*/projects/*/workloadRules/*"));
  return RuleName{parts[0], parts[1], parts[2]};
}

Result<IdentityProvider> ProviderFromRequest(const v1::CreateIdentityProviderRequest& request, Time now) {
  ALLOD_TRY(const auto parts, MatchName("parent", request.parent(), "tenants/*"));
  IdentityProvider out{.tenant = parts[0], .id = request.identity_provider_id()};
  ReadProviderFields(request.identity_provider(), out);
  out.create_time = FloorToMicros(now);
  return out;
}

Result<IdentityProvider> ProviderFromRequest(const v1::UpdateIdentityProviderRequest& request) {
  ALLOD_TRY(const ProviderName name, ProviderNameOf("identity_provider.name", request.identity_provider().name()));
  IdentityProvider out{.tenant = name.tenant, .id = name.id};
  ReadProviderFields(request.identity_provider(), out);
  return out;
}

Result<WorkloadRule> RuleFromRequest(const v1::CreateWorkloadRuleRequest& request, Time now) {
  ALLOD_TRY(const auto parts, MatchName("parent", request.parent(), "tenants/*/projects/*"));
  WorkloadRule out{.tenant = parts[0], .project = parts[1], .id = request.workload_rule_id(), .uid = Uuid::V7(now)};
  ALLOD_CHECK_OK(ReadRuleFields(request.workload_rule(), out));
  out.create_time = FloorToMicros(now);
  return out;
}

Result<WorkloadRule> RuleFromRequest(const v1::UpdateWorkloadRuleRequest& request) {
  ALLOD_TRY(const RuleName name, RuleNameOf("workload_rule.name", request.workload_rule().name()));
  WorkloadRule out{.tenant = name.tenant, .project = name.project, .id = name.id};
  ALLOD_CHECK_OK(ReadRuleFields(request.workload_rule(), out));
  return out;
}

v1::IdentityProvider ToProto(const IdentityProvider& provider) {
  v1::IdentityProvider out;
  out.set_name(provider.name());
  out.set_display_name(provider.display_name);
  out.set_issuer(provider.issuer);
  out.mutable_audiences()->Add(provider.audiences.begin(), provider.audiences.end());
  out.set_disabled(provider.disabled);
  *out.mutable_create_time() = ToTimestamp(provider.create_time);
  out.set_etag(EtagOf(provider));
  return out;
}

v1::WorkloadRule ToProto(const WorkloadRule& rule) {
  v1::WorkloadRule out;
  out.set_name(rule.name());
  out.set_uid(rule.uid.ToString());
  out.set_display_name(rule.display_name);
  out.set_identity_provider(fmt::format("tenants/{}/identityProviders/{}", rule.tenant, rule.provider));
  for (const ClaimMatch& match : rule.claims) {
    v1::ClaimMatch& claim = *out.add_claims();
    claim.set_claim(match.claim);
    if (match.is_prefix) {
      claim.set_prefix(match.value);
    } else {
      claim.set_equals(match.value);
    }
  }
  for (const Scope scope : rule.scopes) out.add_scopes(ToProto(scope));
  for (const Role role : rule.roles.List()) out.add_roles(role);
  out.set_token_minutes(rule.token_minutes);
  out.set_disabled(rule.disabled);
  *out.mutable_create_time() = ToTimestamp(rule.create_time);
  out.set_etag(EtagOf(rule));
  return out;
}

v1::WatchIdentitiesResponse::TenantIdentities ToProto(const KnownIdentity& known) {
  v1::WatchIdentitiesResponse::TenantIdentities out;
  out.set_tenant("tenants/" + known.version.tenant);
  out.set_active(known.version.active);
  for (const IdentityProvider& provider : known.identity.providers) {
    *out.add_identity_providers() = ToProto(provider);
  }
  for (const WorkloadRule& rule : known.identity.rules) *out.add_workload_rules() = ToProto(rule);
  return out;
}

}  // namespace allod::tenancy
