// Roles that tenants make themselves.

#include "allod/tenancy/v1/role.grpc.pb.h"
#include "cli/kinds/calls.h"
#include "services/common/ids.h"

namespace allod::cli::kinds {
namespace {

namespace tenancy_v1 = allod::tenancy::v1;
using google::protobuf::Message;
using net::Services;

// Refused when it is no longer what `current` shows.
tenancy_v1::UpdateRoleRequest RoleUpdateOf(const Message& current, const Message& wanted) {
  tenancy_v1::UpdateRoleRequest request;
  *request.mutable_role() = dynamic_cast<const tenancy_v1::Role&>(wanted);
  request.mutable_role()->set_etag(dynamic_cast<const tenancy_v1::Role&>(current).etag());
  return request;
}

ResourceKind RoleKind() {
  using Service = tenancy_v1::RoleService;
  return {.kind = "Role",
          .plural = "roles",
          .pattern = "tenants/*/roles/*",
          .parent_pattern = "tenants/*",
          .columns = {{"NAME", "name"}, {"DISPLAY NAME", "display_name"}, {"PERMISSIONS", "permissions"}},
          .prototype = &tenancy_v1::Role::default_instance(),
          .spec_fields = {"display_name", "summary", "permissions"},
          .get = Getter<Service>(&Service::Stub::GetRole),
          .list = Lister<Service>(&Service::Stub::ListRoles),
          .create = [](const Services& services, const Message& wanted, const Attempt& attempt) -> Result<net::Change> {
            tenancy_v1::CreateRoleRequest request;
            *request.mutable_role() = dynamic_cast<const tenancy_v1::Role&>(wanted);
            request.set_parent(ParentOf(request.role().name()));
            request.set_role_id(LastSegment(request.role().name()));
            Mark(request, attempt);
            return Done(net::Ask<Service>(services, &Service::Stub::CreateRole, request));
          },
          .missing = [](const Message& wanted, const Error& error) -> std::vector<std::string> {
            return IfNotFound(error, {ParentOf(dynamic_cast<const tenancy_v1::Role&>(wanted).name())});
          },
          .preview = [](const Services& services, const Message& current,
                        const Message& wanted) -> Result<terminal::MessagePtr> {
            auto request = RoleUpdateOf(current, wanted);
            request.set_validate_only(true);
            return Own(net::Ask<Service>(services, &Service::Stub::UpdateRole, request));
          },
          .update = [](const Services& services, const Message& current, const Message& wanted,
                       const std::string& request_id) -> Result<net::Change> {
            auto request = RoleUpdateOf(current, wanted);
            request.set_request_id(request_id);
            return Done(net::Ask<Service>(services, &Service::Stub::UpdateRole, request));
          },
          .remove = [](const Services& services, const std::string& name,
                       const std::string& request_id) -> Result<net::Change> {
            tenancy_v1::DeleteRoleRequest request;
            request.set_name(name);
            request.set_request_id(request_id);
            return Done(net::Ask<Service>(services, &Service::Stub::DeleteRole, request));
          }};
}

}  // namespace

std::vector<ResourceKind> RoleKinds() { return {RoleKind()}; }

}  // namespace allod::cli::kinds
