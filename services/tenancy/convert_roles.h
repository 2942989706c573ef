// Between the messages of allod.tenancy.v1 about custom roles and the domain.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "allod/tenancy/v1/role.pb.h"
#include "services/tenancy/role.h"

namespace allod::tenancy {

// As a user gave it, not checked yet (role.h does). INVALID_ARGUMENT / INVALID_NAME.
Result<TenantRole> RoleFromRequest(const v1::CreateRoleRequest& request, Time now);
Result<TenantRole> RoleFromRequest(const v1::UpdateRoleRequest& request);

struct RoleName {
  std::string tenant;
  std::string id;
};
Result<RoleName> RoleNameOf(std::string_view field, std::string_view name);
// Ids of roles of `tenant` that are named in full, in the order given. INVALID_ARGUMENT / INVALID_NAME, also for
// another tenant's.
Result<std::vector<std::string>> RoleIdsOf(std::string_view field,
                                           const google::protobuf::RepeatedPtrField<std::string>& names,
                                           const std::string& tenant);
std::string FullRoleName(const std::string& tenant, const std::string& id);

v1::Role ToProto(const TenantRole& role);

}  // namespace allod::tenancy
