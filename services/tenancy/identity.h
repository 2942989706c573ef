// Whose tokens a tenant trusts, of its people and of workloads, and which workloads act in its projects as what. Pure:
// no I/O, no clock.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/common/clock.h"
#include "services/common/ids.h"
#include "services/common/result.h"
#include "services/common/roles.h"
#include "services/tenancy/claims.h"
#include "services/tenancy/domain.h"
#include "services/tenancy/role.h"
#include "services/tenancy/sign_in.h"

namespace allod::tenancy {

struct IdentityProvider {
  std::string tenant;
  std::string id;
  std::string display_name;
  std::string issuer;                  // as in `iss`; immutable
  std::vector<std::string> audiences;  // of workloads' tokens; sorted, unique, at least one without `sign_in`
  bool disabled = false;
  Time create_time;
  std::int64_t version = 0;                      // of its last change; 0: not stored yet
  std::optional<SignIn> sign_in = std::nullopt;  // none: no people sign in with it

  std::string name() const { return "tenants/" + tenant + "/identityProviders/" + id; }
};

struct WorkloadRule {
  std::string tenant;
  std::string project;
  std::string id;
  Uuid uid;
  std::string display_name;
  std::string provider;  // id of the tenant's identity provider
  std::vector<ClaimMatch> claims;
  std::set<Scope> scopes;  // never empty
  Roles roles;             // through the portal; empty without Scope::kPortal
  int token_minutes = 0;
  bool disabled = false;
  Time create_time;
  std::int64_t version = 0;
  std::vector<std::string> custom_roles = {};  // ids; sorted, each once; likewise
  // Of the custom roles (StandingRoles) as of which it was checked what it grants. Not stored.
  std::int64_t roles_seen = 0;

  std::string name() const { return "tenants/" + tenant + "/projects/" + project + "/workloadRules/" + id; }
};

inline constexpr int kProvidersPerTenantMax = 16;
inline constexpr int kRulesPerProjectMax = 64;
// What gateways are sent of one tenant fits into a message.
inline constexpr int kRulesPerTenantMax = 512;
inline constexpr int kTokenMinutesDefault = 15;
inline constexpr int kTokenMinutesMax = 60;

// Checks what a user gave and puts the audiences in order. INVALID_ARGUMENT with INVALID_ID, INVALID_TEXT,
// INVALID_ISSUER, INVALID_AUDIENCE or INVALID_SIGN_IN.
Result<IdentityProvider> ValidProvider(IdentityProvider provider);
// What an update makes of what stands: all that can be changed is that of `wanted`, but for a secret that it keeps.
// INVALID_ARGUMENT / ISSUER_IMMUTABLE.
Result<IdentityProvider> Changed(const IdentityProvider& standing, const IdentityProvider& wanted);
// Checks a rule for tokens of `issuer`, and fills in its default lifetime. INVALID_ARGUMENT with INVALID_ID,
// INVALID_TEXT, INVALID_CLAIM, RULE_TOO_WIDE, INVALID_SCOPE, INVALID_ROLE or INVALID_LIFETIME; NOT_FOUND for a custom
// role that is none of `roles`, the tenant's; PERMISSION_DENIED / SCOPE_NOT_HELD or ROLE_NOT_HELD for what is not the
// maker's.
Result<WorkloadRule> ValidRule(WorkloadRule rule, const std::string& issuer, const Held& held,
                               const StandingRoles& roles = {});

// Whether a create request asks for what is already there.
bool SameContent(const IdentityProvider& a, const IdentityProvider& b);
bool SameContent(const WorkloadRule& a, const WorkloadRule& b);

std::string EtagOf(const IdentityProvider& provider);
std::string EtagOf(const WorkloadRule& rule);

// Whether one more may be made. RESOURCE_EXHAUSTED / TOO_MANY_IDENTITY_PROVIDERS, TOO_MANY_WORKLOAD_RULES.
Status RoomForProvider(const IdentityProvider& provider, std::int64_t in_tenant);
Status RoomForRule(const WorkloadRule& rule, std::int64_t in_project, std::int64_t in_tenant);
// ALREADY_EXISTS / ISSUER_TAKEN.
Error IssuerTaken(const IdentityProvider& provider);
// That it may go, and that its sign-in may. FAILED_PRECONDITION / IDENTITY_PROVIDER_IN_USE.
Status CheckUnused(const IdentityProvider& provider, std::int64_t rules, std::int64_t members);
Status CheckSignInUnused(const IdentityProvider& standing, const IdentityProvider& changed, std::int64_t members);

}  // namespace allod::tenancy
