#include "services/tenancy/convert.h"

#include <fmt/format.h>

#include "services/common/rpc/timestamp.h"

namespace allod::tenancy {
namespace {

pb::ApiKey::Scope ToProto(Scope scope) {
  switch (scope) {
    case Scope::kInference:
      return pb::ApiKey::SCOPE_INFERENCE;
    case Scope::kPortal:
      return pb::ApiKey::SCOPE_PORTAL;
  }
  return pb::ApiKey::SCOPE_UNSPECIFIED;
}

// What a caller may say of a tenant.
Tenant ContentOf(const pb::Tenant& tenant) {
  Tenant out;
  out.display_name = tenant.display_name();
  out.currency_code = tenant.currency_code();
  out.residency.assign(tenant.residency().begin(), tenant.residency().end());
  out.weight = tenant.weight();
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
  Tenant tenant = ContentOf(request.tenant());
  tenant.id = request.tenant_id();
  tenant.create_time = FloorToMicros(now);
  return ValidTenant(std::move(tenant));
}

Result<Tenant> TenantFromRequest(const pb::UpdateTenantRequest& request) {
  Tenant tenant = ContentOf(request.tenant());
  ALLOD_TRY(tenant.id, TenantIdOf("tenant.name", request.tenant().name()));
  return ValidTenantContent(std::move(tenant));
}

Result<Project> ProjectFromRequest(const pb::CreateProjectRequest& request, Time now) {
  ALLOD_TRY(const std::string tenant, TenantIdOf("parent", request.parent()));
  return ValidProject({tenant, request.project_id(), request.project().display_name(), FloorToMicros(now)});
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
  return ValidApiKey(std::move(key), held);
}

pb::Tenant ToProto(const Tenant& tenant) {
  pb::Tenant out;
  out.set_name(tenant.name());
  out.set_uid(tenant.uid().ToString());
  out.set_display_name(tenant.display_name);
  out.set_currency_code(tenant.currency_code);
  out.mutable_residency()->Add(tenant.residency.begin(), tenant.residency.end());
  out.set_state(tenant.state == TenantState::kActive ? pb::Tenant::STATE_ACTIVE : pb::Tenant::STATE_SUSPENDED);
  *out.mutable_create_time() = ToTimestamp(tenant.create_time);
  out.set_weight(tenant.weight);
  out.set_suspend_reason(tenant.suspend_reason);
  // One that would be made has none yet.
  if (tenant.version > 0) out.set_etag(EtagOf(tenant));
  return out;
}

pb::Project ToProto(const Project& project) {
  pb::Project out;
  out.set_name(project.name());
  out.set_uid(project.uid().ToString());
  out.set_display_name(project.display_name);
  *out.mutable_create_time() = ToTimestamp(project.create_time);
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
  out.set_currency_code(change.currency_code);
  return out;
}

}  // namespace allod::tenancy
