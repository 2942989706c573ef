#include "services/common/rpc/access.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>

namespace allod::access_test {
namespace {

using access::v1::Who;

Method Rule(Who who, const std::string& resource = "") {
  Method out{"sample.Do", {}, RolesWith("tenancy.projects.get"), {}};
  out.access.set_who(who);
  out.access.set_resource(resource);
  return out;
}

// The reason of the refusal; empty: admitted.
std::string Reason(const Method& rule, const Caller& caller, std::string_view resource = "") {
  const Status status = CheckAccess(rule, caller, resource);
  return status ? "" : status.error().reason;
}

TEST(CheckAccess, AdmitsWhomTheRuleNames) {
  struct Case {
    Who who;
    bool as_operator, as_service, as_node, as_tenant;
  };
  const std::array cases = {
      Case{access::v1::WHO_UNSPECIFIED, false, false, false, false},
      Case{access::v1::WHO_ANYONE, true, true, true, true},
      Case{access::v1::WHO_OPERATOR, true, false, false, false},
      Case{access::v1::WHO_SERVICE, false, true, false, false},
      Case{access::v1::WHO_NODE, false, false, true, false},
      Case{access::v1::WHO_PLATFORM, true, true, false, false},
      Case{access::v1::WHO_OPERATOR_OR_NODE, true, false, true, false},
      Case{access::v1::WHO_PLATFORM_OR_NODE, true, true, true, false},
      Case{access::v1::WHO_PLATFORM_OR_TENANT, true, true, false, true},
      Case{static_cast<Who>(77), false, false, false, false},
  };
  for (const Case& c : cases) {
    const Method rule = Rule(c.who);
    const auto expected = [](bool is_admitted) { return is_admitted ? "" : "NOT_ALLOWED"; };
    EXPECT_EQ(Reason(rule, Caller::Operator()), expected(c.as_operator)) << c.who;
    EXPECT_EQ(Reason(rule, Caller::Service("billing")), expected(c.as_service)) << c.who;
    EXPECT_EQ(Reason(rule, Caller::Node("local")), expected(c.as_node)) << c.who;
    EXPECT_EQ(Reason(rule, Caller::Tenant("ke")), expected(c.as_tenant)) << c.who;
    EXPECT_EQ(Reason(rule, Caller::Key("ke", "p", {"portal"})), expected(c.as_tenant)) << c.who;
  }
  EXPECT_EQ(CheckAccess(Rule(access::v1::WHO_OPERATOR), Caller::Tenant("ke"), "").error().message,
            "only an operator may do this");
}

TEST(CheckAccess, LetsANodeSpeakForItselfOnly) {
  const Method rule = Rule(access::v1::WHO_NODE, "node");
  EXPECT_EQ(Reason(rule, Caller::Node("n"), "nodes/n"), "");
  EXPECT_EQ(Reason(rule, Caller::Node("n"), "nodes/m"), "NOT_ALLOWED");
  for (const char* name : {"", "n", "nodes/", "nodes/n/x", "tenants/n"}) {
    EXPECT_EQ(Reason(rule, Caller::Node("n"), name), "INVALID_NAME") << name;
  }
  EXPECT_EQ(Reason(rule, Caller::Operator(), "nodes/n"), "NOT_ALLOWED");
  EXPECT_EQ(Reason(rule, Caller::Tenant("ke"), "nonsense"), "NOT_ALLOWED");
}

TEST(CheckAccess, HidesOtherTenants) {
  const Method rule = Rule(access::v1::WHO_TENANT, "name");
  const Caller ke = Caller::Tenant("ke");
  EXPECT_EQ(Reason(rule, ke, "tenants/ke"), "");
  EXPECT_EQ(Reason(rule, ke, "tenants/ke/projects/p"), "");
  for (const char* name : {"tenants/tz", "tenants/kenya", "tenants/ke2/projects/p", "", "models/m", "tenants/-"}) {
    EXPECT_EQ(CheckAccess(rule, ke, name).error().code, Code::kNotFound) << name;
  }
  EXPECT_EQ(Reason(rule, Caller::Operator(), "tenants/tz"), "");
  EXPECT_EQ(Reason(rule, Caller::Service("gateway"), "tenants/tz"), "");
  EXPECT_EQ(CheckAccess(rule, Caller::Node("local"), "tenants/ke").error().code, Code::kPermissionDenied);
  EXPECT_EQ(CheckAccess(Rule(access::v1::WHO_MEMBER, "name"), Caller::Node("local"), "tenants/ke").error().code,
            Code::kPermissionDenied);
}

TEST(CheckAccess, LetsPeopleFromAboveAndNobodyBeside) {
  const Method rule = Rule(access::v1::WHO_ABOVE, "name");
  const Caller owner = Caller::Person("ke", "s", {Role::ROLE_OWNER});
  const Caller there = Caller::Below(owner, "ke-health");
  EXPECT_EQ(Reason(rule, there, "tenants/ke-health"), "");
  EXPECT_EQ(Reason(rule, Caller::Operator(), "tenants/ke-health"), "");
  for (const char* name : {"tenants/ke", "tenants/ke-water", "tenants/none", ""}) {
    EXPECT_EQ(Reason(rule, there, name), "NOT_FOUND") << name;
  }
  EXPECT_EQ(Reason(rule, owner, "tenants/ke-health"), "NOT_FOUND") << "who does not say that he acts there";
  for (const Caller& caller :
       {Caller::Tenant("ke-health"), Caller::Service("gateway"), Caller::Node("n"),
        Caller::Person("ke-health", "s", {Role::ROLE_OWNER}), Caller::Key("ke-health", "p", {"portal"})}) {
    EXPECT_EQ(Reason(rule, caller, "tenants/ke-health"), "NOT_ALLOWED") << caller.ToString();
  }
}

TEST(CheckAccess, APersonFromAboveActsWhereHeAsksAndNowhereElse) {
  const Method rule = Rule(access::v1::WHO_TENANT, "name");
  const Caller there = Caller::Below(Caller::Person("ke", "s", {Role::ROLE_OWNER}), "ke-health");
  EXPECT_EQ(Reason(rule, there, "tenants/ke-health/projects/p"), "");
  for (const char* name : {"tenants/ke", "tenants/ke/projects/p", "tenants/ke-water", "tenants/ke-health-north"}) {
    EXPECT_EQ(CheckAccess(rule, there, name).error().code, Code::kNotFound) << name;
  }
  const auto admitted = Admit(rule, there, "tenants/ke-health/projects/p");
  ASSERT_TRUE(admitted) << admitted.error().message;
  EXPECT_FALSE(admitted->in_project()) << "with what he has at the tenant";
}

TEST(CheckAccess, KeepsAKeyInItsProject) {
  const Caller key = Caller::Key("ke", "p", {"portal"});
  Method across = Rule(access::v1::WHO_TENANT, "parent");
  across.access.set_across_projects(true);
  struct Case {
    const char* name;
    const char* as_tenant;  // the reason of the refusal; empty: let in
    const char* as_tenant_across;
    const char* as_member;
    bool seen;
  };
  for (const Case& c :
       {Case{"tenants/ke/projects/p", "", "", "", true}, Case{"tenants/ke/projects/p/instances/i", "", "", "", true},
        Case{"tenants/ke/projects/p2", "NOT_FOUND", "NOT_FOUND", "", false},
        Case{"tenants/ke/projects/p2/instances/p", "NOT_FOUND", "NOT_FOUND", "", false},
        Case{"tenants/ke/projects/-", "NOT_FOUND", "", "", false},
        Case{"tenants/ke/projects/-/instances/i", "NOT_FOUND", "NOT_FOUND", "", false},
        Case{"tenants/tz/projects/-", "NOT_FOUND", "NOT_FOUND", "NOT_FOUND", false},
        Case{"tenants/ke", "PROJECT_KEY", "PROJECT_KEY", "", false},
        Case{"tenants/ke/billingAccount", "PROJECT_KEY", "PROJECT_KEY", "", false},
        Case{"tenants/ke/invoices/p", "PROJECT_KEY", "PROJECT_KEY", "", false},
        Case{"tenants/tz/projects/p", "NOT_FOUND", "NOT_FOUND", "NOT_FOUND", true},
        Case{"projects/p", "NOT_FOUND", "NOT_FOUND", "NOT_FOUND", false}}) {
    EXPECT_EQ(Reason(Rule(access::v1::WHO_TENANT, "name"), key, c.name), c.as_tenant) << c.name;
    EXPECT_EQ(Reason(across, key, c.name), c.as_tenant_across) << c.name;
    EXPECT_EQ(Reason(Rule(access::v1::WHO_MEMBER, "name"), key, c.name), c.as_member) << c.name;
    EXPECT_EQ(MaySee(key, c.name), c.seen) << c.name;
  }
  EXPECT_TRUE(MaySee(Caller::Tenant("ke"), "tenants/ke/projects/p2"));
  EXPECT_TRUE(MaySee(Caller::Operator(), "tenants/ke/projects/p2"));
}

TEST(CheckAccess, KeepsWhatIsTheWholeTenantsToDoFromWhoActsInAProject) {
  Method rule = Rule(access::v1::WHO_TENANT, "name");
  rule.access.set_whole_tenant(true);
  const char* const own = "tenants/ke/projects/p";
  const Caller key = Caller::Key("ke", "p", {"portal"});
  EXPECT_EQ(Reason(rule, key, own), "PROJECT_KEY");
  EXPECT_EQ(Reason(rule, key, "tenants/ke"), "PROJECT_KEY");
  for (const char* name : {"tenants/ke/projects/q", "tenants/ke/projects/-", "tenants/tz/projects/p"}) {
    EXPECT_EQ(Reason(rule, key, name), "NOT_FOUND") << name;
  }
  EXPECT_EQ(Reason(rule, Caller::Tenant("ke"), own), "");
  EXPECT_EQ(Reason(rule, Caller::Tenant("tz"), own), "NOT_FOUND");
  EXPECT_EQ(Reason(rule, Caller::Operator(), own), "");
}

TEST(CheckAccess, AsksTheRolesOfOperatorsAndTenants) {
  Method rule = Rule(access::v1::WHO_TENANT, "name");
  rule.access.set_permission("tenancy.apiKeys.create");
  rule.roles = RolesWith("tenancy.apiKeys.create");
  const auto key = [](Roles roles) { return Caller::Key("ke", "p", {"portal"}, roles); };
  const char* const own = "tenants/ke/projects/p";
  EXPECT_EQ(Reason(rule, key({Role::ROLE_ADMIN}), own), "");
  EXPECT_EQ(Reason(rule, key({Role::ROLE_VIEWER, Role::ROLE_DEVELOPER}), own), "");
  EXPECT_EQ(Reason(rule, key({Role::ROLE_VIEWER}), own), "PERMISSION_MISSING");
  EXPECT_EQ(Reason(rule, key({}), own), "PERMISSION_MISSING");
  EXPECT_EQ(Reason(rule, Caller::Operator(), own), "");
  EXPECT_EQ(Reason(rule, Caller::Tenant("ke"), own), "");
  EXPECT_EQ(Reason(rule, Caller::Service("gateway"), own), "") << "has no roles, and is admitted by what it is";
  EXPECT_EQ(
      CheckAccess(rule, key({Role::ROLE_VIEWER, Role::ROLE_BILLING}), own).error().message,
      "this needs the permission tenancy.apiKeys.create, which your roles (billing,viewer) do not have; it is part "
      "of: owner,admin,developer");
  EXPECT_EQ(CheckAccess(rule, Caller::Operator({Role::ROLE_SUPPORT}), own).error().message,
            "this needs the permission tenancy.apiKeys.create, which your roles (support) do not have; it is part "
            "of: operator")
      << "a role of a tenant's is none that he could have";
  // Whoever may not know of a thing is not told what it would take.
  EXPECT_EQ(Reason(rule, key({Role::ROLE_VIEWER}), "tenants/tz/projects/p"), "NOT_FOUND");
  EXPECT_EQ(Reason(rule, key({Role::ROLE_VIEWER}), "tenants/ke/projects/q"), "NOT_FOUND");
  Caller nobody = Caller::Operator();
  nobody.roles = {};
  EXPECT_EQ(Reason(rule, nobody, own), "PERMISSION_MISSING");
}

TEST(CheckAccess, AsksCustomRolesBesideThoseOfThePlatform) {
  Method rule = Rule(access::v1::WHO_TENANT, "name");
  rule.access.set_permission("scheduling.instances.get");
  rule.roles = RolesWith("scheduling.instances.get");
  rule.permission = Permission("scheduling.instances.get");
  const auto custom = [](const char* pattern) {
    Rights out{Role::ROLE_BILLING};
    out.Add(std::make_shared<const CustomRole>(CustomRole{"on-call", Permissions({pattern})}));
    return out;
  };
  const char* const own = "tenants/ke/projects/p";
  const auto key = [](Rights rights) { return Caller::Key("ke", "p", {"portal"}, std::move(rights)); };
  EXPECT_EQ(Reason(rule, key(custom("scheduling.instances.get")), own), "");
  EXPECT_EQ(Reason(rule, key(custom("scheduling.*.get")), own), "");
  EXPECT_EQ(Reason(rule, key(custom("scheduling.instances.list")), own), "PERMISSION_MISSING");
  EXPECT_EQ(Reason(rule, key(custom("*.*.*")), "tenants/ke/projects/q"), "NOT_FOUND");
  EXPECT_EQ(Reason(rule, key(custom("*.*.*")), "tenants/ke"), "PROJECT_KEY");
  EXPECT_NE(CheckAccess(rule, key(custom("scheduling.instances.list")), own)
                .error()
                .message.find("your roles (billing,roles/on-call) do not have"),
            std::string::npos);
  const Caller person = Caller::Person("ke", "s", {}, {{"p", custom("scheduling.instances.get")}, {"q", {}}});
  const auto admitted = Admit(rule, person, own);
  ASSERT_TRUE(admitted) << admitted.error().message;
  EXPECT_EQ(admitted->project, "p");
  EXPECT_EQ(admitted->roles.ToString(), "billing,roles/on-call");
  EXPECT_FALSE(Admit(rule, person, "tenants/ke/projects/q"));
}

// How a person is admitted: "tenant:" or "project p:" and its roles, or the reason of the refusal.
std::string Admitted(const Method& rule, const Caller& person, std::string_view resource) {
  const Result<Caller> out = Admit(rule, person, resource);
  if (!out) return out.error().reason;
  EXPECT_TRUE(out->project_roles.empty());
  return (out->in_project() ? "project " + out->project : "tenant") + ": " + out->roles.ToString();
}

TEST(Admit, GivesAPersonTheRolesThatHoldWhereItAsks) {
  const auto person = [](Roles roles, std::vector<ProjectRoles> at) { return Caller::Person("ke", "s", roles, at); };
  const Caller viewer = person({Role::ROLE_VIEWER}, {{"p", {Role::ROLE_ADMIN}}});
  const Caller of_p = person({}, {{"p", {Role::ROLE_DEVELOPER}}});
  const Caller of_both = person({}, {{"p", {Role::ROLE_DEVELOPER}}, {"q", {Role::ROLE_VIEWER}}});
  const Caller owner = person({Role::ROLE_OWNER}, {{"p", {Role::ROLE_VIEWER}}});
  Method make = Rule(access::v1::WHO_TENANT, "parent");
  make.roles = RolesWith("tenancy.apiKeys.create");
  Method list = Rule(access::v1::WHO_MEMBER, "parent");
  list.roles = RolesWith("tenancy.projects.list");
  Method invoice = Rule(access::v1::WHO_TENANT, "name");
  invoice.roles = RolesWith("billing.billingAccounts.get");
  Method across = Rule(access::v1::WHO_TENANT, "parent");
  across.roles = RolesWith("scheduling.instances.list");
  across.access.set_across_projects(true);
  Method whole = Rule(access::v1::WHO_TENANT, "name");
  whole.access.set_whole_tenant(true);
  const Caller admin_of_p = person({Role::ROLE_VIEWER}, {{"p", {Role::ROLE_ADMIN}}, {"q", {Role::ROLE_DEVELOPER}}});
  Method rules = Rule(access::v1::WHO_MEMBER, "parent");
  rules.roles = {Role::ROLE_ADMIN};
  const Method anyone = Rule(access::v1::WHO_ANYONE);
  struct Case {
    const Method& rule;
    const Caller& person;
    const char* resource;
    const char* expected;
  };
  const char* const p = "tenants/ke/projects/p";
  const char* const q = "tenants/ke/projects/q";
  const char* const tenant = "tenants/ke";
  const char* const all = "tenants/ke/projects/-";
  for (const Case& c : {Case{make, viewer, p, "project p: admin,viewer"},
                        Case{make, viewer, q, "PERMISSION_MISSING"},
                        Case{make, of_p, p, "project p: developer"},
                        Case{make, of_p, q, "NOT_FOUND"},
                        Case{make, of_both, q, "PERMISSION_MISSING"},
                        Case{make, owner, p, "tenant: owner,viewer"},
                        Case{make, owner, q, "tenant: owner"},
                        Case{make, owner, "tenants/tz/projects/p", "NOT_FOUND"},
                        Case{make, of_p, "tenants/tz/projects/p", "NOT_FOUND"},
                        Case{list, viewer, tenant, "tenant: viewer"},
                        Case{list, of_p, tenant, "project p: developer"},
                        Case{list, of_both, tenant, "PROJECT_NEEDED"},
                        Case{list, of_p, "tenants/tz", "NOT_FOUND"},
                        Case{list, person({}, {}), tenant, "PERMISSION_MISSING"},
                        Case{invoice, owner, "tenants/ke/billingAccount", "tenant: owner"},
                        Case{invoice, viewer, "tenants/ke/billingAccount", "PROJECT_KEY"},
                        Case{invoice, of_p, "tenants/ke/billingAccount", "PERMISSION_MISSING"},
                        Case{across, viewer, all, "tenant: viewer"},
                        Case{across, of_p, all, "project p: developer"},
                        Case{across, of_both, all, "PROJECT_NEEDED"},
                        Case{whole, owner, p, "tenant: owner,viewer"},
                        Case{whole, of_p, p, "PROJECT_KEY"},
                        Case{whole, of_p, q, "NOT_FOUND"},
                        Case{rules, admin_of_p, tenant, "project p: admin,viewer"},
                        Case{anyone, of_both, "", "project p: developer"},
                        Case{anyone, owner, "", "tenant: owner"}}) {
    EXPECT_EQ(Admitted(c.rule, c.person, c.resource), c.expected) << c.person.ToString() << " at " << c.resource;
  }
}

TEST(Admit, LeavesOthersAsTheyCame) {
  const Method rule = Rule(access::v1::WHO_TENANT, "name");
  for (const Caller& caller :
       {Caller::Operator(), Caller::Service("gateway"), Caller::Tenant("ke"), Caller::Key("ke", "p", {"portal"})}) {
    const auto out = Admit(rule, caller, "tenants/ke/projects/p");
    ASSERT_TRUE(out);
    EXPECT_EQ(out->ToString(), caller.ToString());
  }
}

}  // namespace
}  // namespace allod::access_test
