// Tenants below tenants: what one may be below which, and have there. Pure.
//
// What is above a tenant is settled when it is made (Tenant::ancestors), so there are no cycles. What a child has lies
// within what its parent has; a quota of the parent's is carved out: what a child is given the parent itself has no
// more.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "services/tenancy/domain.h"

namespace allod::tenancy {

// A tenant without a parent is the first level.
inline constexpr std::size_t kTenantLevelsMax = 4;
// How many there may be below a tenant on the first, second and third level, of all levels together: nobody below takes
// all places of the tree.
inline constexpr std::array<int, kTenantLevelsMax - 1> kTenantsBelowMax{1000, 100, 25};

// Whether a tenant may be called `id` below `parent`, whatever there is: so nobody takes, or finds out about, names
// that are not below his own. INVALID_ARGUMENT / INVALID_ID.
Status CheckIdBelow(std::string_view id, std::string_view parent);

// INVALID_ARGUMENT / INVALID_ID, for one below none whose id is among those that `other` has for what is below it.
Error IdOfAnothers(std::string_view id, std::string_view other);

// `child` as it is below `parent`: ancestors, and who suspends it. INVALID_ARGUMENT / INVALID_ID, TOO_MANY_LEVELS;
// FAILED_PRECONDITION / TENANT_DELETING, TENANT_DELETED of the parent.
Result<Tenant> PlacedBelow(Tenant child, const Tenant& parent);
// RESOURCE_EXHAUSTED / TOO_MANY_TENANTS for one more below `parent` when there are so many: `below` says of each from
// the top to it how many are below that, but for what is gone. Names nothing above the parent.
Status CheckRoomBelow(const Tenant& parent, std::span<const int> below);

// What a tenant has itself, beside what those below it have.
struct OwnUse {
  std::int64_t projects = 0;
  std::int64_t api_keys = 0;  // that hold
};
// Whether `wanted` may be a child of `parent`, with what that and its other children have; `before` is the child as it
// stands: what it keeps may be beyond a limit or weight that was lowered since. INVALID_ARGUMENT /
// RESIDENCY_OUTSIDE_PARENT, QUOTA_REQUIRED, INVALID_QUOTA, INVALID_LIMITS, INVALID_WEIGHT; RESOURCE_EXHAUSTED /
// QUOTA_EXCEEDED. Of instances the parent's own use is scheduling's to know: what runs goes on.
Status CheckWithinParent(const Tenant& wanted, const Tenant* before, const Tenant& parent, const OwnUse& use);
// Whether a child of `parent` may give so much of its quota back: of what the parent has a quota, nobody gives another
// child what this one still uses. `use` is the child's own, `by` whoever asks. FAILED_PRECONDITION / QUOTA_IN_USE for
// fewer projects or API keys than it uses and its children have; QUOTA_OPERATORS_ONLY for fewer instances, replicas,
// context or memory from people: what of those is in use is scheduling's to know.
Status CheckGivenBack(const Tenant& wanted, const Tenant& before, const Tenant& parent, const OwnUse& use, Setter by);
// Whether a tenant may become `wanted` over its children: FAILED_PRECONDITION / CHILD_OUTSIDE, which names one.
Status CheckHolds(const Tenant& wanted, const std::vector<Tenant>& children);
// FAILED_PRECONDITION / TENANT_HAS_CHILDREN: only one without any may go.
Status CheckChildless(const Tenant& tenant, const std::vector<Tenant>& children);

// The quotas of the children together.
Quota SumOf(const std::vector<Tenant>& children);
// What the tenant itself may have, as limits: kNothingLeft (services/common/quota.h) where all was given to children.
Quota OwnQuota(const Quota& quota, const Quota& below);

// Which of those above a child of `parent` suspends it: the nearest; empty: none.
std::string SuspendedBelow(const Tenant& parent);
// Whether its keys, sessions and instances hold: it is active, and so is all above it.
bool IsInForce(const Tenant& tenant);
// The same of its keys, and why not. `suspended_by` as in Tenant.
KeysStanding KeysStandingOf(TenantState state, std::string_view suspended_by);

// Whether `tenant` is `top` or below it.
bool IsWithin(const Tenant& tenant, std::string_view top);

}  // namespace allod::tenancy
