#include "services/tenancy/domain.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/common/money.h"
#include "services/common/quota.h"
#include "services/common/text_check.h"
#include "services/tenancy/tenant_deletion.h"
#include "services/tenancy/tenant_tree.h"

namespace allod::tenancy {
namespace {

constexpr std::string_view kRaisesTenants = "an operator";
constexpr std::string_view kRaisesProjects = "an owner or admin of the tenant";

// Stricter than other ids, because the tenant's id also names directories, system users and DNS labels.
Status CheckTenantId(std::string_view id) {
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  if (id.size() >= 2 && id.size() <= 32 && id.front() >= 'a' && id.front() <= 'z' && id.back() != '-' &&
      std::ranges::all_of(id, allowed)) {
    return {};
  }
  return InvalidArgument("INVALID_ID",
                         fmt::format("tenant_id: '{}' is not 2 to 32 characters of [a-z0-9-] that start with a "
                                     "letter and do not end with '-'",
                                     id.substr(0, 64)));
}

}  // namespace

Result<Tenant> ValidTenant(Tenant tenant) {
  ALLOD_CHECK_OK(CheckTenantId(tenant.id));
  if (!tenant.parent.empty()) ALLOD_CHECK_OK(CheckIdBelow(tenant.id, tenant.parent));
  ALLOD_CHECK_OK(MinorUnitDecimals("tenant.currency_code", tenant.currency_code));
  return ValidTenantContent(std::move(tenant));
}

Result<Tenant> ValidTenantContent(Tenant tenant) {
  ALLOD_CHECK_OK(CheckDisplayName("tenant.display_name", tenant.display_name));
  ALLOD_CHECK_OK(CheckQuotaValues("tenant.quota", tenant.quota));
  ALLOD_CHECK_OK(CheckLimits("tenant.limits", tenant.limits));
  if (tenant.weight == 0) tenant.weight = 1;
  if (tenant.weight < 0 || tenant.weight > kWeightMax) {
    return InvalidArgument("INVALID_WEIGHT", fmt::format("tenant.weight is {}; give 1 to {}, or 0 for the default of 1",
                                                         tenant.weight, kWeightMax));
  }
  ALLOD_TRY(ResidencyRules residency,
            ValidResidency("tenant.residency", {std::move(tenant.residency), std::move(tenant.residency_rules)}));
  tenant.residency = std::move(residency.jurisdictions);
  tenant.residency_rules = std::move(residency.of_class);
  return tenant;
}

Status CheckSuspendReason(std::string_view reason) {
  return CheckText("reason", reason, 0, kSuspendReasonCharsMax, true);
}

std::string EtagOf(const Tenant& tenant) {
  return fmt::format("{}-{}", tenant.uid().ToString().substr(24), tenant.version);
}

Status CheckEtag(std::string_view field, std::string_view name, std::string_view standing, std::string_view given) {
  if (given.empty()) {
    return InvalidArgument("ETAG_REQUIRED", fmt::format("{}.etag is required: send back the one that was read", field));
  }
  if (given == standing) return {};
  return Fail(Code::kAborted, "ETAG_MISMATCH",
              fmt::format("{} was changed since it was read (its etag is {} now): read it again", name, standing));
}

Result<Tenant> Changed(const Tenant& standing, const Tenant& wanted, std::string_view etag) {
  ALLOD_CHECK_OK(CheckNotPurged(standing));
  ALLOD_CHECK_OK(CheckEtag("tenant", standing.name(), EtagOf(standing), etag));
  if (!wanted.currency_code.empty() && wanted.currency_code != standing.currency_code) {
    return FailedPrecondition(
        "IMMUTABLE",
        fmt::format("tenant.currency_code: {} is invoiced in {} for good; leave it so, or make a tenant of "
                    "another name",
                    standing.name(), standing.currency_code));
  }
  if (!wanted.parent.empty() && wanted.parent != standing.parent) {
    return FailedPrecondition(
        "IMMUTABLE",
        fmt::format("tenant.parent: {} is below {} for good; leave it so, or make a tenant of another name",
                    standing.name(), standing.parent.empty() ? "none" : "tenants/" + standing.parent));
  }
  Tenant out = standing;
  out.display_name = wanted.display_name;
  out.residency = wanted.residency;
  out.residency_rules = wanted.residency_rules;
  out.weight = wanted.weight;
  out.quota = wanted.quota;
  out.limits = wanted.limits;
  return out;
}

Result<Tenant> WithState(const Tenant& standing, TenantState state, const std::string& reason, Setter by) {
  Tenant out = standing;
  out.state = state;
  out.suspend_reason = state == TenantState::kSuspended ? reason : "";
  const bool is_from_above = by == Setter::kFromAbove;
  const bool is_operators = standing.state == TenantState::kSuspended && !standing.suspended_from_above;
  const bool changes = out.state != standing.state || out.suspend_reason != standing.suspend_reason;
  if (is_from_above && is_operators) {
    if (!changes) return standing;
    return FailedPrecondition(
        "SUSPENDED_BY_OPERATOR",
        fmt::format("{} was suspended by the operator, who alone resumes it or says why it is; ask "
                    "him",
                    standing.name()));
  }
  out.suspended_from_above = state == TenantState::kSuspended && is_from_above;
  return out;
}

Result<Project> ValidProject(Project project) {
  ALLOD_CHECK_OK(CheckId("project_id", project.id));
  ALLOD_CHECK_OK(CheckDisplayName("project.display_name", project.display_name));
  ALLOD_CHECK_OK(CheckQuotaValues("project.quota", project.quota));
  ALLOD_CHECK_OK(CheckLimits("project.limits", project.limits));
  for (const auto& [instance, limits] : project.instance_limits) {
    const std::string field = fmt::format("project.instance_limits[{}].limits", instance);
    if (!limits.any())
      return InvalidArgument("INVALID_LIMITS", field + ": it limits nothing; name a limit, or leave it out");
    ALLOD_CHECK_OK(CheckLimits(field, limits));
  }
  return project;
}

std::string EtagOf(const Project& project) {
  return fmt::format("{}-{}", project.uid().ToString().substr(24), project.version);
}

Status CheckWithinTenant(const Project& project, const Tenant& tenant) {
  ALLOD_CHECK_OK(CheckWithinTenant(project.quota, tenant.quota));
  return CheckProjectLimits(project.limits, project.instance_limits, tenant.limits);
}

bool SameLimits(const Project& a, const Project& b) {
  return a.limits == b.limits && a.instance_limits == b.instance_limits;
}

Result<Project> Changed(const Project& standing, const Project& wanted, std::string_view etag, const Tenant& tenant) {
  ALLOD_CHECK_OK(CheckNotPurged(tenant));
  ALLOD_CHECK_OK(CheckEtag("project", standing.name(), EtagOf(standing), etag));
  Project out = standing;
  out.display_name = wanted.display_name;
  out.quota = wanted.quota;
  out.limits = wanted.limits;
  out.instance_limits = wanted.instance_limits;
  // What stands may be beyond a tenant's that was lowered since.
  if (out.quota != standing.quota) ALLOD_CHECK_OK(CheckWithinTenant(out.quota, tenant.quota));
  if (!SameLimits(out, standing)) {
    ALLOD_CHECK_OK(CheckProjectLimits(out.limits, out.instance_limits, tenant.limits));
  }
  return out;
}

const std::set<Scope>& EveryScope() {
  static const std::set<Scope> every{Scope::kInference, Scope::kPortal};
  return every;
}

std::string_view WordOf(Scope scope) {
  switch (scope) {
    case Scope::kInference:
      return "inference";
    case Scope::kPortal:
      return "portal";
  }
  return "";
}

std::optional<Scope> ScopeOf(std::string_view word) {
  for (const Scope scope : EveryScope()) {
    if (WordOf(scope) == word) return scope;
  }
  return std::nullopt;
}

namespace {

// What whoever asked for roles that he cannot hand on may do instead.
std::string OtherRoles(const Held& held) {
  Roles covered;
  for (const Role role : kRolesOfKeys.List()) {
    if (Covers(held.roles, {role})) covered.Add(role);
  }
  if (covered.empty())
    return "there is none that yours cover, so leave SCOPE_PORTAL out, or ask an owner of the tenant";
  return fmt::format("name one that yours cover ({}), or ask an owner of the tenant", covered.ToString());
}

Status CheckCustomRoles(const ApiKey& key, const Held& held, const StandingRoles& roles) {
  for (const std::string& id : key.custom_roles) {
    ALLOD_TRY(const Rights granted, roles.RightsOf({}, {id}));
    if (Covers(held.roles, granted)) continue;
    return Fail(Code::kPermissionDenied, "ROLE_NOT_HELD",
                fmt::format("api_key.custom_roles: nobody hands on more than he may do, and \"roles/{}\" is more than "
                            "your roles ({}) permit; leave it out, or ask an owner of the tenant",
                            id, held.roles.ToString()));
  }
  return {};
}

// `key` with its roles, those of its maker if none are named.
Result<ApiKey> WithValidRoles(ApiKey key, const Held& held, const StandingRoles& roles) {
  const auto has_none = [](const ApiKey& one) { return one.roles.empty() && one.custom_roles.empty(); };
  if (!key.scopes.contains(Scope::kPortal)) {
    if (has_none(key)) return key;
    return InvalidArgument("INVALID_ROLE",
                           "api_key.roles: they say what a key may do through the portal, and this one is to have no "
                           "SCOPE_PORTAL; leave the roles out, or add the scope");
  }
  if (has_none(key)) {
    key.roles = held.usual_roles;
    key.custom_roles = held.usual_custom_roles;
    if (!has_none(key)) return key;
    return InvalidArgument("INVALID_ROLE", fmt::format("api_key.roles: yours ({}) are none that a key can have; {}",
                                                       held.roles.ToString(), OtherRoles(held)));
  }
  ALLOD_TRY(key.custom_roles, ValidCustomRoles("api_key", std::move(key.custom_roles)));
  for (const Role role : key.roles.List()) {
    if (kRolesOfKeys.Has(role)) continue;
    return InvalidArgument("INVALID_ROLE", fmt::format("api_key.roles: no key can be \"{}\"; use one of: {}",
                                                       WordOfRole(role), kRolesOfKeys.ToString()));
  }
  for (const Role role : key.roles.List()) {
    if (Covers(held.roles, {role})) continue;
    return Fail(
        Code::kPermissionDenied, "ROLE_NOT_HELD",
        fmt::format("api_key.roles: nobody hands on more than he may do, and \"{}\" is more than your roles ({}) "
                    "permit; {}",
                    WordOfRole(role), held.roles.ToString(), OtherRoles(held)));
  }
  ALLOD_CHECK_OK(CheckCustomRoles(key, held, roles));
  return key;
}

}  // namespace

Result<ApiKey> ValidApiKey(ApiKey key, const Held& held, const StandingRoles& roles) {
  ALLOD_CHECK_OK(CheckText("api_key.display_name", key.display_name, 0, 128));
  if (key.scopes.empty()) key.scopes = held.scopes;
  for (const Scope scope : key.scopes) {
    if (held.scopes.contains(scope)) continue;
    return Fail(
        Code::kPermissionDenied, "SCOPE_NOT_HELD",
        fmt::format(
            "api_key.scopes: nobody hands on more than he may do, and you do not have the scope \"{}\"; leave it "
            "out, or ask somebody who has it",
            WordOf(scope)));
  }
  ALLOD_TRY(key, WithValidRoles(std::move(key), held, roles));
  ALLOD_CHECK_OK(CheckLimits("api_key.limits", key.limits));
  if (key.limits.tokens_per_minute > 0 && !key.scopes.contains(Scope::kInference)) {
    return InvalidArgument("INVALID_LIMITS",
                           "api_key.limits.tokens_per_minute: a key without SCOPE_INFERENCE asks for no tokens; leave "
                           "it out, or add the scope");
  }
  return key;
}

bool SameContent(const Tenant& a, const Tenant& b) {
  return a.id == b.id && a.display_name == b.display_name && a.currency_code == b.currency_code &&
         a.residency == b.residency && a.residency_rules == b.residency_rules && a.weight == b.weight &&
         a.quota == b.quota && a.limits == b.limits && a.parent == b.parent;
}

bool SameContent(const Project& a, const Project& b) {
  return a.tenant == b.tenant && a.id == b.id && a.display_name == b.display_name && a.quota == b.quota &&
         SameLimits(a, b);
}

Error TakenByOtherContent(std::string_view name) {
  return {Code::kAlreadyExists, "ALREADY_EXISTS",
          fmt::format("{} exists with other content; choose another id, or ask for exactly what is there", name)};
}

Status RoomForProject(const Project& project, const QuotaState& state) {
  if (state.projects >= kProjectsPerTenantMax) {
    return Fail(Code::kResourceExhausted, "TOO_MANY_PROJECTS",
                fmt::format("tenants/{} has {} projects, the most that a tenant may have; use one of them",
                            project.tenant, kProjectsPerTenantMax));
  }
  return CheckQuota({.owner = "tenants/" + project.tenant,
                     .field = "quota.projects",
                     .things = "projects",
                     .raiser = kRaisesTenants,
                     .limit = state.of_tenant.projects,
                     .before = state.projects,
                     .after = state.projects + 1});
}

Status RoomForApiKey(const ApiKey& key, const QuotaState& state, int replaced) {
  if (state.keys_in_project - replaced >= kApiKeysPerProjectMax) {
    return Fail(
        Code::kResourceExhausted, "TOO_MANY_API_KEYS",
        fmt::format("tenants/{}/projects/{} has {} API keys, the most that a project may have; revoke some, or use "
                    "another project",
                    key.tenant, key.project, kApiKeysPerProjectMax));
  }
  if (state.keys_in_tenant - replaced >= kApiKeysPerTenantMax) {
    return Fail(Code::kResourceExhausted, "TOO_MANY_API_KEYS",
                fmt::format("tenants/{} has {} API keys, the most that a tenant may have; revoke some", key.tenant,
                            kApiKeysPerTenantMax));
  }
  const auto check = [&](const std::string& owner, std::string_view raiser, std::int64_t limit, std::int64_t count) {
    return CheckQuota({.owner = owner,
                       .field = "quota.api_keys",
                       .things = "API keys",
                       .raiser = raiser,
                       .limit = limit,
                       .before = count,
                       .after = count + 1 - replaced});
  };
  const std::string tenant = "tenants/" + key.tenant;
  ALLOD_CHECK_OK(check(tenant, kRaisesTenants, state.of_tenant.api_keys, state.keys_in_tenant));
  return check(tenant + "/projects/" + key.project, kRaisesProjects, state.of_project.api_keys, state.keys_in_project);
}

}  // namespace allod::tenancy
