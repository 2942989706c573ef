#include "services/tenancy/convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "services/common/quota.h"
#include "services/common/rpc/residency.h"
#include "services/common/rpc/timestamp.h"

namespace allod::tenancy {
namespace {

Result<std::optional<Time>> ExpireTimeFrom(std::string_view field, const google::protobuf::Timestamp& time, Time now) {
  ALLOD_TRY(const std::optional<Time> expire_time, TimeFrom(field, time));
  ALLOD_CHECK_OK(CheckExpireTime(field, expire_time, now));
  return expire_time;
}

Quota QuotaFrom(const pb::Quota& quota) {
  return {quota.instances(),    quota.replicas(), quota.context_tokens(),
          quota.memory_bytes(), quota.api_keys(), quota.projects()};
}

void FillQuota(const Quota& quota, pb::Quota& out) {
  out.set_instances(quota.instances);
  out.set_replicas(quota.replicas);
  out.set_context_tokens(quota.context_tokens);
  out.set_memory_bytes(quota.memory_bytes);
  out.set_api_keys(quota.api_keys);
  out.set_projects(quota.projects);
}

Limits LimitsFrom(const pb::Limits& limits) {
  return {limits.requests_per_minute(), limits.tokens_per_minute(), limits.concurrency(), limits.shadow()};
}

void FillLimits(const Limits& limits, pb::Limits& out) {
  out.set_requests_per_minute(limits.requests_per_minute);
  out.set_tokens_per_minute(limits.tokens_per_minute);
  out.set_concurrency(limits.concurrency);
  out.set_shadow(limits.shadow);
}

// What narrows a key, in both messages that have it.
template <typename Message>
void AddLimits(const ApiKey& key, Message& out) {
  if (key.expire_time) *out.mutable_expire_time() = ToTimestamp(*key.expire_time);
  if (key.limits.any()) FillLimits(key.limits, *out.mutable_limits());
  for (const IpRange& range : key.allowed_ip_ranges) out.add_allowed_ip_ranges(range.ToString());
  for (const std::string& instance : key.allowed_instances) {
    out.add_allowed_instances(fmt::format("tenants/{}/projects/{}/instances/{}", key.tenant, key.project, instance));
  }
}

template <typename Message>
void AddInstanceLimits(const std::string& project, const InstanceLimits& limits, Message& out) {
  for (const auto& [instance, of_instance] : limits) {
    pb::InstanceLimits& added = *out.Add();
    added.set_instance(fmt::format("{}/instances/{}", project, instance));
    FillLimits(of_instance, *added.mutable_limits());
  }
}

// INVALID_ARGUMENT / INVALID_INSTANCE, TOO_MANY_INSTANCES; INVALID_LIMITS for one that stands there twice.
Result<InstanceLimits> InstanceLimitsFrom(const ProjectName& project, const pb::Project& from) {
  constexpr char kField[] = "project.instance_limits";
  if (std::cmp_greater(from.instance_limits_size(), kInstanceLimitsPerProjectMax)) {
    return InvalidArgument("TOO_MANY_INSTANCES",
                           fmt::format("{}: {} models, of which there may be {}", kField, from.instance_limits_size(),
                                       kInstanceLimitsPerProjectMax));
  }
  InstanceLimits out;
  for (const pb::InstanceLimits& limits : from.instance_limits()) {
    ALLOD_TRY(const auto ids, ValidInstances(kField, project.tenant, project.project, std::array{limits.instance()}));
    if (out.emplace(ids[0], LimitsFrom(limits.limits())).second) continue;
    return InvalidArgument("INVALID_LIMITS", fmt::format("{}: \"{}\" stands there twice", kField, limits.instance()));
  }
  return out;
}

// What a caller may say of a tenant.
Result<Tenant> ContentOf(const pb::Tenant& tenant) {
  Tenant out;
  if (!tenant.parent().empty()) {
    ALLOD_TRY(out.parent, TenantIdOf("tenant.parent", tenant.parent()));
  }
  out.display_name = tenant.display_name();
  out.currency_code = tenant.currency_code();
  out.residency.assign(tenant.residency().begin(), tenant.residency().end());
  ALLOD_TRY(out.residency_rules, RulesFrom(tenant.residency_rules()));
  out.weight = tenant.weight();
  out.quota = QuotaFrom(tenant.quota());
  out.limits = LimitsFrom(tenant.limits());
  return out;
}

// What a caller may say of a project.
Result<Project> ContentOf(const ProjectName& name, const pb::Project& project) {
  Project out{name.tenant, name.project, project.display_name(), {}};
  out.quota = QuotaFrom(project.quota());
  out.limits = LimitsFrom(project.limits());
  ALLOD_TRY(out.instance_limits, InstanceLimitsFrom(name, project));
  return out;
}

}  // namespace

Result<std::string> TenantIdOf(std::string_view field, std::string_view name) {
  ALLOD_TRY(const auto parts, MatchName(field, name, "tenants/*"));
  return parts[0];
}

Result<ProjectName> ProjectNameOf(std::string_view field, std::string_view name) {
  ALLOD_TRY(const auto parts, MatchName(field, name, "tenants/*/projects/*"));
  return ProjectName{parts[0], parts[1]};
}

Result<Tenant> TenantFromRequest(const pb::CreateTenantRequest& request, Time now) {
  ALLOD_TRY(Tenant tenant, ContentOf(request.tenant()));
  tenant.id = request.tenant_id();
  tenant.create_time = FloorToMicros(now);
  return ValidTenant(std::move(tenant));
}

Result<Tenant> TenantFromRequest(const pb::UpdateTenantRequest& request) {
  ALLOD_TRY(Tenant tenant, ContentOf(request.tenant()));
  ALLOD_TRY(tenant.id, TenantIdOf("tenant.name", request.tenant().name()));
  return ValidTenantContent(std::move(tenant));
}

Result<Project> ProjectFromRequest(const pb::CreateProjectRequest& request, Time now) {
  ALLOD_TRY(const std::string tenant, TenantIdOf("parent", request.parent()));
  ALLOD_CHECK_OK(CheckId("project_id", request.project_id()));
  ALLOD_TRY(Project project, ContentOf({tenant, request.project_id()}, request.project()));
  project.create_time = FloorToMicros(now);
  return ValidProject(std::move(project));
}

Result<Project> ProjectFromRequest(const pb::UpdateProjectRequest& request) {
  ALLOD_TRY(const ProjectName name, ProjectNameOf("project.name", request.project().name()));
  ALLOD_TRY(Project project, ContentOf(name, request.project()));
  return ValidProject(std::move(project));
}

Result<ApiKey> ApiKeyFromRequest(const pb::CreateApiKeyRequest& request, const Held& held, Time now) {
  ALLOD_TRY(const ProjectName parent, ProjectNameOf("parent", request.parent()));
  ApiKey key;
  key.tenant = parent.tenant;
  key.project = parent.project;
  key.display_name = request.api_key().display_name();
  key.create_time = FloorToMicros(now);
  for (const int scope : request.api_key().scopes()) {
    switch (scope) {
      case pb::ApiKey::SCOPE_INFERENCE:
        key.scopes.insert(Scope::kInference);
        break;
      case pb::ApiKey::SCOPE_PORTAL:
        key.scopes.insert(Scope::kPortal);
        break;
      default:
        return InvalidArgument("INVALID_SCOPE", fmt::format("api_key.scopes: {} is not a scope; use SCOPE_INFERENCE or "
                                                            "SCOPE_PORTAL, or none for every scope",
                                                            scope));
    }
  }
  for (const int role : request.api_key().roles()) {
    if (WordOfRole(static_cast<Role>(role)).empty()) {
      return InvalidArgument(
          "INVALID_ROLE", fmt::format("api_key.roles: {} is no role; use one of: {}", role, kRolesOfKeys.ToString()));
    }
    key.roles.Add(static_cast<Role>(role));
  }
  const pb::ApiKey& asked = request.api_key();
  if (asked.has_expire_time()) {
    ALLOD_TRY(key.expire_time, ExpireTimeFrom("api_key.expire_time", asked.expire_time(), now));
  }
  const std::vector<std::string> ranges(asked.allowed_ip_ranges().begin(), asked.allowed_ip_ranges().end());
  ALLOD_TRY(key.allowed_ip_ranges, ParseIpRanges("api_key.allowed_ip_ranges", ranges, kIpRangesPerKeyMax));
  key.limits = LimitsFrom(asked.limits());
  const std::vector<std::string> instances(asked.allowed_instances().begin(), asked.allowed_instances().end());
  ALLOD_TRY(key.allowed_instances,
            ValidInstances("api_key.allowed_instances", parent.tenant, parent.project, instances));
  return ValidApiKey(std::move(key), held);
}

Result<KeyRotation> RotationFromRequest(const pb::RotateApiKeyRequest& request, Time now) {
  ALLOD_TRY(const auto ids, MatchName("name", request.name(), "tenants/*/projects/*/apiKeys/*"));
  KeyRotation out;
  out.tenant = ids[0];
  out.project = ids[1];
  out.kid = ids[2];
  out.now = FloorToMicros(now);
  // Far beyond what is allowed, so that the sum is a number.
  const auto seconds = std::clamp<std::int64_t>(request.overlap().seconds(), -10'000'000, 10'000'000);
  out.overlap = std::chrono::seconds(seconds) +
                std::chrono::floor<std::chrono::microseconds>(std::chrono::nanoseconds(request.overlap().nanos()));
  ALLOD_CHECK_OK(CheckOverlap(out.overlap));
  if (request.has_expire_time()) {
    ALLOD_TRY(out.expire_time, ExpireTimeFrom("expire_time", request.expire_time(), now));
  }
  return out;
}

Result<std::map<std::string, std::vector<KeyUse>>> UsesFromRequest(const pb::ReportApiKeyUseRequest& request,
                                                                   Time now) {
  if (request.uses_size() > kUsesMax) {
    return InvalidArgument("TOO_MANY_USES", fmt::format("uses: {} of them, of which there may be {}; send more "
                                                        "messages",
                                                        request.uses_size(), kUsesMax));
  }
  std::map<std::string, std::vector<KeyUse>> out;
  for (int i = 0; i < request.uses_size(); ++i) {
    const auto& use = request.uses(i);
    ALLOD_TRY(const auto ids, MatchName(fmt::format("uses[{}].name", i), use.name(), "tenants/*/projects/*/apiKeys/*"));
    ALLOD_TRY(const Time time, TimeFrom(fmt::format("uses[{}].use_time", i), use.use_time()));
    out[ids[0]].push_back({ids[2], std::chrono::floor<std::chrono::minutes>(std::min(time, now))});
  }
  return out;
}

pb::ApiKey::Scope ToProto(Scope scope) {
  switch (scope) {
    case Scope::kInference:
      return pb::ApiKey::SCOPE_INFERENCE;
    case Scope::kPortal:
      return pb::ApiKey::SCOPE_PORTAL;
  }
  return pb::ApiKey::SCOPE_UNSPECIFIED;
}

pb::Tenant::State ToProto(TenantState state) {
  switch (state) {
    case TenantState::kActive:
      return pb::Tenant::STATE_ACTIVE;
    case TenantState::kSuspended:
      return pb::Tenant::STATE_SUSPENDED;
    case TenantState::kDeleting:
      return pb::Tenant::STATE_DELETING;
    case TenantState::kPurging:
      return pb::Tenant::STATE_PURGING;
    case TenantState::kDeleted:
      return pb::Tenant::STATE_DELETED;
  }
  return pb::Tenant::STATE_UNSPECIFIED;
}

pb::Tenant ToProto(const Tenant& tenant) {
  pb::Tenant out;
  out.set_name(tenant.name());
  out.set_uid(tenant.uid().ToString());
  out.set_display_name(tenant.display_name);
  out.set_currency_code(tenant.currency_code);
  out.mutable_residency()->Add(tenant.residency.begin(), tenant.residency.end());
  FillRules(tenant.residency_rules, *out.mutable_residency_rules());
  out.set_state(ToProto(tenant.state));
  *out.mutable_create_time() = ToTimestamp(tenant.create_time);
  out.set_weight(tenant.weight);
  out.set_suspend_reason(tenant.suspend_reason);
  if (tenant.deletion) {
    *out.mutable_delete_time() = ToTimestamp(tenant.deletion->delete_time);
    *out.mutable_purge_time() = ToTimestamp(tenant.deletion->purge_time);
    out.set_delete_reason(tenant.deletion->reason);
  }
  // One that would be made has none yet.
  if (tenant.version > 0) out.set_etag(EtagOf(tenant));
  FillQuota(tenant.quota, *out.mutable_quota());
  FillLimits(tenant.limits, *out.mutable_limits());
  if (!tenant.parent.empty()) out.set_parent("tenants/" + tenant.parent);
  if (!tenant.suspended_by.empty()) out.set_suspended_by("tenants/" + tenant.suspended_by);
  if (tenant.quota_below != Quota()) FillQuota(tenant.quota_below, *out.mutable_quota_below());
  return out;
}

pb::Project ToProto(const Project& project) {
  pb::Project out;
  out.set_name(project.name());
  out.set_uid(project.uid().ToString());
  out.set_display_name(project.display_name);
  *out.mutable_create_time() = ToTimestamp(project.create_time);
  FillQuota(project.quota, *out.mutable_quota());
  FillLimits(project.limits, *out.mutable_limits());
  AddInstanceLimits(project.name(), project.instance_limits, *out.mutable_instance_limits());
  if (project.version > 0) out.set_etag(EtagOf(project));
  return out;
}

pb::GetQuotaUseResponse ToProto(const QuotaState& state, bool project) {
  pb::GetQuotaUseResponse out;
  const auto add = [&](const char* resource, std::int64_t used, std::int64_t limit) {
    pb::QuotaUse& use = *out.add_uses();
    use.set_resource(resource);
    use.set_used(used);
    use.set_limit(limit);
  };
  const std::int64_t keys_in_tenant = TighterLimit(state.of_tenant.api_keys, kApiKeysPerTenantMax);
  if (project) {
    const std::int64_t own = TighterLimit(state.of_project.api_keys, kApiKeysPerProjectMax);
    add("api_keys", state.keys_in_project, TighterLimit(own, keys_in_tenant));
    return out;
  }
  add("projects", state.projects, TighterLimit(state.of_tenant.projects, kProjectsPerTenantMax));
  add("api_keys", state.keys_in_tenant, keys_in_tenant);
  return out;
}

pb::ApiKey ToProto(const ApiKey& key) {
  pb::ApiKey out;
  out.set_name(key.name());
  out.set_display_name(key.display_name);
  for (const Scope scope : key.scopes) out.add_scopes(ToProto(scope));
  for (const Role role : key.roles.List()) out.add_roles(role);
  *out.mutable_create_time() = ToTimestamp(key.create_time);
  if (key.revoke_time) *out.mutable_revoke_time() = ToTimestamp(*key.revoke_time);
  AddLimits(key, out);
  if (key.last_used_time) *out.mutable_last_used_time() = ToTimestamp(*key.last_used_time);
  return out;
}

pb::WatchApiKeysResponse::Key ToProto(const KeyChange& change) {
  pb::WatchApiKeysResponse::Key out;
  out.set_name(change.key.name());
  out.set_kid(change.key.kid);
  out.set_tenant_uid(Uuid::FromName("tenants/" + change.key.tenant).ToString());
  out.set_revoked(change.revoked);
  if (change.revoked) return out;
  out.set_digest(change.key.digest.data(), change.key.digest.size());
  for (const Scope scope : change.key.scopes) out.add_scopes(ToProto(scope));
  for (const Role role : change.key.roles.List()) out.add_roles(role);
  AddLimits(change.key, out);
  out.set_currency_code(change.currency_code);
  return out;
}

pb::WatchApiKeysResponse::TenantStanding ToProto(const TenantStanding& standing) {
  using pb::WatchApiKeysResponse;
  WatchApiKeysResponse::TenantStanding out;
  out.set_tenant("tenants/" + standing.tenant);
  switch (standing.standing) {
    case KeysStanding::kSuspended:
      out.set_standing(WatchApiKeysResponse::TenantStanding::STANDING_SUSPENDED);
      break;
    case KeysStanding::kDeleting:
      out.set_standing(WatchApiKeysResponse::TenantStanding::STANDING_DELETING);
      break;
    case KeysStanding::kInForce:
    case KeysStanding::kGone:
      out.set_standing(WatchApiKeysResponse::TenantStanding::STANDING_IN_FORCE);
      break;
  }
  return out;
}

pb::TenantLimits ToProto(const TenantLimits& limits) {
  pb::TenantLimits out;
  out.set_tenant("tenants/" + limits.tenant);
  for (const std::string& above : limits.above) out.add_above("tenants/" + above);
  FillLimits(limits.limits, *out.mutable_limits());
  for (const ProjectLimits& project : limits.projects) {
    pb::ProjectLimits& added = *out.add_projects();
    added.set_project(fmt::format("tenants/{}/projects/{}", limits.tenant, project.project));
    if (project.limits.any()) FillLimits(project.limits, *added.mutable_limits());
    AddInstanceLimits(added.project(), project.instances, *added.mutable_instances());
  }
  return out;
}

}  // namespace allod::tenancy
