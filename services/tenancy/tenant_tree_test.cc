#include "services/tenancy/tenant_tree.h"

#include <gmock/gmock.h>

#include <limits>

#include "services/common/quota.h"

namespace allod::tenancy::tenant_tree_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Tenant Make(const std::string& id, const Quota& quota = {}) {
  Tenant out;
  out.id = id;
  out.residency = {"ke", "rw"};
  out.quota = quota;
  return out;
}

Tenant Below(const Tenant& parent, const std::string& id, const Quota& quota = {}) {
  const auto placed = PlacedBelow(Make(id, quota), parent);
  EXPECT_TRUE(placed) << placed.error().message;
  return placed.value_or(Tenant());
}

std::string Reason(const Status& status) { return status ? "" : status.error().reason; }

TEST(TenantTree, AChildKnowsWhatIsAboveIt) {
  const Tenant ke = Make("ke");
  const Tenant health = Below(ke, "ke-health");
  const Tenant north = Below(health, "ke-health-north");
  const Tenant ward = Below(north, "ke-health-north-a");
  EXPECT_EQ(health.parent, "ke");
  EXPECT_THAT(ward.ancestors, ElementsAre("ke", "ke-health", "ke-health-north"));
  const auto deeper = PlacedBelow(Make("ke-health-north-a-1"), ward);
  ASSERT_FALSE(deeper);
  EXPECT_EQ(deeper.error().reason, "TOO_MANY_LEVELS");
  EXPECT_THAT(deeper.error().message, HasSubstr("tenants/ke-health-north-a is on level 4 of 4"));
  EXPECT_TRUE(IsWithin(ward, "ke"));
  EXPECT_TRUE(IsWithin(ward, "ke-health-north-a"));
  EXPECT_FALSE(IsWithin(ke, "ke-health"));
  EXPECT_FALSE(IsWithin(ward, "ke-h"));
}

TEST(TenantTree, ATenantsNamesAreTakenByNobodyElse) {
  for (const char* id : {"ug", "ke", "kenya", "health", "ke2-x"}) {
    const auto placed = PlacedBelow(Make(id), Make("ke"));
    ASSERT_FALSE(placed) << id;
    EXPECT_EQ(placed.error().reason, "INVALID_ID") << id;
    EXPECT_THAT(placed.error().message, HasSubstr("'ke-'")) << id;
  }
}

TEST(TenantTree, ThereIsAnEndToThem) {
  const auto refusal = [](const Tenant& parent, const std::vector<int>& below) {
    const Status full = CheckRoomBelow(parent, below);
    EXPECT_EQ(full ? "" : full.error().reason, below.back() > 24 ? "TOO_MANY_TENANTS" : "");
    return full ? std::string() : full.error().message;
  };
  const Tenant ke = Make("ke"), second = Below(ke, "ke-a"), third = Below(second, "ke-a-x");
  EXPECT_TRUE(CheckRoomBelow(ke, std::vector{999}));
  EXPECT_TRUE(CheckRoomBelow(third, std::vector{999, 99, 24}));
  EXPECT_THAT(refusal(ke, {1000}), HasSubstr("1000 tenants below tenants/ke, of all levels"));
  EXPECT_THAT(refusal(second, {500, 100}), HasSubstr("100 tenants below tenants/ke-a,"))
      << "nobody below takes all places of the tree";
  EXPECT_THAT(refusal(third, {500, 50, 25}), HasSubstr("25 tenants below tenants/ke-a-x,"));
  for (const std::vector<int>& below : {std::vector{1000, 50, 25}, std::vector{500, 100, 25}}) {
    const std::string message = refusal(third, below);
    EXPECT_THAT(message, HasSubstr("below tenants/ke-a-x:"));
    EXPECT_THAT(message, Not(HasSubstr("00"))) << "what is above is not told of";
  }
}

TEST(TenantTree, ASuspensionHoldsBelowAndTheNearestIsNamed) {
  Tenant ke = Make("ke");
  EXPECT_EQ(SuspendedBelow(ke), "");
  ke.state = TenantState::kSuspended;
  EXPECT_EQ(SuspendedBelow(ke), "ke");
  Tenant health = Below(ke, "ke-health");
  EXPECT_EQ(health.suspended_by, "ke");
  EXPECT_EQ(health.state, TenantState::kActive) << "its own state stays";
  ke.state = TenantState::kDeleting;
  EXPECT_EQ(PlacedBelow(Make("ke-late"), ke).error().reason, "TENANT_DELETING");
  ke.state = TenantState::kSuspended;
  EXPECT_FALSE(IsInForce(health));
  EXPECT_EQ(SuspendedBelow(health), "ke");
  health.state = TenantState::kSuspended;
  EXPECT_EQ(SuspendedBelow(health), "ke-health");
  health.suspended_by = "";
  EXPECT_FALSE(IsInForce(health)) << "what is suspended itself stays so";
  health.state = TenantState::kActive;
  EXPECT_TRUE(IsInForce(health));
}

