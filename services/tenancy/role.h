// Roles that a tenant makes itself: which are valid, what they permit who is granted them, and what a change must
// leave. Pure: no I/O, no clock.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proto/known_permissions.h"
#include "services/common/clock.h"
#include "services/common/ids.h"
#include "services/common/result.h"
#include "services/common/roles.h"

namespace allod::tenancy {

struct TenantRole {
  std::string tenant;
  std::string id;
  Uuid uid;
  std::string display_name;
  std::string summary;                   // may be empty
  std::vector<std::string> permissions;  // patterns; sorted, none within another
  Time create_time;
  std::int64_t version = 0;  // of its last change; 0: not stored yet

  std::string name() const { return "tenants/" + tenant + "/roles/" + id; }
};

inline constexpr int kRolesPerTenantMax = 32;
inline constexpr std::size_t kPermissionsPerRoleMax = 64;
// At one place of one member, and of one workload rule or API key: so that what these may do can always be stated.
inline constexpr std::size_t kCustomRolesPerGrantMax = 4;

// Checks what a user gave, and puts the permissions in order. `known` are all that there are, `held` is what who asks
// has at the tenant. INVALID_ARGUMENT with INVALID_ID, INVALID_TEXT, INVALID_PERMISSION, TOO_MANY_PERMISSIONS,
// UNKNOWN_PERMISSION (which names the nearest) or PERMISSION_OF_OPERATORS; PERMISSION_DENIED / ROLE_NOT_HELD.
Result<TenantRole> ValidRole(TenantRole role, std::span<const KnownPermission> known, const Rights& held);
// That who has `held` may change or delete what stands, or make what is to be. PERMISSION_DENIED / ROLE_NOT_HELD.
Status CheckHolds(const TenantRole& role, const Rights& held);
// RESOURCE_EXHAUSTED / TOO_MANY_ROLES: whether one more may be made.
Status RoomForRole(const TenantRole& role, std::int64_t in_tenant);
// That nobody has it. `users` are full names of what names it. FAILED_PRECONDITION / ROLE_IN_USE, with some of them.
Status CheckUnused(const TenantRole& role, const std::vector<std::string>& users);

bool SameContent(const TenantRole& a, const TenantRole& b);
std::string EtagOf(const TenantRole& role);

// The custom roles that a grant names: sorted, each once. INVALID_ARGUMENT / INVALID_ROLE.
Result<std::vector<std::string>> ValidCustomRoles(std::string_view field, std::vector<std::string> ids);

// The custom roles of one tenant as they stand. Never changes.
class StandingRoles {
 public:
  StandingRoles() = default;
  explicit StandingRoles(const std::vector<TenantRole>& roles);

  // What the roles permit together. NOT_FOUND for a custom one that there is not.
  Result<Rights> RightsOf(Roles built_in, const std::vector<std::string>& custom) const;
  // The same of those that there are.
  Rights RightsLeft(Roles built_in, const std::vector<std::string>& custom) const;
  // That what was decided by the roles as of `seen` stands: NOT_FOUND; ABORTED / ROLE_CHANGED for a later change of one
  // of `custom`.
  Status CheckUnchanged(const std::vector<std::string>& custom, std::int64_t seen) const;
  // The newest change of any of them.
  std::int64_t version() const { return version_; }

 private:
  struct Standing {
    std::shared_ptr<const CustomRole> role;
    std::int64_t version;
  };
  std::map<std::string, Standing> roles_;
  std::int64_t version_ = 0;
};

}  // namespace allod::tenancy
