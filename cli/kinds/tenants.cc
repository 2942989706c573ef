// Tenants, projects and API keys.

#include "allod/tenancy/v1/api_key.grpc.pb.h"
#include "allod/tenancy/v1/project.grpc.pb.h"
#include "allod/tenancy/v1/tenant.grpc.pb.h"
#include "cli/kinds/calls.h"

namespace allod::cli::kinds {
namespace {

namespace tenancy = allod::tenancy::v1;
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
          .prototype = &tenancy::Tenant::default_instance(),
          .spec_fields = {"display_name", "currency_code", "residency"},
          .get = Getter<tenancy::TenantService>(&tenancy::TenantService::Stub::GetTenant),
          .list = Lister<tenancy::TenantService>(&tenancy::TenantService::Stub::ListTenants),
          .create = [](const StateDir& state, const Message& wanted, const Attempt& attempt) -> Result<net::Change> {
            tenancy::CreateTenantRequest request;
            *request.mutable_tenant() = dynamic_cast<const tenancy::Tenant&>(wanted);
            request.set_tenant_id(LastSegment(request.tenant().name()));
            Mark(request, attempt);
            return Done(net::Ask<tenancy::TenantService>(state, &tenancy::TenantService::Stub::CreateTenant, request));
          }};
}

ResourceKind ProjectKind() {
  return {
      .kind = "Project",
      .plural = "projects",
      .pattern = "tenants/*/projects/*",
      .parent_pattern = "tenants/*",
      .columns = {{"NAME", "name"}, {"DISPLAY NAME", "display_name"}},
      .prototype = &tenancy::Project::default_instance(),
      .spec_fields = {"display_name"},
      .get = Getter<tenancy::ProjectService>(&tenancy::ProjectService::Stub::GetProject),
      .list = Lister<tenancy::ProjectService>(&tenancy::ProjectService::Stub::ListProjects),
      .create = [](const StateDir& state, const Message& wanted, const Attempt& attempt) -> Result<net::Change> {
        tenancy::CreateProjectRequest request;
        *request.mutable_project() = dynamic_cast<const tenancy::Project&>(wanted);
        request.set_parent(ParentOf(request.project().name()));
        request.set_project_id(LastSegment(request.project().name()));
        Mark(request, attempt);
        return Done(net::Ask<tenancy::ProjectService>(state, &tenancy::ProjectService::Stub::CreateProject, request));
      },
      .missing =
          [](const Message& wanted, const Error& error) {
            return IfNotFound(error, {ParentOf(dynamic_cast<const tenancy::Project&>(wanted).name())});
          }};
}

ResourceKind ApiKeyKind() {
  return {
      .kind = "ApiKey",
      .plural = "apiKeys",
      .pattern = "tenants/*/projects/*/apiKeys/*",
      .parent_pattern = "tenants/*/projects/*",
      .columns = {{"NAME", "name"}, {"DISPLAY NAME", "display_name"}, {"SCOPES", "scopes"}, {"REVOKED", "revoke_time"}},
      .prototype = &tenancy::ApiKey::default_instance(),
      .list = Lister<tenancy::ApiKeyService>(&tenancy::ApiKeyService::Stub::ListApiKeys),
      .remove = [](const StateDir& state, const std::string& name, const std::string&) -> Result<net::Change> {
        tenancy::RevokeApiKeyRequest request;
        request.set_name(name);
        return Done(net::Ask<tenancy::ApiKeyService>(state, &tenancy::ApiKeyService::Stub::RevokeApiKey, request));
      }};
}

}  // namespace

std::vector<ResourceKind> TenantKinds() { return {TenantKind(), ProjectKind(), ApiKeyKind()}; }

}  // namespace allod::cli::kinds
