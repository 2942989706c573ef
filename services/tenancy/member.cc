#include "services/tenancy/member.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "services/common/text_check.h"

namespace allod::tenancy {
namespace {

constexpr std::size_t kGrantsMax = 32;

Roles RolesAt(const RoleGrant& grant) {
  Roles out = kRolesOfKeys;
  if (grant.project.empty()) out.Add(Role::ROLE_OWNER);
  return out;
}

std::string PlaceOf(const Member& member, const RoleGrant& grant) {
  if (grant.project.empty()) return "tenants/" + member.tenant;
  return fmt::format("tenants/{}/projects/{}", member.tenant, grant.project);
}

Status CheckGrants(Member& member) {
  if (member.grants.empty() || member.grants.size() > kGrantsMax) {
    return InvalidArgument("INVALID_GRANT",
                           fmt::format("member.grants: say at 1 to {} places which roles hold there", kGrantsMax));
  }
  for (std::size_t i = 0; i < member.grants.size(); ++i) {
    RoleGrant& grant = member.grants[i];
    const std::string place = PlaceOf(member, grant);
    if (i > 0 && member.grants[i - 1].project == grant.project) {
      return InvalidArgument("INVALID_GRANT", fmt::format("member.grants: {} stands there twice", place));
    }
    ALLOD_TRY(grant.custom_roles, ValidCustomRoles("member.grants", std::move(grant.custom_roles)));
    if (grant.roles.empty() && grant.custom_roles.empty()) {
      return InvalidArgument("INVALID_ROLE", fmt::format("member.grants: name at least one role at {}", place));
    }
    for (const Role role : grant.roles.List()) {
      if (RolesAt(grant).Has(role)) continue;
      return InvalidArgument("INVALID_ROLE", fmt::format("member.grants: nobody can be \"{}\" at {}; use one of: {}",
                                                         WordOfRole(role), place, RolesAt(grant).ToString()));
    }
  }
  return {};
}

// Of what gateways are sent of it, and not less.
std::size_t BytesOf(const Member& member) {
  constexpr std::size_t kFixedBytes = 128;  // uid, etag, time, flags and lengths
  constexpr std::size_t kItemBytes = 16;    // lengths and roles
  std::size_t out = kFixedBytes + 2 * member.name().size() + member.display_name.size() + member.provider.size();
  for (const ClaimMatch& match : member.claims) out += match.claim.size() + match.value.size() + kItemBytes;
  for (const RoleGrant& grant : member.grants) {
    out += PlaceOf(member, grant).size() + kItemBytes;
    for (const std::string& id : grant.custom_roles) out += member.name().size() + id.size() + kItemBytes;
  }
  return out;
}

bool HasAnOwner(const People& people) {
  return std::ranges::any_of(people.members, [&](const Member& member) {
    if (member.disabled) return false;
    const auto provider = std::ranges::find(people.providers, member.provider, &IdentityProvider::id);
    if (provider == people.providers.end() || provider->disabled || !provider->sign_in) return false;
    return std::ranges::any_of(member.grants, [](const RoleGrant& grant) {
      return grant.project.empty() && grant.roles.Has(Role::ROLE_OWNER);
    });
  });
}

template <typename T>
void Put(std::vector<T>& items, const T& item) {
  const auto standing = std::ranges::find(items, item.id, &T::id);
  if (standing == items.end()) {
    items.push_back(item);
  } else {
    *standing = item;
  }
}

}  // namespace

Result<Member> ValidMember(Member member, const std::string& issuer, const Rights& held, const StandingRoles& roles) {
  ALLOD_CHECK_OK(CheckId("member_id", member.id));
  ALLOD_CHECK_OK(CheckDisplayName("member.display_name", member.display_name));
  ALLOD_CHECK_OK(CheckClaims("member.claims", member.claims));
  ALLOD_CHECK_OK(CheckNamesPeople("member.claims", member.claims, issuer));
  std::ranges::sort(member.grants, {}, &RoleGrant::project);
  ALLOD_CHECK_OK(CheckGrants(member));
  ALLOD_CHECK_OK(CheckHolds(member, held, roles));
  member.roles_seen = roles.version();
  return member;
}

Status CheckHolds(const Member& member, const Rights& held, const StandingRoles& roles) {
  for (const RoleGrant& grant : member.grants) {
    ALLOD_TRY(const Rights granted, roles.RightsOf(grant.roles, grant.custom_roles));
    if (Covers(held, granted)) continue;
    return Fail(Code::kPermissionDenied, "ROLE_NOT_HELD",
                fmt::format("nobody gives or takes away more than he may do: {} is \"{}\" at {}, which is more than "
                            "your roles ({}) permit; ask an owner of the tenant",
                            member.name(), granted.ToString(), PlaceOf(member, grant), held.ToString()));
  }
  return {};
}

Status CheckHolds(const IdentityProvider& standing, const IdentityProvider& changed, const People& people,
                  const Rights& held) {
  if (standing.sign_in == changed.sign_in && standing.disabled == changed.disabled) return {};
  const StandingRoles roles(people.roles);
  for (const Member& member : people.members) {
    if (member.provider == standing.id) ALLOD_CHECK_OK(CheckHolds(member, held, roles));
  }
  return {};
}

Status CheckPlace(const People& people, const Member& member) {
  const auto provider = std::ranges::find(people.providers, member.provider, &IdentityProvider::id);
  if (provider == people.providers.end()) {
    return NotFound(fmt::format("tenants/{}/identityProviders/{} does not exist", member.tenant, member.provider));
  }
  if (!provider->sign_in) return std::unexpected(NoSignIn(*provider));
  const StandingRoles roles(people.roles);
  for (const RoleGrant& grant : member.grants) {
    ALLOD_CHECK_OK(roles.CheckUnchanged(grant.custom_roles, member.roles_seen));
  }
  int members = 1;
  std::size_t bytes = BytesOf(member);
  for (const Member& other : people.members) {
    if (other.id == member.id) continue;
    ++members;
    bytes += BytesOf(other);
  }
  if (members <= kMembersPerTenantMax && bytes <= kMembersBytesPerTenantMax) return {};
  return Fail(Code::kResourceExhausted, "TOO_MANY_MEMBERS",
              fmt::format("tenants/{} would have {} members with {} KiB of claims and grants, and may have {} with {} "
                          "KiB; let a group of the identity provider be one member",
                          member.tenant, members, bytes >> 10, kMembersPerTenantMax, kMembersBytesPerTenantMax >> 10));
}

Status CheckOwnerRemains(const People& before, const People& after) {
  if (!HasAnOwner(before) || HasAnOwner(after)) return {};
  return Fail(
      Code::kFailedPrecondition, "LAST_OWNER",
      "nobody could sign in as the tenant's owner any more: first make another enabled member with ROLE_OWNER at "
      "the tenant, of an identity provider that is enabled");
}

People With(People people, const Member& member) {
  Put(people.members, member);
  return people;
}

People With(People people, const IdentityProvider& provider) {
  Put(people.providers, provider);
  return people;
}

People Without(People people, std::string_view member_id) {
  std::erase_if(people.members, [&](const Member& member) { return member.id == member_id; });
  return people;
}

bool SameContent(const Member& a, const Member& b) {
  return a.tenant == b.tenant && a.id == b.id && a.display_name == b.display_name && a.provider == b.provider &&
         a.claims == b.claims && a.grants == b.grants && a.disabled == b.disabled;
}

std::string EtagOf(const Member& member) { return std::to_string(member.version); }

Error NoSignIn(const IdentityProvider& provider) {
  return {Code::kFailedPrecondition, "NO_SIGN_IN",
          fmt::format("nobody signs in with {}: {}", provider.name(),
                      provider.sign_in ? "it is disabled" : "set its sign_in first")};
}

}  // namespace allod::tenancy