TEST(TenantTree, WhatTheOperatorSuspendedPeopleFromAboveDoNotResume) {
  constexpr auto kSuspended = TenantState::kSuspended, kActive = TenantState::kActive;
  const Tenant health = Below(Make("ke"), "ke-health");
  const Tenant by_parent = WithState(health, kSuspended, "unpaid", Setter::kFromAbove).value();
  EXPECT_TRUE(by_parent.suspended_from_above);
  EXPECT_EQ(WithState(by_parent, kActive, "", Setter::kFromAbove)->state, kActive);
  EXPECT_FALSE(WithState(by_parent, kActive, "", Setter::kFromAbove)->suspended_from_above);
  const Tenant taken_over = WithState(by_parent, kSuspended, "unpaid", Setter::kOperator).value();
  EXPECT_FALSE(taken_over.suspended_from_above);
  const Tenant by_operator = WithState(health, kSuspended, "abuse", Setter::kOperator).value();
  for (const Tenant& standing : {taken_over, by_operator}) {
    const auto resumed = WithState(standing, kActive, "", Setter::kFromAbove);
    ASSERT_FALSE(resumed);
    EXPECT_EQ(resumed.error().code, Code::kFailedPrecondition);
    EXPECT_EQ(resumed.error().reason, "SUSPENDED_BY_OPERATOR");
    EXPECT_EQ(WithState(standing, kSuspended, "other", Setter::kFromAbove).error().reason, "SUSPENDED_BY_OPERATOR");
    EXPECT_FALSE(WithState(standing, kSuspended, standing.suspend_reason, Setter::kFromAbove)->suspended_from_above)
        << "the same again changes nothing";
    EXPECT_EQ(WithState(standing, kActive, "", Setter::kOperator)->state, kActive);
  }
}

TEST(TenantTree, ResidencyIsAPartOfTheParents) {
  const Tenant ke = Make("ke");
  Tenant health = Below(ke, "ke-health");
  health.residency = {"ke"};
  EXPECT_TRUE(CheckWithinParent(health, nullptr, ke, {}));
  health.residency = {"ke", "tz"};
  const Status outside = CheckWithinParent(health, nullptr, ke, {});
  ASSERT_FALSE(outside);
  EXPECT_EQ(outside.error().reason, "RESIDENCY_OUTSIDE_PARENT");
  EXPECT_THAT(outside.error().message, HasSubstr("'tz' is not in the residency of tenants/ke"));
}

TEST(TenantTree, SoIsTheRuleOfEachClassOfData) {
  Tenant ke = Make("ke");
  ke.residency = {"ke", "rw"};
  ke.residency_rules = {{DataClass::kPrompts, {"ke"}}};
  Tenant health = Below(ke, "ke-health");
  health.residency = {"ke", "rw"};
  const Status outside = CheckWithinParent(health, nullptr, ke, {});
  ASSERT_FALSE(outside);
  EXPECT_EQ(outside.error().reason, "RESIDENCY_OUTSIDE_PARENT");
  EXPECT_THAT(outside.error().message, HasSubstr("'rw' is not in the residency rule for PROMPTS of tenants/ke"));
  health.residency_rules = {{DataClass::kPrompts, {"ke"}}};
  EXPECT_TRUE(CheckWithinParent(health, nullptr, ke, {}));
  EXPECT_TRUE(CheckHolds(ke, {health}));
  ke.residency_rules[DataClass::kUsage] = {"ke"};
  const Status narrower = CheckHolds(ke, {health});
  ASSERT_FALSE(narrower);
  EXPECT_EQ(narrower.error().reason, "CHILD_OUTSIDE");
  EXPECT_THAT(narrower.error().message, HasSubstr("has its USAGE in 'rw' too"));
}

TEST(TenantTree, AParentsResidencyShrinksToThatOfItsChildrenAtMost) {
  Tenant ke = Make("ke");
  Tenant health = Below(ke, "ke-health");
  health.residency = {"rw"};
  ke.residency = {"rw"};
  EXPECT_TRUE(CheckHolds(ke, {health}));
  ke.residency = {"ke"};
  const Status narrower = CheckHolds(ke, {Below(ke, "ke-a"), health});
  ASSERT_FALSE(narrower);
  EXPECT_EQ(narrower.error().code, Code::kFailedPrecondition);
  EXPECT_EQ(narrower.error().reason, "CHILD_OUTSIDE");
  EXPECT_THAT(CheckHolds(ke, {health}).error().message, HasSubstr("tenants/ke-health"));
}

