// What every store of custom roles does, run on the fake and on PostgreSQL as the app role.
#include "tests/contract/identity_store_harness.h"

namespace allod::tenancy::role_store_test {
namespace {

using identity_store_harness::IdentityStores;
using identity_store_harness::Request;

const Rights kOwner{Role::ROLE_OWNER};

class RoleStoreTest : public IdentityStores {
 protected:
  RoleStore& store() { return roles(); }
  TenantRole NewRole(const std::string& id = "on-call", const std::string& tenant = "ke") const {
    return {.tenant = tenant,
            .id = id,
            .uid = Uuid::V7(),
            .display_name = "On call {\"x\"}",
            .summary = "wakes up,\nat night",
            .permissions = {"scheduling.*.get", "scheduling.instances.update"},
            .create_time = clock_.Now()};
  }
};

INSTANTIATE_TEST_SUITE_P(Stores, RoleStoreTest, testing::Values("Fake", "PostgreSQL"),
                         [](const auto& test) { return test.param; });

TEST_P(RoleStoreTest, GivesBackWhatWasMade) {
  const TenantRole wanted = NewRole();
  const auto made = store().CreateRole(wanted, {});
  ASSERT_TRUE(made) << made.error().message;
  const auto read = store().GetRole("ke", "on-call");
  ASSERT_TRUE(read);
  EXPECT_TRUE(SameContent(*read, wanted));
  EXPECT_EQ(read->uid, wanted.uid);
  EXPECT_EQ(read->create_time, clock_.Now());
  EXPECT_EQ(read->version, VersionOf("ke")) << "gateways are told";
  EXPECT_EQ(Why(store().GetRole("ug", "on-call")), "NOT_FOUND") << "tenants know nothing of each other's";
  EXPECT_EQ(Why(store().CreateRole(NewRole("a", "none"), {})), "NOT_FOUND");
  EXPECT_EQ(identities().ReadIdentity("ke", clock_.Now())->roles.size(), 1U);
  EXPECT_EQ(identities().ReadRoles("ke")->size(), 1U);
  EXPECT_EQ(identities().ReadRoles("ug")->size(), 0U);
}

TEST_P(RoleStoreTest, TheSameAgainIsWhatStandsAndOtherContentIsRefused) {
  const Uuid id = Uuid::V7();
  const auto made = store().CreateRole(NewRole(), Request("a", id));
  EXPECT_EQ(store().CreateRole(NewRole(), {})->uid, made->uid);
  EXPECT_EQ(store().CreateRole(NewRole(), Request("a", id))->version, made->version);
  EXPECT_EQ(Why(store().CreateRole(NewRole("b"), Request("b", id))), "REQUEST_ID_REUSED");
  TenantRole wider = NewRole();
  wider.permissions = {"scheduling.*.*"};
  EXPECT_EQ(Why(store().CreateRole(wider, {})), "ALREADY_EXISTS");
}

TEST_P(RoleStoreTest, ChangesWhatHasTheEtagForThoseWhoHoldWhatItPermits) {
  const auto made = store().CreateRole(NewRole(), {});
  TenantRole wanted = NewRole();
  wanted.permissions = {"scheduling.instances.get"};
  EXPECT_EQ(Why(store().UpdateRole(wanted, "1000", kOwner, {})), "ETAG_MISMATCH");
  EXPECT_EQ(Why(store().UpdateRole(wanted, EtagOf(*made), {Role::ROLE_VIEWER}, {})), "ROLE_NOT_HELD")
      << "what it has is taken away";
  const auto changed = store().UpdateRole(wanted, EtagOf(*made), kOwner, {});
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_TRUE(SameContent(*changed, wanted));
  EXPECT_EQ(changed->uid, made->uid);
  EXPECT_EQ(changed->create_time, made->create_time);
  EXPECT_GT(changed->version, made->version);
  EXPECT_EQ(VersionOf("ke"), changed->version);
  EXPECT_EQ(store().UpdateRole(wanted, EtagOf(*changed), kOwner, {})->version, changed->version) << "the same";
  EXPECT_EQ(Why(store().UpdateRole(NewRole("none"), "1", kOwner, {})), "NOT_FOUND");
  EXPECT_EQ(Why(store().DeleteRole("ke", "on-call", {Role::ROLE_BILLING}, {})), "ROLE_NOT_HELD");
  const auto gone = store().DeleteRole("ke", "on-call", kOwner, {});
  ASSERT_TRUE(gone) << gone.error().message;
  EXPECT_EQ(*gone, VersionOf("ke"));
  EXPECT_EQ(Why(store().DeleteRole("ke", "on-call", kOwner, {})), "NOT_FOUND");
}

TEST_P(RoleStoreTest, OneThatSomebodyHasStays) {
  ASSERT_TRUE(identities().CreateProvider(SignInProvider(), {}));
  const auto role = store().CreateRole(NewRole(), {});
  ASSERT_TRUE(role);
  Member at_tenant = NewMember("a", {{"", {}, {"on-call"}}});
  Member at_project = NewMember("b", {{"desk", {Role::ROLE_VIEWER}}, {"lab", {}, {"on-call"}}});
  EXPECT_EQ(Why(members().CreateMember(at_tenant, {})), "ROLE_CHANGED") << "it was checked by nothing";
  at_tenant.roles_seen = at_project.roles_seen = role->version;
  const auto made = members().CreateMember(at_tenant, {});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->grants, at_tenant.grants);
  const auto other = members().CreateMember(at_project, {});
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_EQ(other->grants, at_project.grants);
  EXPECT_EQ(Why(members().CreateMember(NewMember("c", {{"", {}, {"none"}}}), {})), "NOT_FOUND");
  WorkloadRule rule{.tenant = "ke",
                    .project = "desk",
                    .id = "deploy",
                    .uid = Uuid::V7(),
                    .display_name = "Deployments",
                    .provider = "corp",
                    .claims = {{"sub", "main"}},
                    .scopes = {Scope::kPortal},
                    .token_minutes = 15,
                    .create_time = clock_.Now(),
                    .custom_roles = {"on-call"}};
  EXPECT_EQ(Why(identities().CreateRule(rule, {})), "ROLE_CHANGED");
  rule.roles_seen = role->version;
  const auto made_rule = identities().CreateRule(rule, {});
  ASSERT_TRUE(made_rule) << made_rule.error().message;
  EXPECT_EQ(made_rule->custom_roles, rule.custom_roles);

