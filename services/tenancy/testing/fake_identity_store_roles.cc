// Custom roles of the store in memory.
#include <fmt/format.h>

#include <algorithm>

#include "services/tenancy/testing/fake_identity_store.h"

namespace allod::tenancy {

Result<TenantRole> FakeIdentityStore::RoleNamed(const std::string& tenant, const std::string& id) const {
  const auto found = roles_.find({tenant, id});
  if (found != roles_.end()) return found->second;
  return NotFound(fmt::format("tenants/{}/roles/{} does not exist", tenant, id));
}

std::vector<TenantRole> FakeIdentityStore::RolesOf(const std::string& tenant) const {
  std::vector<TenantRole> out;
  for (const auto& [key, role] : roles_) {
    if (key.first == tenant) out.push_back(role);
  }
  return out;
}

Result<std::vector<TenantRole>> FakeIdentityStore::ReadRoles(const std::string& tenant) {
  const std::scoped_lock lock(mutex_);
  return RolesOf(tenant);
}

Result<TenantRole> FakeIdentityStore::CreateRole(const TenantRole& role, const RequestId& request) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(tenants_.GetTenant(role.tenant));
  ALLOD_TRY(const bool is_repeated, IsRepeated(role.tenant, request));
  const auto standing = RoleNamed(role.tenant, role.id);
  if (is_repeated) return standing;
  if (standing && !SameContent(*standing, role)) return std::unexpected(TakenByOtherContent(role.name()));
  if (!standing) {
    ALLOD_CHECK_OK(RoomForRole(role, static_cast<std::int64_t>(RolesOf(role.tenant).size())));
    TenantRole& stored = roles_[{role.tenant, role.id}] = role;
    stored.version = Next(role.tenant);
  }
  Remember(role.tenant, request);
  return RoleNamed(role.tenant, role.id);
}

Result<TenantRole> FakeIdentityStore::GetRole(const std::string& tenant, const std::string& id) {
  const std::scoped_lock lock(mutex_);
  return RoleNamed(tenant, id);
}

Result<Page<TenantRole>> FakeIdentityStore::ListRoles(const std::string& tenant, const PageRequest& page) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(tenants_.GetTenant(tenant));
  std::vector<TenantRole> items = RolesOf(tenant);
  std::erase_if(items, [&](const TenantRole& role) { return role.id <= page.after; });
  return MakePage(page, std::move(items), [](const TenantRole& r) { return r.id; });
}

Result<TenantRole> FakeIdentityStore::UpdateRole(const TenantRole& role, const std::string& etag, const Rights& held,
                                                 const RequestId& request) {
  const std::scoped_lock lock(mutex_);
  ALLOD_TRY(const bool is_repeated, IsRepeated(role.tenant, request));
  ALLOD_TRY(const TenantRole standing, RoleNamed(role.tenant, role.id));
  if (is_repeated) return standing;
  ALLOD_CHECK_OK(CheckEtag("role", role.name(), EtagOf(standing), etag));
  ALLOD_CHECK_OK(CheckHolds(standing, held));
  if (!SameContent(standing, role)) {
    TenantRole changed = role;
    changed.uid = standing.uid;
    changed.create_time = standing.create_time;
    changed.version = Next(role.tenant);
    roles_[{role.tenant, role.id}] = std::move(changed);
  }
  Remember(role.tenant, request);
  return RoleNamed(role.tenant, role.id);
}

Result<std::int64_t> FakeIdentityStore::DeleteRole(const std::string& tenant, const std::string& id, const Rights& held,
                                                   const RequestId& request) {
  const std::scoped_lock lock(mutex_);
  ALLOD_TRY(const bool is_repeated, IsRepeated(tenant, request));
  if (is_repeated) return versions_[tenant];
  ALLOD_TRY(const TenantRole standing, RoleNamed(tenant, id));
  ALLOD_CHECK_OK(CheckHolds(standing, held));
  const auto names_it = [&](const std::vector<std::string>& ids) { return std::ranges::binary_search(ids, id); };
  std::vector<std::string> users;
  for (const auto& [key, member] : members_) {
    const bool is_user = std::ranges::any_of(member.grants, names_it, &RoleGrant::custom_roles);
    if (key.first == tenant && is_user) users.push_back(member.name());
  }
  for (const auto& [key, rule] : rules_) {
    if (rule.tenant == tenant && names_it(rule.custom_roles)) users.push_back(rule.name());
  }
  ALLOD_CHECK_OK(CheckUnused(standing, users));
  Remember(tenant, request);
  roles_.erase({tenant, id});
  return Next(tenant);
}

}  // namespace allod::tenancy
