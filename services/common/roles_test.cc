#include "services/common/roles.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>

namespace allod::roles_test {
namespace {

std::vector<Role> AllRoles() {
  std::vector<Role> out;
  for (int i = access::v1::Role_MIN; i <= access::v1::Role_MAX; ++i) {
    if (access::v1::Role_IsValid(i) && i != access::v1::ROLE_UNSPECIFIED) out.push_back(static_cast<Role>(i));
  }
  return out;
}

TEST(Roles, HaveAWordAndPatternsEach) {
  ASSERT_GE(AllRoles().size(), 7U);
  for (const Role role : AllRoles()) {
    const auto& value = *access::v1::Role_descriptor()->FindValueByNumber(role);
    const auto& rule = value.options().GetExtension(access::v1::role);
    EXPECT_FALSE(rule.summary().empty()) << value.name();
    EXPECT_GT(rule.permissions_size(), 0) << value.name();
    for (std::string pattern : rule.permissions()) {
      for (std::size_t star = 0; (star = pattern.find('*')) != std::string::npos;) pattern.replace(star, 1, "word");
      EXPECT_TRUE(IsPermission(pattern)) << pattern;
    }
    EXPECT_EQ(RoleOf(WordOfRole(role)), role);
  }
  EXPECT_EQ(WordOfRole(Role::ROLE_ADMIN), "admin");
  EXPECT_FALSE(RoleOf("root"));
  EXPECT_FALSE(RoleOf(""));
  EXPECT_EQ(WordOfRole(static_cast<Role>(77)), "");
}

TEST(Roles, AreASet) {
  Roles roles;
  EXPECT_TRUE(roles.empty());
  roles.Add(Role::ROLE_VIEWER);
  roles.Add(Role::ROLE_ADMIN);
  roles.Add(static_cast<Role>(0));
  roles.Add(static_cast<Role>(-3));
  roles.Add(static_cast<Role>(1000));
  EXPECT_EQ(roles, (Roles{Role::ROLE_ADMIN, Role::ROLE_VIEWER}));
  EXPECT_EQ(roles.ToString(), "admin,viewer");
  EXPECT_TRUE(roles.HasAnyOf({Role::ROLE_VIEWER, Role::ROLE_OWNER}));
  EXPECT_FALSE(roles.HasAnyOf({Role::ROLE_OWNER}));
  EXPECT_FALSE(roles.HasAnyOf({}));
}

TEST(RolesWith, FollowsThePatterns) {
  EXPECT_TRUE(RolesWith("tenancy.apiKeys.create").Has(Role::ROLE_DEVELOPER));
  EXPECT_FALSE(
      RolesWith("tenancy.apiKeys.create").HasAnyOf({Role::ROLE_BILLING, Role::ROLE_AUDITOR, Role::ROLE_VIEWER}));
  EXPECT_TRUE(RolesWith("billing.invoices.get").Has(Role::ROLE_AUDITOR));
  EXPECT_FALSE(RolesWith("billing.invoices.get").HasAnyOf({Role::ROLE_DEVELOPER, Role::ROLE_VIEWER}));
  // One that there is not yet.
  EXPECT_EQ(RolesWith("moonshots.rockets.launch"), (Roles{Role::ROLE_OWNER, Role::ROLE_OPERATOR}));
  for (const char* malformed : {"", "tenancy", "tenancy.apiKeys", "*.*.*"}) EXPECT_FALSE(IsPermission(malformed));
  EXPECT_TRUE(RolesWith("").empty());
}

TEST(Covers, IsWhatTheRolesPermitTogether) {
  EXPECT_TRUE(Covers({Role::ROLE_OWNER}, kRolesOfKeys));
  EXPECT_TRUE(Covers({Role::ROLE_ADMIN}, {Role::ROLE_DEVELOPER, Role::ROLE_VIEWER, Role::ROLE_BILLING}));
  EXPECT_TRUE(Covers({Role::ROLE_VIEWER}, {}));
  EXPECT_FALSE(Covers({}, {Role::ROLE_VIEWER}));
  EXPECT_FALSE(Covers({Role::ROLE_VIEWER}, {Role::ROLE_DEVELOPER}));
  // It sees what comes to be, in whatever area.
  EXPECT_FALSE(Covers({Role::ROLE_ADMIN}, {Role::ROLE_AUDITOR}));
  EXPECT_FALSE(Covers({Role::ROLE_ADMIN}, {Role::ROLE_OWNER}));
  for (const Role role : AllRoles()) EXPECT_TRUE(Covers({role}, {role}));
}

TEST(Rights, PermitWhatOneOfTheirRolesDoes) {
  Rights rights{Role::ROLE_BILLING};
  const Permission get("scheduling.instances.get");
  const Roles with = RolesWith(get.text());
  EXPECT_FALSE(rights.Permit(with, get));
  rights.Add(std::make_shared<const CustomRole>(CustomRole{"b", Permissions({"scheduling.*.list"})}));
  EXPECT_FALSE(rights.Permit(with, get));
  rights.Add(std::make_shared<const CustomRole>(CustomRole{"a", Permissions({"scheduling.*.get"})}));
  EXPECT_TRUE(rights.Permit(with, get));
  EXPECT_EQ(rights.ToString(), "billing,roles/a,roles/b");
  EXPECT_TRUE(Covers(rights, [] {
    Rights out;
    out.Add(std::make_shared<const CustomRole>(CustomRole{"c", Permissions({"scheduling.instances.get"})}));
    return out;
  }()));
  EXPECT_FALSE(Covers(rights, {Role::ROLE_VIEWER}));
  EXPECT_EQ(FirstBeyond(rights, {"scheduling.instances.get", "scheduling.*.*"}), "scheduling.*.*");
  rights.ForgetCustom();
  EXPECT_EQ(rights, Rights{Role::ROLE_BILLING});
}

// Whatever is handed on in however many steps, nothing is permitted at the end that was not at the beginning.
TEST(Covers, NeverWidensAlongAChain) {
  const std::vector<std::string> permissions = {
      "tenancy.apiKeys.create", "tenancy.apiKeys.list",  "tenancy.projects.create",  "tenancy.tenants.update",
      "billing.invoices.get",   "billing.budgets.set",   "scheduling.instances.get", "scheduling.instances.create",
      "catalog.listings.list",  "catalog.models.create", "policy.packs.get",         "policy.packs.create"};
  const std::vector<Role> roles = AllRoles();
  std::mt19937 random(20261128);
  // Roles of the platform and custom ones of patterns: permissions, or with "*" for some of their words.
  const auto pattern = [&] {
    std::string out = permissions[random() % permissions.size()];
    const std::size_t first = out.find('.');
    if (random() % 4 == 0) out.replace(out.rfind('.') + 1, std::string::npos, "*");
    if (random() % 4 == 0) out.replace(first + 1, out.rfind('.') - first - 1, "*");
    if (random() % 8 == 0) out.replace(0, first, "*");
    return out;
  };
  const auto some = [&] {
    Rights out;
    for (const Role role : roles) {
      if (random() % 3 == 0) out.Add(role);
    }
    if (random() % 2 == 0) out = Rights();
    for (std::size_t i = random() % 3; i > 0; --i) {
      std::vector<std::string> patterns;
      for (std::size_t k = 1 + random() % 3; k > 0; --k) patterns.push_back(pattern());
      out.Add(std::make_shared<const CustomRole>(
          CustomRole{std::string(1, static_cast<char>('a' + i)), Permissions(std::move(patterns))}));
    }
    return out;
  };
  int handed_on = 0;
  int custom = 0;
  for (int chain = 0; chain < 100'000; ++chain) {
    const Rights first = some();
    Rights held = first;
    for (int step = 0; step < 4; ++step) {
      const Rights wanted = some();
      if (!Covers(held, wanted)) continue;
      custom += wanted.custom().empty() ? 0 : 1;
      held = wanted;
      ++handed_on;
    }
    for (const std::string& permission : permissions) {
      const Roles with = RolesWith(permission);
      if (held.Permit(with, Permission(permission))) {
        ASSERT_TRUE(first.Permit(with, Permission(permission)))
            << first.ToString() << " became " << held.ToString() << ": " << permission;
      }
    }
  }
  EXPECT_GT(handed_on, 10'000);
  EXPECT_GT(custom, 1000);
}

}  // namespace
}  // namespace allod::roles_test