  const auto used = store().DeleteRole("ke", "on-call", kOwner, {});
  ASSERT_FALSE(used);
  EXPECT_EQ(used.error().reason, "ROLE_IN_USE");
  for (const char* name :
       {"tenants/ke/members/a", "tenants/ke/members/b", "tenants/ke/projects/desk/workloadRules/deploy"}) {
    EXPECT_NE(used.error().message.find(name), std::string::npos) << name;
  }
  EXPECT_EQ(Why(members().DeleteMember("ke", "a", {Role::ROLE_VIEWER}, {})), "ROLE_NOT_HELD") << "it has more";
  EXPECT_EQ(Why(members().DeleteMember("ke", "a", kOwner, {})), "");
  Member without = at_project;
  without.grants = {{"desk", {Role::ROLE_VIEWER}}};
  EXPECT_EQ(Why(members().UpdateMember(without, EtagOf(*other), kOwner, {})), "");
  rule.custom_roles.clear();
  rule.roles = {Role::ROLE_VIEWER};
  EXPECT_EQ(Why(identities().UpdateRule(rule, EtagOf(*made_rule), {})), "");
  EXPECT_EQ(Why(store().DeleteRole("ke", "on-call", kOwner, {})), "");
}

TEST_P(RoleStoreTest, WhatIsGrantedByARoleThatWasChangedMeanwhileIsNot) {
  ASSERT_TRUE(identities().CreateProvider(SignInProvider(), {}));
  const auto role = store().CreateRole(NewRole(), {});
  Member member = NewMember("a", {{"", {}, {"on-call"}}});
  member.roles_seen = role->version;
  TenantRole wider = NewRole();
  wider.permissions = {"*.*.*"};
  ASSERT_TRUE(store().UpdateRole(wider, EtagOf(*role), kOwner, {}));
  EXPECT_EQ(Why(members().CreateMember(member, {})), "ROLE_CHANGED");
}

TEST_P(RoleStoreTest, ListsInOrderAndHasAnEnd) {
  for (int i = 0; i < kRolesPerTenantMax; ++i) {
    ASSERT_TRUE(store().CreateRole(NewRole("r" + std::to_string(10 + i)), {}));
  }
  EXPECT_EQ(Why(store().CreateRole(NewRole("more"), {})), "TOO_MANY_ROLES");
  EXPECT_EQ(Why(store().CreateRole(NewRole("more", "ug"), {})), "");
  const auto first = store().ListRoles("ke", {"q", 30, ""});
  ASSERT_TRUE(first);
  EXPECT_EQ(first->items.size(), 30U);
  EXPECT_EQ(first->items.front().id, "r10");
  EXPECT_NE(first->next_page_token, "");
  EXPECT_EQ(store().ListRoles("ke", {"q", 30, first->items.back().id})->items.size(), 2U);
  EXPECT_EQ(Why(store().ListRoles("none", {"", 10, ""})), "NOT_FOUND");
}

}  // namespace
}  // namespace allod::tenancy::role_store_test