TEST(TenantTree, WeightAndLimitsAreNotMoreThanTheParentsWhenTheyAreSet) {
  Tenant ke = Make("ke");
  ke.weight = 3;
  ke.limits.requests_per_minute = 100;
  Tenant health = Below(ke, "ke-health");
  health.weight = 4;
  EXPECT_EQ(Reason(CheckWithinParent(health, nullptr, ke, {})), "INVALID_WEIGHT");
  EXPECT_EQ(Reason(CheckWithinParent(health, &health, ke, {})), "") << "the parent's was lowered since";
  health.weight = 3;
  health.limits.requests_per_minute = 101;
  EXPECT_EQ(Reason(CheckWithinParent(health, nullptr, ke, {})), "INVALID_LIMITS");
  EXPECT_EQ(Reason(CheckWithinParent(health, &health, ke, {})), "");
}

TEST(TenantTree, AChildsQuotaIsCarvedOutOfTheParents) {
  Tenant ke = Make("ke", {.instances = 10, .projects = 5});
  ke.quota_below = {.instances = 4, .projects = 1};
  const auto check = [&](const Quota& quota, const Tenant* before, const OwnUse& use) {
    return CheckWithinParent(Below(ke, "ke-health", quota), before, ke, use);
  };
  EXPECT_EQ(Reason(check({.instances = 6, .projects = 2}, nullptr, {.projects = 2})), "");
  const Status own = check({.instances = 6, .projects = 3}, nullptr, {.projects = 2});
  ASSERT_FALSE(own);
  EXPECT_EQ(own.error().reason, "QUOTA_EXCEEDED");
  EXPECT_THAT(own.error().message, HasSubstr("tenants/ke has 5, of which its other children have 1 and it uses 2"));
  EXPECT_THAT(own.error().message, HasSubstr("tenants/ke-health can have 2 at most"));
  EXPECT_EQ(Reason(check({.instances = 7, .projects = 1}, nullptr, {})), "QUOTA_EXCEEDED");
  const Status without = check({.instances = 1}, nullptr, {});
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().reason, "QUOTA_REQUIRED");
  EXPECT_THAT(without.error().message, HasSubstr("tenant.quota.projects"));
  // Of one that is there already its own is not another's.
  const Tenant before = Below(ke, "ke-health", {.instances = 4, .projects = 1});
  EXPECT_EQ(Reason(check({.instances = 10, .projects = 1}, &before, {})), "");
  EXPECT_EQ(Reason(check({.instances = 11, .projects = 1}, &before, {})), "QUOTA_EXCEEDED");
  // What is over it may stay and shrink.
  ke.quota_below.instances = 20;
  const Tenant much = Below(ke, "ke-health", {.instances = 12, .projects = 1});
  EXPECT_EQ(Reason(check({.instances = 12, .projects = 1}, &much, {})), "");
  EXPECT_EQ(Reason(check({.instances = 11, .projects = 1}, &much, {})), "");
  EXPECT_EQ(Reason(check({.instances = 13, .projects = 1}, &much, {})), "QUOTA_EXCEEDED");
}

TEST(TenantTree, AParentsQuotaHoldsThoseOfItsChildren) {
  const Tenant ke = Make("ke");
  const std::vector<Tenant> children = {Below(ke, "ke-a", {.replicas = 3}), Below(ke, "ke-b", {.replicas = 5})};
  EXPECT_EQ(Reason(CheckHolds(Make("ke", {.replicas = 8}), children)), "");
  const Status less = CheckHolds(Make("ke", {.replicas = 7}), children);
  ASSERT_FALSE(less);
  EXPECT_EQ(less.error().reason, "CHILD_OUTSIDE");
  EXPECT_THAT(less.error().message, HasSubstr("has 8 together, most of it tenants/ke-b with 5"));
  const Status without = CheckHolds(Make("ke", {.instances = 8}), children);
  ASSERT_FALSE(without);
  EXPECT_THAT(without.error().message, HasSubstr("tenants/ke-a"));
  EXPECT_EQ(Reason(CheckHolds(Make("ke"), children)), "");
}

TEST(TenantTree, WhatIsLeftIsTheTenantsOwn) {
  const Quota own = OwnQuota({.instances = 5, .replicas = 5, .projects = 5}, {.instances = 2, .replicas = 5});
  EXPECT_EQ(own.instances, 3);
  EXPECT_EQ(own.replicas, kNothingLeft);
  EXPECT_EQ(own.projects, 5);
  EXPECT_EQ(own.api_keys, 0) << "none of its own";
}

TEST(TenantTree, SumsHaveAnEnd) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const Tenant ke = Make("ke");
  const Quota sum = SumOf({Below(ke, "ke-a", {.replicas = kMost}), Below(ke, "ke-b", {.replicas = kMost})});
  EXPECT_EQ(sum.replicas, kMost);
}

TEST(TenantTree, OnlyOneWithoutChildrenMayGo) {
  const Tenant ke = Make("ke");
  EXPECT_TRUE(CheckChildless(ke, {}));
  const Status refused = CheckChildless(ke, {Below(ke, "ke-a"), Below(ke, "ke-b")});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "TENANT_HAS_CHILDREN");
  EXPECT_THAT(refused.error().message, HasSubstr("tenants/ke-a below it and others"));
}

}  // namespace
}  // namespace allod::tenancy::tenant_tree_test
