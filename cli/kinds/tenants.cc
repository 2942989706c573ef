// Tenants, projects and API keys.

#include <map>

#include "allod/scheduling/v1/instance.grpc.pb.h"
#include "allod/scheduling/v1/node.grpc.pb.h"
#include "allod/tenancy/v1/api_key.grpc.pb.h"
#include "allod/tenancy/v1/project.grpc.pb.h"
#include "allod/tenancy/v1/tenant.grpc.pb.h"
#include "cli/kinds/calls.h"
#include "services/common/rpc/residency.h"

namespace allod::cli::kinds {
namespace {

namespace tenancy_v1 = allod::tenancy::v1;
using google::protobuf::Message;
using net::Services;

namespace scheduling_v1 = allod::scheduling::v1;

// Refused when the tenant is no longer what `current` shows.
tenancy_v1::UpdateTenantRequest UpdateOf(const Message& current, const Message& wanted) {
  tenancy_v1::UpdateTenantRequest request;
  *request.mutable_tenant() = dynamic_cast<const tenancy_v1::Tenant&>(wanted);
  request.mutable_tenant()->set_etag(dynamic_cast<const tenancy_v1::Tenant&>(current).etag());
  return request;
}

tenancy_v1::UpdateProjectRequest ProjectUpdateOf(const Message& current, const Message& wanted) {
  tenancy_v1::UpdateProjectRequest request;
  *request.mutable_project() = dynamic_cast<const tenancy_v1::Project&>(wanted);
  request.mutable_project()->set_etag(dynamic_cast<const tenancy_v1::Project&>(current).etag());
  return request;
}

// Instances that run, in regions where the wanted residency does not allow them.
Result<std::vector<std::string>> StoppedBy(const Services& services, const Message& current, const Message& wanted) {
  const auto& before = dynamic_cast<const tenancy_v1::Tenant&>(current);
  ALLOD_TRY(const ResidencyRules was, ResidencyOf(before));
  ALLOD_TRY(const ResidencyRules is_to_be, ResidencyOf(dynamic_cast<const tenancy_v1::Tenant&>(wanted)));
  std::vector<std::string> out;
  if (was == is_to_be || before.state() != tenancy_v1::Tenant::STATE_ACTIVE) return out;
  using Nodes = scheduling_v1::NodeService;
  ALLOD_TRY(const auto regions,
            net::List<Nodes>(services, &Nodes::Stub::ListRegions, scheduling_v1::ListRegionsRequest(), kListedMax));
  std::map<std::string, std::string> jurisdictions;
  for (const auto& item : regions.items) {
    const auto& region = dynamic_cast<const scheduling_v1::Region&>(*item);
    jurisdictions[region.name()] = region.jurisdiction();
  }
  using Instances = scheduling_v1::InstanceService;
  scheduling_v1::ListInstancesRequest request;
  request.set_parent(before.name() + "/projects/-");
  ALLOD_TRY(const auto instances, net::List<Instances>(services, &Instances::Stub::ListInstances, request, kListedMax));
  for (const auto& item : instances.items) {
    const auto& instance = dynamic_cast<const scheduling_v1::Instance&>(*item);
    const auto is = instance.status().state();
    const bool runs =
        is != scheduling_v1::InstanceStatus::STATE_STOPPED && is != scheduling_v1::InstanceStatus::STATE_DELETING;
    const std::string& jurisdiction = jurisdictions[instance.spec().region()];
    if (runs && !WhyOutside(is_to_be, kClassesOnNodes, jurisdiction).empty()) out.push_back(instance.name());
  }
  return out;
}

std::vector<std::string> TenantsAbove(const Message& wanted) {
  const auto& tenant = dynamic_cast<const tenancy_v1::Tenant&>(wanted);
  if (tenant.parent().empty()) return {};
  return {tenant.parent()};
}

ResourceKind TenantKind() {
  using Service = tenancy_v1::TenantService;
  return {.kind = "Tenant",
          .plural = "tenants",
          .pattern = "tenants/*",
          .columns = {{"NAME", "name"},
                      {"PARENT", "parent"},
                      {"DISPLAY NAME", "display_name"},
                      {"CURRENCY", "currency_code"},
                      {"RESIDENCY", "residency"},
                      {"WEIGHT", "weight"},
                      {"STATE", "state"},
                      {"SUSPENDED BY", "suspended_by"},
                      {"PURGED FROM", "purge_time"}},
          .prototype = &tenancy_v1::Tenant::default_instance(),
          .spec_fields = {"display_name", "currency_code", "parent", "residency", "residency_rules", "weight", "quota",
                          "limits"},
          .get = Getter<tenancy_v1::TenantService>(&tenancy_v1::TenantService::Stub::GetTenant),
          .list = Lister<tenancy_v1::TenantService>(&tenancy_v1::TenantService::Stub::ListTenants),
          .create = [](const Services& services, const Message& wanted, const Attempt& attempt) -> Result<net::Change> {
            tenancy_v1::CreateTenantRequest request;
            *request.mutable_tenant() = dynamic_cast<const tenancy_v1::Tenant&>(wanted);
            request.set_tenant_id(LastSegment(request.tenant().name()));
            Mark(request, attempt);
            return Done(
                net::Ask<tenancy_v1::TenantService>(services, &tenancy_v1::TenantService::Stub::CreateTenant, request));
          },
          .after = &TenantsAbove,
          .missing = [](const Message& wanted, const Error& error) { return IfNotFound(error, TenantsAbove(wanted)); },
          .preview = [](const Services& services, const Message& current,
                        const Message& wanted) -> Result<terminal::MessagePtr> {
            auto request = UpdateOf(current, wanted);
            request.set_validate_only(true);
            return Own(net::Ask<Service>(services, &Service::Stub::UpdateTenant, request));
          },
          .update = [](const Services& services, const Message& current, const Message& wanted,
                       const std::string& request_id) -> Result<net::Change> {
            auto request = UpdateOf(current, wanted);
            request.set_request_id(request_id);
            return Done(net::Ask<Service>(services, &Service::Stub::UpdateTenant, request));
          },
          .stops = &StoppedBy};
}

ResourceKind ProjectKind() {
  using Service = tenancy_v1::ProjectService;
  return {.kind = "Project",
          .plural = "projects",
          .pattern = "tenants/*/projects/*",
          .parent_pattern = "tenants/*",
          .columns = {{"NAME", "name"}, {"DISPLAY NAME", "display_name"}},
          .prototype = &tenancy_v1::Project::default_instance(),
          .spec_fields = {"display_name", "quota", "limits", "instance_limits"},
          .get = Getter<tenancy_v1::ProjectService>(&tenancy_v1::ProjectService::Stub::GetProject),
          .list = Lister<tenancy_v1::ProjectService>(&tenancy_v1::ProjectService::Stub::ListProjects),
          .create = [](const Services& services, const Message& wanted, const Attempt& attempt) -> Result<net::Change> {
            tenancy_v1::CreateProjectRequest request;
            *request.mutable_project() = dynamic_cast<const tenancy_v1::Project&>(wanted);
            request.set_parent(ParentOf(request.project().name()));
            request.set_project_id(LastSegment(request.project().name()));
            Mark(request, attempt);
            return Done(net::Ask<tenancy_v1::ProjectService>(services, &tenancy_v1::ProjectService::Stub::CreateProject,
                                                             request));
          },
          .missing =
              [](const Message& wanted, const Error& error) {
                return IfNotFound(error, {ParentOf(dynamic_cast<const tenancy_v1::Project&>(wanted).name())});
              },
          .preview = [](const Services& services, const Message& current,
                        const Message& wanted) -> Result<terminal::MessagePtr> {
            auto request = ProjectUpdateOf(current, wanted);
            request.set_validate_only(true);
            return Own(net::Ask<Service>(services, &Service::Stub::UpdateProject, request));
          },
          .update = [](const Services& services, const Message& current, const Message& wanted,
                       const std::string& request_id) -> Result<net::Change> {
            auto request = ProjectUpdateOf(current, wanted);
            request.set_request_id(request_id);
            return Done(net::Ask<Service>(services, &Service::Stub::UpdateProject, request));
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
                      {"CUSTOM ROLES", "custom_roles"},
                      {"EXPIRES", "expire_time"},
                      {"LAST USED", "last_used_time"},
                      {"REVOKED", "revoke_time"}},
          .prototype = &tenancy_v1::ApiKey::default_instance(),
          .list = Lister<tenancy_v1::ApiKeyService>(&tenancy_v1::ApiKeyService::Stub::ListApiKeys),
          .remove = [](const Services& services, const std::string& name, const std::string&) -> Result<net::Change> {
            tenancy_v1::RevokeApiKeyRequest request;
            request.set_name(name);
            return Done(
                net::Ask<tenancy_v1::ApiKeyService>(services, &tenancy_v1::ApiKeyService::Stub::RevokeApiKey, request));
          }};
}

}  // namespace

std::vector<ResourceKind> TenantKinds() { return {TenantKind(), ProjectKind(), ApiKeyKind()}; }

}  // namespace allod::cli::kinds
