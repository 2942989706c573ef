// Tenants, projects and API keys.

#include "allod/tenancy/v1/api_key.grpc.pb.h"
#include "allod/tenancy/v1/project.grpc.pb.h"
#include "allod/tenancy/v1/tenant.grpc.pb.h"
#include "cli/kinds/calls.h"

namespace allod::cli::kinds {
namespace {

namespace tenancy_v1 = allod::tenancy::v1;
using google::protobuf::Message;
using installation::StateDir;

ResourceKind TenantKind() {
  return {.kind = "Tenant",
          .plural = "tenants",
          .pattern = "tenants/*",
          .columns = {{"NAME", "name"},
                      {"DISPLAY NAME", "display_name"},
                      {"CURRENCY", "currency_code"},
                      {"RESIDENCY", "residency"},
                      {"STATE", "state"}},
          .prototype = &tenancy_v1::Tenant::default_instance(),
          .spec_fields = {"display_name", "currency_code", "residency"},
          .get = Getter<tenancy_v1::TenantService>(&tenancy_v1::TenantService::Stub::GetTenant),
          .list = Lister<tenancy_v1::TenantService>(&tenancy_v1::TenantService::Stub::ListTenants),
          .create = [](const StateDir& state, const Message& wanted, const Attempt& attempt) -> Result<net::Change> {
            tenancy_v1::CreateTenantRequest request;
            *request.mutable_tenant() = dynamic_cast<const tenancy_v1::Tenant&>(wanted);
            request.set_tenant_id(LastSegment(request.tenant().name()));
            Mark(request, attempt);
            return Done(
                net::Ask<tenancy_v1::TenantService>(state, &tenancy_v1::TenantService::Stub::CreateTenant, request));
          }};
}

ResourceKind ProjectKind() {
  return {.kind = "Project",
          .plural = "projects",
          .pattern = "tenants/*/projects/*",
          .parent_pattern = "tenants/*",
          .columns = {{"NAME", "name"}, {"DISPLAY NAME", "display_name"}},
          .prototype = &tenancy_v1::Project::default_instance(),
          .spec_fields = {"display_name"},
          .get = Getter<tenancy_v1::ProjectService>(&tenancy_v1::ProjectService::Stub::GetProject),
          .list = Lister<tenancy_v1::ProjectService>(&tenancy_v1::ProjectService::Stub::ListProjects),
          .create = [](const StateDir& state, const Message& wanted, const Attempt& attempt) -> Result<net::Change> {
            tenancy_v1::CreateProjectRequest request;
            *request.mutable_project() = dynamic_cast<const tenancy_v1::Project&>(wanted);
            request.set_parent(ParentOf(request.project().name()));
            request.set_project_id(LastSegment(request.project().name()));
            Mark(request, attempt);
            return Done(
                net::Ask<tenancy_v1::ProjectService>(state, &tenancy_v1::ProjectService::Stub::CreateProject, request));
          },
          .missing =
              [](const Message& wanted, const Error& error) {
                return IfNotFound(error, {ParentOf(dynamic_cast<const tenancy_v1::Project&>(wanted).name())});
              }};
}

ResourceKind ApiKeyKind() {
  return {.kind = "ApiKey",
          .plural = "apiKeys",
          .pattern = "tenants/*/projects/*/apiKeys/*",
          .parent_pattern = "tenants/*/projects/*",
          .columns = {{"NAME", "name"},
                      {"DISPLAY NAME", "display_name"},
                      {"SCOPES", "scopes"},
                      {"ROLES", "roles"},
                      {"EXPIRES", "expire_time"},
                      {"LAST USED", "last_used_time"},
                      {"REVOKED", "revoke_time"}},
          .prototype = &tenancy_v1::ApiKey::default_instance(),
          .list = Lister<tenancy_v1::ApiKeyService>(&tenancy_v1::ApiKeyService::Stub::ListApiKeys),
          .remove = [](const StateDir& state, const std::string& name, const std::string&) -> Result<net::Change> {
            tenancy_v1::RevokeApiKeyRequest request;
            request.set_name(name);
            return Done(
                net::Ask<tenancy_v1::ApiKeyService>(state, &tenancy_v1::ApiKeyService::Stub::RevokeApiKey, request));
          }};
}

}  // namespace

std::vector<ResourceKind> TenantKinds() { return {TenantKind(), ProjectKind(), ApiKeyKind()}; }

}  // namespace allod::cli::kinds
