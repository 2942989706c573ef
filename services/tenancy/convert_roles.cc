#include "services/tenancy/convert_roles.h"

#include <fmt/format.h>

#include "services/common/rpc/timestamp.h"

namespace allod::tenancy {
namespace {

void ReadRoleFields(const v1::Role& from, TenantRole& to) {
  to.display_name = from.display_name();
  to.summary = from.summary();
  to.permissions.assign(from.permissions().begin(), from.permissions().end());
}

}  // namespace

Result<RoleName> RoleNameOf(std::string_view field, std::string_view name) {
  ALLOD_TRY(const auto parts, MatchName(field, name, "tenants/*/roles/*"));
  return RoleName{parts[0], parts[1]};
}

Result<std::vector<std::string>> RoleIdsOf(std::string_view field,
                                           const google::protobuf::RepeatedPtrField<std::string>& names,
                                           const std::string& tenant) {
  std::vector<std::string> out;
  for (int i = 0; i < names.size(); ++i) {
    const std::string at = fmt::format("{}[{}]", field, i);
    ALLOD_TRY(RoleName role, RoleNameOf(at, names[i]));
    if (role.tenant != tenant) {
      return InvalidArgument("INVALID_NAME", fmt::format("{}: {} is another tenant's", at, names[i]));
    }
    out.push_back(std::move(role.id));
  }
  return out;
}

std::string FullRoleName(const std::string& tenant, const std::string& id) {
  return fmt::format("tenants/{}/roles/{}", tenant, id);
}

Result<TenantRole> RoleFromRequest(const v1::CreateRoleRequest& request, Time now) {
  ALLOD_TRY(const auto parts, MatchName("parent", request.parent(), "tenants/*"));
  TenantRole out{.tenant = parts[0], .id = request.role_id(), .uid = Uuid::V7(now)};
  ReadRoleFields(request.role(), out);
  out.create_time = FloorToMicros(now);
  return out;
}

Result<TenantRole> RoleFromRequest(const v1::UpdateRoleRequest& request) {
  ALLOD_TRY(const RoleName name, RoleNameOf("role.name", request.role().name()));
  TenantRole out{.tenant = name.tenant, .id = name.id};
  ReadRoleFields(request.role(), out);
  return out;
}

v1::Role ToProto(const TenantRole& role) {
  v1::Role out;
  out.set_name(role.name());
  out.set_uid(role.uid.ToString());
  out.set_display_name(role.display_name);
  out.set_summary(role.summary);
  out.mutable_permissions()->Add(role.permissions.begin(), role.permissions.end());
  *out.mutable_create_time() = ToTimestamp(role.create_time);
  out.set_etag(EtagOf(role));
  return out;
}

}  // namespace allod::tenancy
