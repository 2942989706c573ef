#include "services/tenancy/role.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/tenancy/identity.h"
#include "services/tenancy/member.h"

namespace allod::tenancy::role_test {
namespace {

using testing::HasSubstr;

const std::vector<KnownPermission>& Known() {
  static const std::vector<KnownPermission> known = {
      {"billing.invoices.get", true, true},     {"scheduling.instances.create", true, true},
      {"scheduling.instances.get", true, true}, {"scheduling.instances.list", true, true},
      {"scheduling.nodes.list", false, true},   {"tenancy.apiKeys.create", true, true},
      {"tenancy.tenants.get", true, true},      {"tenancy.tenants.delete", false, true},
      {"tenancy.apiKeys.watch", false, false}};
  return known;
}

TenantRole RoleOf(std::vector<std::string> permissions) {
  return {.tenant = "ke",
          .id = "on-call",
          .uid = Uuid::V7(),
          .display_name = "On call",
          .summary = "wakes up at night",
          .permissions = std::move(permissions),
          .create_time = Time(),
          .version = 1};
}

Result<TenantRole> Valid(const TenantRole& role, const Rights& held = {Role::ROLE_OWNER}) {
  return ValidRole(role, Known(), held);
}
std::string Why(const TenantRole& role, const Rights& held = {Role::ROLE_OWNER}) {
  const auto out = Valid(role, held);
  return out ? "" : out.error().reason;
}

TEST(ValidRole, PutsItsPermissionsInOrder) {
  const auto made = Valid(RoleOf({"scheduling.instances.list", "billing.*.get", "billing.invoices.get"}));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->permissions, (std::vector<std::string>{"billing.*.get", "scheduling.instances.list"}));
}

TEST(ValidRole, RefusesByName) {
  TenantRole role = RoleOf({"scheduling.instances.get"});
  role.id = "On Call";
  EXPECT_EQ(Why(role), "INVALID_ID");
  role.id = "viewer";
  EXPECT_EQ(Why(role), "INVALID_ID") << "a role of the platform";
  role = RoleOf({"scheduling.instances.get"});
  role.display_name = "";
  EXPECT_EQ(Why(role), "INVALID_TEXT");
  role.display_name = "On call";
  role.summary = std::string(513, 'x');
  EXPECT_EQ(Why(role), "INVALID_TEXT");
  EXPECT_EQ(Why(RoleOf({})), "INVALID_PERMISSION");
  EXPECT_EQ(Why(RoleOf({"scheduling.instances"})), "INVALID_PERMISSION");
  EXPECT_EQ(Why(RoleOf({"scheduling.instances.get; DROP"})), "INVALID_PERMISSION");
  EXPECT_EQ(Why(RoleOf({std::string(4000, 'a')})), "INVALID_PERMISSION");
  EXPECT_EQ(Why(RoleOf(std::vector<std::string>(65, "scheduling.instances.get"))), "TOO_MANY_PERMISSIONS");

  const auto unknown = Valid(RoleOf({"scheduling.instances.get", "scheduling.instanzes.list"}));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().reason, "UNKNOWN_PERMISSION");
  EXPECT_THAT(unknown.error().message,
              HasSubstr("role.permissions[1]: there is no permission scheduling.instanzes.list; the nearest are "
                        "scheduling.instances.list, scheduling.instances.get"));
  EXPECT_THAT(Valid(RoleOf({"bilings.*.get"})).error().message, HasSubstr("the nearest are billing.*.get"));
}

TEST(ValidRole, HasNothingOfOperators) {
  for (const char* permission : {"scheduling.nodes.list", "scheduling.nodes.*", "tenancy.tenants.delete",
                                 "tenancy.*.delete", "tenancy.apiKeys.watch"}) {
    EXPECT_EQ(Why(RoleOf({permission})), "PERMISSION_OF_OPERATORS") << permission;
  }
  EXPECT_EQ(Why(RoleOf({"tenancy.tenants.*"})), "") << "a tenant may read itself; the rest admits no tenant";
}

TEST(ValidRole, HasNothingThatItsMakerHasNot) {
  EXPECT_EQ(Why(RoleOf({"scheduling.instances.*"}), {Role::ROLE_DEVELOPER}), "");
  EXPECT_EQ(Why(RoleOf({"scheduling.*.get"}), {Role::ROLE_DEVELOPER}), "ROLE_NOT_HELD");
  EXPECT_EQ(Why(RoleOf({"billing.invoices.get"}), {Role::ROLE_DEVELOPER}), "ROLE_NOT_HELD");
  Rights custom;
  custom.Add(std::make_shared<const CustomRole>(CustomRole{"x", Permissions({"scheduling.instances.get"})}));
  EXPECT_EQ(Why(RoleOf({"scheduling.instances.get"}), custom), "");
  EXPECT_EQ(Why(RoleOf({"scheduling.instances.*"}), custom), "ROLE_NOT_HELD");
  EXPECT_EQ(Why(RoleOf({"scheduling.instances.get"}), {}), "ROLE_NOT_HELD");
}

