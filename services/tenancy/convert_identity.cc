#include "services/tenancy/convert_identity.h"

#include <fmt/format.h>

#include <utility>

#include "services/common/log.h"
#include "services/common/rpc/timestamp.h"
#include "services/tenancy/convert.h"
#include "services/tenancy/convert_people.h"
#include "services/tenancy/convert_roles.h"

namespace allod::tenancy {
namespace {

Result<SignIn> ReadSignIn(v1::SignIn& from, const std::string& provider, const ClientSecrets& secrets) {
  // Of a message that is not const the method of this name would empty the other field.
  const bool clears_secret = std::as_const(from).clear_client_secret();
  if (clears_secret && !from.client_secret().empty()) {
    return InvalidArgument("INVALID_SIGN_IN",
                           "identity_provider.sign_in: it has a new client_secret and asks to clear it; leave one out");
  }
  ALLOD_CHECK_OK(CheckClientSecret(from.client_secret()));
  SignIn out{.client_id = from.client_id(), .scopes = {from.scopes().begin(), from.scopes().end()}};
  if (from.client_secret().empty()) {
    out.keeps_secret = !clears_secret;
  } else {
    out.sealed_secret = secrets.Seal(provider, from.client_secret());
    from.set_client_secret(out.sealed_secret);
  }
  return out;
}

Status ReadProviderFields(v1::IdentityProvider& from, const ClientSecrets& secrets, IdentityProvider& to) {
  to.display_name = from.display_name();
  to.issuer = from.issuer();
  to.audiences.assign(from.audiences().begin(), from.audiences().end());
  to.disabled = from.disabled();
  if (from.has_sign_in()) {
    ALLOD_TRY(to.sign_in, ReadSignIn(*from.mutable_sign_in(), to.name(), secrets));
  }
  return {};
}

Status ReadRuleFields(const v1::WorkloadRule& from, WorkloadRule& to) {
  to.display_name = from.display_name();
  ALLOD_TRY(to.provider, ProviderIdOf("workload_rule.identity_provider", from.identity_provider(), to.tenant));
  ALLOD_TRY(to.claims, ClaimsFrom("workload_rule.claims", from.claims()));
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
  ALLOD_TRY(to.custom_roles, RoleIdsOf("workload_rule.custom_roles", from.custom_roles(), to.tenant));
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

Result<std::string> ProviderIdOf(std::string_view field, std::string_view name, const std::string& tenant) {
  ALLOD_TRY(const ProviderName provider, ProviderNameOf(field, name));
  if (provider.tenant == tenant) return provider.id;
  return InvalidArgument("INVALID_NAME", fmt::format("{}: {} is another tenant's", field, name));
}

Result<std::vector<ClaimMatch>> ClaimsFrom(std::string_view field,
                                           const google::protobuf::RepeatedPtrField<v1::ClaimMatch>& from) {
  std::vector<ClaimMatch> out;
  for (const auto& match : from) {
    switch (match.match_case()) {
      case v1::ClaimMatch::kEquals:
        out.push_back({match.claim(), match.equals(), ClaimComparison::kEquals});
        break;
      case v1::ClaimMatch::kPrefix:
        out.push_back({match.claim(), match.prefix(), ClaimComparison::kPrefix});
        break;
      case v1::ClaimMatch::kContains:
        out.push_back({match.claim(), match.contains(), ClaimComparison::kContains});
        break;
      case v1::ClaimMatch::MATCH_NOT_SET:
        return InvalidArgument("INVALID_CLAIM", fmt::format("{}[{}]: say what the claim must be with \"equals\", "
                                                            "\"prefix\" or \"contains\"",
                                                            field, out.size()));
    }
  }
  return out;
}

v1::ClaimMatch ToProto(const ClaimMatch& match) {
  v1::ClaimMatch out;
  out.set_claim(match.claim);
  switch (match.comparison) {
    case ClaimComparison::kEquals:
      out.set_equals(match.value);
      break;
    case ClaimComparison::kPrefix:
      out.set_prefix(match.value);
      break;
    case ClaimComparison::kContains:
      out.set_contains(match.value);
      break;
  }
  return out;
}

Result<IdentityProvider> ProviderFromRequest(v1::CreateIdentityProviderRequest& request, const ClientSecrets& secrets,
                                             Time now) {
  ALLOD_TRY(const auto parts, MatchName("parent", request.parent(), "tenants/*"));
  IdentityProvider out{.tenant = parts[0], .id = request.identity_provider_id()};
  ALLOD_CHECK_OK(ReadProviderFields(*request.mutable_identity_provider(), secrets, out));
  if (out.sign_in) out.sign_in->keeps_secret = false;  // there is none yet
  out.create_time = FloorToMicros(now);
  return out;
}

Result<IdentityProvider> ProviderFromRequest(v1::UpdateIdentityProviderRequest& request, const ClientSecrets& secrets) {
  ALLOD_TRY(const ProviderName name, ProviderNameOf("identity_provider.name", request.identity_provider().name()));
  IdentityProvider out{.tenant = name.tenant, .id = name.id};
  ALLOD_CHECK_OK(ReadProviderFields(*request.mutable_identity_provider(), secrets, out));
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
  if (provider.sign_in) {
    v1::SignIn& sign_in = *out.mutable_sign_in();
    sign_in.set_client_id(provider.sign_in->client_id);
    sign_in.mutable_scopes()->Add(provider.sign_in->scopes.begin(), provider.sign_in->scopes.end());
    sign_in.set_has_client_secret(!provider.sign_in->sealed_secret.empty());
  }
  return out;
}

v1::WorkloadRule ToProto(const WorkloadRule& rule) {
  v1::WorkloadRule out;
  out.set_name(rule.name());
  out.set_uid(rule.uid.ToString());
  out.set_display_name(rule.display_name);
  out.set_identity_provider(fmt::format("tenants/{}/identityProviders/{}", rule.tenant, rule.provider));
  for (const ClaimMatch& match : rule.claims) *out.add_claims() = ToProto(match);
  for (const Scope scope : rule.scopes) out.add_scopes(ToProto(scope));
  for (const Role role : rule.roles.List()) out.add_roles(role);
  for (const std::string& id : rule.custom_roles) out.add_custom_roles(FullRoleName(rule.tenant, id));
  out.set_token_minutes(rule.token_minutes);
  out.set_disabled(rule.disabled);
  *out.mutable_create_time() = ToTimestamp(rule.create_time);
  out.set_etag(EtagOf(rule));
  return out;
}

v1::WatchIdentitiesResponse::TenantIdentities ToProto(const KnownIdentity& known, const ClientSecrets& secrets) {
  v1::WatchIdentitiesResponse::TenantIdentities out;
  out.set_tenant("tenants/" + known.version.tenant);
  out.set_active(known.version.active);
  for (const IdentityProvider& provider : known.identity.providers) {
    *out.add_identity_providers() = ToProto(provider);
    if (!provider.sign_in || provider.sign_in->sealed_secret.empty()) continue;
    if (auto secret = secrets.Open(provider.name(), provider.sign_in->sealed_secret)) {
      (*out.mutable_client_secrets())[provider.name()] = *std::move(secret);
    } else {
      Log(LogLevel::kError,
          "a client's secret cannot be opened, so nobody can sign in; was the pepper exchanged? set the secret again",
          {{"identity_provider", provider.name()}});
    }
  }
  for (const WorkloadRule& rule : known.identity.rules) *out.add_workload_rules() = ToProto(rule);
  for (const Member& member : known.identity.members) *out.add_members() = ToProto(member);
  for (const TenantRole& role : known.identity.roles) *out.add_roles() = ToProto(role);
  for (const Uuid& id : known.identity.ended_sessions) out.add_ended_sessions(id.bytes().data(), id.bytes().size());
  return out;
}

}  // namespace allod::tenancy
