// Members: which of a tenant's people have which roles, and what a change of them must leave. Pure: no I/O, no clock.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "services/common/clock.h"
#include "services/common/ids.h"
#include "services/common/result.h"
#include "services/common/roles.h"
#include "services/tenancy/claims.h"
#include "services/tenancy/identity.h"
#include "services/tenancy/role.h"

namespace allod::tenancy {

struct RoleGrant {
  std::string project;                         // id; empty: at the tenant as a whole
  Roles roles;                                 // of the platform; not empty without a custom one
  std::vector<std::string> custom_roles = {};  // ids; sorted, each once

  bool operator==(const RoleGrant&) const = default;
};

struct Member {
  std::string tenant;
  std::string id;
  Uuid uid;
  std::string display_name;
  std::string provider;  // id of the tenant's identity provider
  std::vector<ClaimMatch> claims;
  std::vector<RoleGrant> grants;  // by project, each once; at least one
  bool disabled = false;
  Time create_time;
  std::int64_t version = 0;  // of its last change; 0: not stored yet
  // Of the custom roles (StandingRoles) as of which it was checked what it grants. Not stored.
  std::int64_t roles_seen = 0;

  std::string name() const { return "tenants/" + tenant + "/members/" + id; }
};

// What the decisions about members are made on.
struct People {
  std::vector<IdentityProvider> providers;
  std::vector<Member> members;
  std::vector<TenantRole> roles = {};
};

inline constexpr int kMembersPerTenantMax = 1000;
// Of what gateways are sent of one tenant's members together.
inline constexpr std::size_t kMembersBytesPerTenantMax = 1 << 20;

// Checks a member for people of `issuer`, and puts its grants in order. `held` is what its maker has at the tenant, and
// so at each of its projects; `roles` are the tenant's custom ones. INVALID_ARGUMENT with INVALID_ID, INVALID_TEXT,
// INVALID_CLAIM, MEMBER_TOO_WIDE, INVALID_GRANT or INVALID_ROLE; NOT_FOUND for a custom role; PERMISSION_DENIED /
// ROLE_NOT_HELD.
Result<Member> ValidMember(Member member, const std::string& issuer, const Rights& held,
                           const StandingRoles& roles = {});
// That who has `held` may change or delete what stands. PERMISSION_DENIED / ROLE_NOT_HELD.
Status CheckHolds(const Member& member, const Rights& held, const StandingRoles& roles = {});
// That who has `held` may change what stands of a provider so: by whom and whether people sign in with it is to give
// and take what its members have. PERMISSION_DENIED / ROLE_NOT_HELD.
Status CheckHolds(const IdentityProvider& standing, const IdentityProvider& changed, const People& people,
                  const Rights& held);

// Whether there is a place for the member beside the others, a provider that it can sign in with, and the custom roles
// that it grants, as it was checked by them. NOT_FOUND; FAILED_PRECONDITION / NO_SIGN_IN; RESOURCE_EXHAUSTED /
// TOO_MANY_MEMBERS; ABORTED / ROLE_CHANGED.
Status CheckPlace(const People& people, const Member& member);
// A tenant whose owners can sign in keeps one who can. FAILED_PRECONDITION / LAST_OWNER.
Status CheckOwnerRemains(const People& before, const People& after);

// `people` with the member, or the provider, in the place of the one with its id or beside the others; and without a
// member.
People With(People people, const Member& member);
People With(People people, const IdentityProvider& provider);
People Without(People people, std::string_view member_id);

// Whether a create request asks for what is already there.
bool SameContent(const Member& a, const Member& b);
std::string EtagOf(const Member& member);
Error NoSignIn(const IdentityProvider& provider);

}  // namespace allod::tenancy