TEST(StandingRoles, SaysWhatIsPermittedAndWhatBecameOther) {
  TenantRole newer = RoleOf({"billing.invoices.get"});
  newer.id = "books";
  newer.version = 5;
  const StandingRoles roles({RoleOf({"scheduling.instances.get"}), newer});
  EXPECT_EQ(roles.version(), 5);
  const auto rights = roles.RightsOf({Role::ROLE_VIEWER}, {"books", "on-call"});
  ASSERT_TRUE(rights);
  EXPECT_EQ(rights->ToString(), "viewer,roles/books,roles/on-call");
  EXPECT_EQ(roles.RightsOf({}, {"none"}).error().reason, "NOT_FOUND");
  EXPECT_TRUE(roles.CheckUnchanged({"on-call"}, 1));
  EXPECT_EQ(roles.CheckUnchanged({"books", "on-call"}, 4).error().reason, "ROLE_CHANGED");
  EXPECT_EQ(roles.CheckUnchanged({"none"}, 9).error().reason, "NOT_FOUND");
}

TEST(ValidMember, GrantsOnlyWhatItsMakerHasByCustomRolesToo) {
  const StandingRoles roles({RoleOf({"billing.invoices.get"})});
  const auto why = [&](std::vector<RoleGrant> grants, const Rights& held) {
    Member member{.tenant = "ke",
                  .id = "achieng",
                  .uid = Uuid::V7(),
                  .display_name = "Achieng",
                  .provider = "corp",
                  .claims = {{"sub", "4711"}},
                  .grants = std::move(grants)};
    const auto out = ValidMember(member, "https://corp.example", held, roles);
    return out ? "" : out.error().reason;
  };
  EXPECT_EQ(why({{"", {}, {"on-call"}}}, {Role::ROLE_ADMIN}), "");
  EXPECT_EQ(why({{"", {}, {"on-call"}}}, {Role::ROLE_DEVELOPER}), "ROLE_NOT_HELD");
  EXPECT_EQ(why({{"p", {Role::ROLE_VIEWER}, {"on-call"}}}, {Role::ROLE_DEVELOPER}), "ROLE_NOT_HELD");
  EXPECT_EQ(why({{"", {}, {"none"}}}, {Role::ROLE_OWNER}), "NOT_FOUND");
  EXPECT_EQ(why({{"", {}, {"on-call", "on-call"}}}, {Role::ROLE_OWNER}), "INVALID_ROLE");
  EXPECT_EQ(why({{"", {}, {"a", "b", "c", "d", "e"}}}, {Role::ROLE_OWNER}), "INVALID_ROLE");
  EXPECT_EQ(why({{"", {}, {}}}, {Role::ROLE_OWNER}), "INVALID_ROLE");
}

TEST(ValidRule, GrantsOnlyWhatItsMakerHasByCustomRolesToo) {
  const StandingRoles roles({RoleOf({"billing.invoices.get"})});
  WorkloadRule rule{.tenant = "ke",
                    .project = "p",
                    .id = "deploy",
                    .uid = Uuid::V7(),
                    .display_name = "Deployments",
                    .provider = "ci",
                    .claims = {{"sub", "main"}},
                    .scopes = {Scope::kPortal}};
  rule.custom_roles = {"on-call"};
  const auto why = [&](const Rights& held) {
    const auto out = ValidRule(rule, "https://ci.example", {.roles = held}, roles);
    return out ? "" : out.error().reason;
  };
  EXPECT_EQ(why({Role::ROLE_ADMIN}), "");
  EXPECT_EQ(why({Role::ROLE_DEVELOPER}), "ROLE_NOT_HELD");
  rule.scopes = {Scope::kInference};
  EXPECT_EQ(why({Role::ROLE_OWNER}), "INVALID_ROLE");
}

TEST(CheckUnused, SaysWhoHasIt) {
  EXPECT_TRUE(CheckUnused(RoleOf({}), {}));
  const Status used = CheckUnused(RoleOf({}), {"a", "b", "c", "d", "e", "f", "g"});
  EXPECT_EQ(used.error().reason, "ROLE_IN_USE");
  EXPECT_THAT(used.error().message, HasSubstr("a, b, c, d, e and 2 more"));
}

}  // namespace
}  // namespace allod::tenancy::role_test
