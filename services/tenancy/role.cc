#include "services/tenancy/role.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "services/common/edit_distance.h"
#include "services/common/permissions.h"
#include "services/common/text_check.h"
#include "services/tenancy/domain.h"

namespace allod::tenancy {
namespace {

constexpr std::size_t kSummaryCharsMax = 512;
constexpr std::size_t kPermissionCharsMax = 96;
// As calls carry them (Permissions::ToText): kCustomRolesPerGrantMax of them fit (Caller::kCustomBytesMax).
constexpr std::size_t kPermissionBytesMax = 1024;
constexpr std::size_t kNearestShown = 3;
constexpr std::size_t kUsersShown = 5;

// `permission` with "*" where `pattern` has it.
std::string Generalised(const std::string& permission, std::string_view pattern) {
  std::string out;
  std::size_t from = 0;
  for (int i = 0; i < 3; ++i) {
    const std::size_t dot = std::min(permission.find('.', from), permission.size());
    const std::size_t end = std::min(pattern.find('.'), pattern.size());
    out.append(i == 0 ? "" : ".");
    out.append(pattern.substr(0, end) == "*" ? "*" : permission.substr(from, dot - from));
    from = std::min(dot + 1, permission.size());
    pattern.remove_prefix(std::min(end + 1, pattern.size()));
  }
  return out;
}

// Of what is a tenant's.
std::vector<std::string> Nearest(const std::string& pattern, std::span<const KnownPermission> known) {
  std::set<std::pair<std::size_t, std::string>> by_distance;
  for (const KnownPermission& one : known) {
    if (!one.is_tenants) continue;
    std::string candidate = Generalised(one.text, pattern);
    const std::size_t distance = EditDistance(pattern, candidate);
    by_distance.emplace(distance, std::move(candidate));
  }
  std::vector<std::string> out;
  for (const auto& [distance, candidate] : by_distance) {
    if (out.size() < kNearestShown) out.push_back(candidate);
  }
  return out;
}

Status CheckPermission(const std::string& field, const std::string& pattern, std::span<const KnownPermission> known) {
  if (pattern.size() > kPermissionCharsMax || !IsPermissionPattern(pattern)) {
    // Not quoted: it may be anything.
    return InvalidArgument("INVALID_PERMISSION",
                           fmt::format("{}: this is no permission; write AREA.COLLECTION.VERB, each a word or *, e.g. "
                                       "scheduling.instances.get",
                                       field));
  }
  bool is_known = false;
  for (const KnownPermission& one : known) {
    if (!IsWithin(one.text, pattern)) continue;
    if (one.is_tenants) return {};
    is_known = true;
  }
  if (is_known) {
    return InvalidArgument("PERMISSION_OF_OPERATORS",
                           fmt::format("{}: {} is an operator's or the platform's own to do, and no tenant's role has "
                                       "it; leave it out",
                                       field, pattern));
  }
  return InvalidArgument("UNKNOWN_PERMISSION", fmt::format("{}: there is no permission {}; the nearest are {}", field,
                                                           pattern, fmt::join(Nearest(pattern, known), ", ")));
}

Error NoSuchRole(const std::string& id) {
  return {Code::kNotFound, "NOT_FOUND", fmt::format("the tenant has no custom role roles/{}", id)};
}

}  // namespace

Result<TenantRole> ValidRole(TenantRole role, std::span<const KnownPermission> known, const Rights& held) {
  ALLOD_CHECK_OK(CheckId("role_id", role.id));
  if (RoleOf(role.id)) {
    return InvalidArgument("INVALID_ID",
                           fmt::format("role_id: \"{}\" is a role of the platform; choose another id", role.id));
  }
  ALLOD_CHECK_OK(CheckDisplayName("role.display_name", role.display_name));
  ALLOD_CHECK_OK(CheckText("role.summary", role.summary, 0, kSummaryCharsMax, true));
  if (role.permissions.empty() || role.permissions.size() > kPermissionsPerRoleMax) {
    return InvalidArgument(
        role.permissions.empty() ? "INVALID_PERMISSION" : "TOO_MANY_PERMISSIONS",
        fmt::format("role.permissions: name 1 to {}; these are {}", kPermissionsPerRoleMax, role.permissions.size()));
  }
  for (std::size_t i = 0; i < role.permissions.size(); ++i) {
    ALLOD_CHECK_OK(CheckPermission(fmt::format("role.permissions[{}]", i), role.permissions[i], known));
  }
  const Permissions permissions(std::move(role.permissions));
  if (const std::size_t bytes = permissions.ToText().size(); bytes > kPermissionBytesMax) {
    return InvalidArgument("TOO_MANY_PERMISSIONS",
                           fmt::format("role.permissions: they take {} bytes of a call, of which there are {}; say "
                                       "several with *, or make two roles",
                                       bytes, kPermissionBytesMax));
  }
  role.permissions = permissions.patterns();
  ALLOD_CHECK_OK(CheckHolds(role, held));
  return role;
}

Status CheckHolds(const TenantRole& role, const Rights& held) {
  const auto beyond = FirstBeyond(held, role.permissions);
  if (!beyond) return {};
  return Fail(
      Code::kPermissionDenied, "ROLE_NOT_HELD",
      fmt::format("nobody makes, changes or takes away a role with more than he may do: {} has {}, which is more "
                  "than your roles ({}) permit; ask an owner of the tenant",
                  role.name(), *beyond, held.ToString()));
}

Status RoomForRole(const TenantRole& role, std::int64_t in_tenant) {
  if (in_tenant < kRolesPerTenantMax) return {};
  return Fail(Code::kResourceExhausted, "TOO_MANY_ROLES",
              fmt::format("tenants/{} has {} custom roles, the most that a tenant may have; delete one that nobody has",
                          role.tenant, kRolesPerTenantMax));
}

Status CheckUnused(const TenantRole& role, const std::vector<std::string>& users) {
  if (users.empty()) return {};
  const std::vector<std::string> shown(
      users.begin(), users.begin() + static_cast<std::ptrdiff_t>(std::min(users.size(), kUsersShown)));
  const std::string more =
      users.size() > shown.size() ? fmt::format(" and {} more", users.size() - shown.size()) : std::string();
  return Fail(Code::kFailedPrecondition, "ROLE_IN_USE",
              fmt::format("{} is granted by {}{}: take it away there first, or change what it permits", role.name(),
                          fmt::join(shown, ", "), more));
}

bool SameContent(const TenantRole& a, const TenantRole& b) {
  return a.tenant == b.tenant && a.id == b.id && a.display_name == b.display_name && a.summary == b.summary &&
         a.permissions == b.permissions;
}

std::string EtagOf(const TenantRole& role) { return std::to_string(role.version); }

Result<std::vector<std::string>> ValidCustomRoles(std::string_view field, std::vector<std::string> ids) {
  std::ranges::sort(ids);
  if (const auto twice = std::ranges::adjacent_find(ids); twice != ids.end()) {
    return InvalidArgument("INVALID_ROLE", fmt::format("{}.custom_roles: roles/{} stands there twice", field, *twice));
  }
  if (ids.size() <= kCustomRolesPerGrantMax) return ids;
  return InvalidArgument("INVALID_ROLE",
                         fmt::format("{}.custom_roles: {} roles, of which there may be {}; make one role of several",
                                     field, ids.size(), kCustomRolesPerGrantMax));
}

StandingRoles::StandingRoles(const std::vector<TenantRole>& roles) {
  for (const TenantRole& role : roles) {
    roles_[role.id] = {std::make_shared<const CustomRole>(CustomRole{role.id, Permissions(role.permissions)}),
                       role.version};
    version_ = std::max(version_, role.version);
  }
}

Result<Rights> StandingRoles::RightsOf(Roles built_in, const std::vector<std::string>& custom) const {
  Rights out = built_in;
  for (const std::string& id : custom) {
    const auto found = roles_.find(id);
    if (found == roles_.end()) return std::unexpected(NoSuchRole(id));
    out.Add(found->second.role);
  }
  return out;
}

Rights StandingRoles::RightsLeft(Roles built_in, const std::vector<std::string>& custom) const {
  Rights out = built_in;
  for (const std::string& id : custom) {
    if (const auto found = roles_.find(id); found != roles_.end()) out.Add(found->second.role);
  }
  return out;
}

Status StandingRoles::CheckUnchanged(const std::vector<std::string>& custom, std::int64_t seen) const {
  for (const std::string& id : custom) {
    const auto found = roles_.find(id);
    if (found == roles_.end()) return std::unexpected(NoSuchRole(id));
    if (found->second.version <= seen) continue;
    return Fail(
        Code::kAborted, "ROLE_CHANGED",
        fmt::format("the custom role roles/{} was changed while it was being granted: look at it and ask again", id));
  }
  return {};
}

}  // namespace allod::tenancy
