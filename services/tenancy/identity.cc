#include "services/tenancy/identity.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "services/common/text_check.h"

namespace allod::tenancy {
namespace {

constexpr std::size_t kIssuerCharsMax = 256;
constexpr std::size_t kAudiencesMax = 8;
constexpr std::size_t kAudienceCharsMax = 256;
constexpr int kPortMax = 65'535;

std::unexpected<Error> BadIssuer(std::string_view why) {
  return InvalidArgument(
      "INVALID_ISSUER",
      fmt::format("identity_provider.issuer: {}; write the URL as it stands in \"iss\" of the issuer's tokens, e.g. "
                  "https://token.actions.githubusercontent.com",
                  why));
}

bool IsLoopback(std::string_view host) { return host == "localhost" || host == "127.0.0.1" || host == "[::1]"; }

// "example.com", "10.0.0.1" or "[::1]", without a port.
bool IsHost(std::string_view host) {
  if (host.starts_with('[')) {
    return host.ends_with(']') && host.find_first_not_of("0123456789abcdef:", 1) == host.size() - 1;
  }
  return !host.empty() && host.front() != '.' && host.front() != '-' &&
         host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") == std::string_view::npos;
}

bool IsPort(std::string_view text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= kPortMax;
}

Status CheckIssuer(std::string_view issuer) {
  if (issuer.size() > kIssuerCharsMax) return BadIssuer(fmt::format("it has more than {} characters", kIssuerCharsMax));
  constexpr std::string_view kHttps = "https://";
  constexpr std::string_view kHttp = "http://";
  const bool is_https = issuer.starts_with(kHttps);
  if (!is_https && !issuer.starts_with(kHttp)) return BadIssuer("it does not begin with https://");
  const std::string_view rest = issuer.substr(is_https ? kHttps.size() : kHttp.size());
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  const std::string_view authority = rest.substr(0, slash);
  const std::size_t colon = authority.rfind(':');
  const bool has_port = colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
  const std::string_view host = authority.substr(0, has_port ? colon : authority.size());
  if (!IsHost(host) || (has_port && !IsPort(authority.substr(colon + 1)))) {
    return BadIssuer("it has no host in lower case, or a port that is none");
  }
  if (!is_https && !IsLoopback(host)) return BadIssuer("http is for loopback addresses; all others have https");
  constexpr std::string_view kPath =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/:@!$&'()*+,;=%";
  if (rest.substr(slash).find_first_not_of(kPath) != std::string_view::npos ||
      rest.find("/../") != std::string_view::npos) {
    return BadIssuer("an issuer has no query, no fragment and no blanks");
  }
  return {};
}

Status CheckGrant(const WorkloadRule& rule, const Held& held, const StandingRoles& roles) {
  if (rule.scopes.empty()) {
    return InvalidArgument("INVALID_SCOPE",
                           "workload_rule.scopes: name at least one of SCOPE_INFERENCE and SCOPE_PORTAL");
  }
  for (const Scope scope : rule.scopes) {
    if (held.scopes.contains(scope)) continue;
    return Fail(Code::kPermissionDenied, "SCOPE_NOT_HELD",
                fmt::format("workload_rule.scopes: nobody hands on more than he has, and you do not have \"{}\"",
                            WordOf(scope)));
  }
  if ((rule.roles.empty() && rule.custom_roles.empty()) != !rule.scopes.contains(Scope::kPortal)) {
    return InvalidArgument("INVALID_ROLE",
                           "workload_rule.roles: they say what a workload may do through the portal: name at least one "
                           "with SCOPE_PORTAL, and none without it");
  }
  for (const Role role : rule.roles.List()) {
    if (!kRolesOfKeys.Has(role)) {
      return InvalidArgument("INVALID_ROLE",
                             fmt::format("workload_rule.roles: no workload can be \"{}\"; use one of: {}",
                                         WordOfRole(role), kRolesOfKeys.ToString()));
    }
  }
  ALLOD_TRY(const Rights granted, roles.RightsOf(rule.roles, rule.custom_roles));
  if (Covers(held.roles, granted)) return {};
  return Fail(
      Code::kPermissionDenied, "ROLE_NOT_HELD",
      fmt::format("workload_rule.roles: nobody hands on more than he may do, and \"{}\" is more than your roles "
                  "({}) permit",
                  granted.ToString(), held.roles.ToString()));
}

}  // namespace

Result<IdentityProvider> ValidProvider(IdentityProvider provider) {
  ALLOD_CHECK_OK(CheckId("identity_provider_id", provider.id));
  ALLOD_CHECK_OK(CheckDisplayName("identity_provider.display_name", provider.display_name));
  ALLOD_CHECK_OK(CheckIssuer(provider.issuer));
  if (provider.sign_in) {
    ALLOD_TRY(provider.sign_in, ValidSignIn(*std::move(provider.sign_in)));
  }
  if ((provider.audiences.empty() && !provider.sign_in) || provider.audiences.size() > kAudiencesMax) {
    return InvalidArgument(
        "INVALID_AUDIENCE",
        fmt::format(
            "identity_provider.audiences: name 1 to {} that workloads' tokens must be made for, e.g. the URL of "
            "this installation; none are needed where only people sign in (sign_in)",
            kAudiencesMax));
  }
  for (std::size_t i = 0; i < provider.audiences.size(); ++i) {
    ALLOD_CHECK_OK(
        CheckText(fmt::format("identity_provider.audiences[{}]", i), provider.audiences[i], 1, kAudienceCharsMax));
  }
  std::ranges::sort(provider.audiences);
  if (const auto twice = std::ranges::adjacent_find(provider.audiences); twice != provider.audiences.end()) {
    return InvalidArgument("INVALID_AUDIENCE",
                           fmt::format("identity_provider.audiences: '{}' stands there twice", *twice));
  }
  return provider;
}

Result<IdentityProvider> Changed(const IdentityProvider& standing, const IdentityProvider& wanted) {
  if (standing.issuer != wanted.issuer) {
    return InvalidArgument("ISSUER_IMMUTABLE",
                           fmt::format("identity_provider.issuer: that of {} is {} and stays it; make another provider",
                                       standing.name(), standing.issuer));
  }
  IdentityProvider out = standing;
  out.display_name = wanted.display_name;
  out.audiences = wanted.audiences;
  out.disabled = wanted.disabled;
  out.sign_in = wanted.sign_in;
  if (out.sign_in && out.sign_in->keeps_secret) {
    out.sign_in->sealed_secret = standing.sign_in ? standing.sign_in->sealed_secret : "";
    out.sign_in->keeps_secret = false;
  }
  return out;
}

Result<WorkloadRule> ValidRule(WorkloadRule rule, const std::string& issuer, const Held& held,
                               const StandingRoles& roles) {
  ALLOD_CHECK_OK(CheckId("workload_rule_id", rule.id));
  ALLOD_CHECK_OK(CheckDisplayName("workload_rule.display_name", rule.display_name));
  ALLOD_CHECK_OK(CheckClaims("workload_rule.claims", rule.claims));
  ALLOD_CHECK_OK(CheckNamesWorkloads("workload_rule.claims", rule.claims, issuer));
  ALLOD_TRY(rule.custom_roles, ValidCustomRoles("workload_rule", std::move(rule.custom_roles)));
  ALLOD_CHECK_OK(CheckGrant(rule, held, roles));
  rule.roles_seen = roles.version();
  if (rule.token_minutes == 0) rule.token_minutes = kTokenMinutesDefault;
  if (rule.token_minutes < 1 || rule.token_minutes > kTokenMinutesMax) {
    return InvalidArgument("INVALID_LIFETIME", fmt::format("workload_rule.token_minutes: {} is not 1 to {}",
                                                           rule.token_minutes, kTokenMinutesMax));
  }
  return rule;
}

bool SameContent(const IdentityProvider& a, const IdentityProvider& b) {
  return a.tenant == b.tenant && a.id == b.id && a.display_name == b.display_name && a.issuer == b.issuer &&
         a.audiences == b.audiences && a.disabled == b.disabled && a.sign_in == b.sign_in;
}

bool SameContent(const WorkloadRule& a, const WorkloadRule& b) {
  return a.tenant == b.tenant && a.project == b.project && a.id == b.id && a.display_name == b.display_name &&
         a.provider == b.provider && a.claims == b.claims && a.scopes == b.scopes && a.roles == b.roles &&
         a.custom_roles == b.custom_roles && a.token_minutes == b.token_minutes && a.disabled == b.disabled;
}

std::string EtagOf(const IdentityProvider& provider) { return std::to_string(provider.version); }
std::string EtagOf(const WorkloadRule& rule) { return std::to_string(rule.version); }

Status RoomForProvider(const IdentityProvider& provider, std::int64_t in_tenant) {
  if (in_tenant < kProvidersPerTenantMax) return {};
  return Fail(
      Code::kResourceExhausted, "TOO_MANY_IDENTITY_PROVIDERS",
      fmt::format("tenants/{} has {} identity providers, the most that a tenant may have; delete one that is not "
                  "used",
                  provider.tenant, kProvidersPerTenantMax));
}

Status RoomForRule(const WorkloadRule& rule, std::int64_t in_project, std::int64_t in_tenant) {
  if (in_project >= kRulesPerProjectMax) {
    return Fail(
        Code::kResourceExhausted, "TOO_MANY_WORKLOAD_RULES",
        fmt::format("tenants/{}/projects/{} has {} workload rules, the most that a project may have; delete some",
                    rule.tenant, rule.project, kRulesPerProjectMax));
  }
  if (in_tenant < kRulesPerTenantMax) return {};
  return Fail(Code::kResourceExhausted, "TOO_MANY_WORKLOAD_RULES",
              fmt::format("tenants/{} has {} workload rules, the most that a tenant may have; delete some", rule.tenant,
                          kRulesPerTenantMax));
}

Error IssuerTaken(const IdentityProvider& provider) {
  return {Code::kAlreadyExists, "ISSUER_TAKEN",
          fmt::format("another identity provider of tenants/{} has the issuer {}; use that one", provider.tenant,
                      provider.issuer)};
}

Status CheckUnused(const IdentityProvider& provider, std::int64_t rules, std::int64_t members) {
  if (rules == 0 && members == 0) return {};
  return Fail(Code::kFailedPrecondition, "IDENTITY_PROVIDER_IN_USE",
              fmt::format("{} workload rules and {} members name {}: delete them first, or disable the provider", rules,
                          members, provider.name()));
}

Status CheckSignInUnused(const IdentityProvider& standing, const IdentityProvider& changed, std::int64_t members) {
  if (!standing.sign_in || changed.sign_in || members == 0) return {};
  return Fail(
      Code::kFailedPrecondition, "IDENTITY_PROVIDER_IN_USE",
      fmt::format("{} members sign in with {}: delete them first, or disable the provider", members, standing.name()));
}

}  // namespace allod::tenancy
