#include "services/tenancy/domain.h"

#include <gtest/gtest.h>

#include <memory>

namespace allod::tenancy::domain_test {
namespace {

Tenant Kenya() { return {"ke", "Kenya", "KES", {"ke"}, TenantState::kActive, Time()}; }

std::string ReasonOf(const Tenant& tenant) {
  const auto valid = ValidTenant(tenant);
  return valid ? "" : valid.error().reason;
}

TEST(ValidTenant, AcceptsACountryAndSortsItsResidency) {
  Tenant tenant = Kenya();
  tenant.residency = {"ug", "ke"};
  const auto valid = ValidTenant(tenant);
  ASSERT_TRUE(valid) << valid.error().message;
  EXPECT_EQ(valid->residency, (std::vector<std::string>{"ke", "ug"}));
}

TEST(ValidTenant, RefusesIdsThatCannotNameEverythingATenantNames) {
  for (const std::string id : {"", "k", "KE", "1ke", "-ke", "ke-", "k_e", "k.e", "../ke", "ministry/health"}) {
    Tenant tenant = Kenya();
    tenant.id = id;
    EXPECT_EQ(ReasonOf(tenant), "INVALID_ID") << id;
  }
  Tenant tenant = Kenya();
  tenant.id = std::string(33, 'a');
  EXPECT_EQ(ReasonOf(tenant), "INVALID_ID");
}

TEST(ValidTenant, NamesTheFieldThatIsWrong) {
  Tenant tenant = Kenya();
  tenant.currency_code = "KSH";
  EXPECT_EQ(ReasonOf(tenant), "UNKNOWN_CURRENCY");
  tenant = Kenya();
  tenant.residency = {};
  EXPECT_EQ(ReasonOf(tenant), "RESIDENCY_REQUIRED");
  tenant.residency = {"ke", "KE"};
  EXPECT_EQ(ReasonOf(tenant), "UNKNOWN_COUNTRY");
  EXPECT_NE(ValidTenant(tenant).error().message.find("tenant.residency[1]"), std::string::npos);
  tenant.residency = {"ke", "ke"};
  EXPECT_EQ(ReasonOf(tenant), "DUPLICATE_COUNTRY");
  tenant = Kenya();
  tenant.display_name = "";
  EXPECT_EQ(ReasonOf(tenant), "INVALID_TEXT");
}

TEST(ValidApiKey, MeansEveryScopeWhenNoneIsNamed) {
  EXPECT_EQ(ValidApiKey({})->scopes, (std::set<Scope>{Scope::kInference, Scope::kPortal}));
  ApiKey key;
  key.scopes = {Scope::kInference};
  EXPECT_EQ(ValidApiKey(key)->scopes, (std::set<Scope>{Scope::kInference}));
}

TEST(ValidApiKey, HandsOnOnlyWhatItsMakerHolds) {
  const Held portal{.scopes = {Scope::kPortal}};
  ApiKey key;
  EXPECT_EQ(ValidApiKey(key, portal)->scopes, portal.scopes) << "none named: every scope that its maker has";
  key.scopes = {Scope::kInference};
  EXPECT_EQ(ValidApiKey(key, portal).error().reason, "SCOPE_NOT_HELD");
  key.scopes = EveryScope();
  EXPECT_EQ(ValidApiKey(key, portal).error().code, Code::kPermissionDenied);
  EXPECT_TRUE(ValidApiKey(key));
}

TEST(ValidApiKey, HasRolesThatItsMakerCoversAndOnlyForThePortal) {
  const Held developer{.roles = {Role::ROLE_DEVELOPER}, .usual_roles = {Role::ROLE_DEVELOPER}};
  ApiKey key;
  EXPECT_EQ(ValidApiKey(key)->roles, Roles{Role::ROLE_ADMIN});
  EXPECT_EQ(ValidApiKey(key, developer)->roles, Roles{Role::ROLE_DEVELOPER});
  struct Case {
    std::set<Scope> scopes;
    Roles roles;
    Held held;
    std::string refused;
  };
  const std::set<Scope> portal{Scope::kPortal};
  for (const Case& c :
       {Case{portal, {Role::ROLE_AUDITOR, Role::ROLE_VIEWER}, {}, ""},
        Case{portal, {Role::ROLE_VIEWER}, developer, "ROLE_NOT_HELD"},
        Case{portal, {Role::ROLE_DEVELOPER}, developer, ""},
        Case{portal, {Role::ROLE_DEVELOPER, Role::ROLE_ADMIN}, developer, "ROLE_NOT_HELD"},
        Case{portal, {Role::ROLE_OWNER}, {}, "INVALID_ROLE"}, Case{portal, {Role::ROLE_OPERATOR}, {}, "INVALID_ROLE"},
        Case{{Scope::kInference}, {Role::ROLE_VIEWER}, {}, "INVALID_ROLE"}, Case{{Scope::kInference}, {}, {}, ""}}) {
    key.scopes = c.scopes;
    key.roles = c.roles;
    const auto made = ValidApiKey(key, c.held);
    EXPECT_EQ(made ? "" : made.error().reason, c.refused) << c.roles.ToString();
    if (made) {
      EXPECT_EQ(made->roles, c.roles);
    }
  }
}

TEST(ValidApiKey, SaysWhatHelps) {
  ApiKey key;
  key.scopes = {Scope::kPortal};
  key.roles = {Role::ROLE_ADMIN};
  // Of whose roles no key has one, so that leaving them out helps nobody.
  Rights custom;
  custom.Add(std::make_shared<const CustomRole>(
      CustomRole{"keys", Permissions({"tenancy.*.*", "catalog.*.*", "scheduling.*.*"})}));
  const Held held{.roles = custom, .usual_roles = {}};
  const auto refused = ValidApiKey(key, held);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "api_key.roles: nobody hands on more than he may do, and \"admin\" is more than your roles (roles/keys) "
            "permit; name one that yours cover (viewer), or ask an owner of the tenant");
  key.roles = {};
  EXPECT_EQ(ValidApiKey(key, held).error().message,
            "api_key.roles: yours (roles/keys) are none that a key can have; name one that yours cover (viewer), or "
            "ask an owner of the tenant");
  EXPECT_EQ(ValidApiKey(key, {.roles = {}, .usual_roles = {}}).error().message,
            "api_key.roles: yours () are none that a key can have; there is none that yours cover, so leave "
            "SCOPE_PORTAL out, or ask an owner of the tenant");
}

TEST(ValidApiKey, ACustomRoleIsHandedOnByWhoHoldsWhatItPermits) {
  TenantRole looks{.tenant = "ke", .id = "looks"}, runs{.tenant = "ke", .id = "runs"};
  looks.permissions = {"scheduling.instances.get"};
  runs.permissions = {"scheduling.instances.*"};
  const StandingRoles roles({looks, runs});
  const auto why = [&](std::vector<std::string> custom, const Held& held) {
    ApiKey key;
    key.scopes = {Scope::kPortal};
    key.custom_roles = std::move(custom);
    const auto made = ValidApiKey(key, held, roles);
    return made ? fmt::format("{}", fmt::join(made->custom_roles, ",")) : made.error().reason;
  };
  const Held owner, viewer{.roles = {Role::ROLE_VIEWER}, .usual_roles = {Role::ROLE_VIEWER}};
  EXPECT_EQ(why({"runs", "looks"}, owner), "looks,runs");
  EXPECT_EQ(why({"runs"}, viewer), "ROLE_NOT_HELD");
  EXPECT_EQ(why({"looks"}, viewer), "looks") << "a viewer sees as much";
  EXPECT_EQ(why({"none"}, owner), "NOT_FOUND");
  EXPECT_EQ(why({"looks", "looks"}, owner), "INVALID_ROLE");
  EXPECT_EQ(why({"a", "b", "c", "d", "e"}, owner), "INVALID_ROLE");
  // Who has custom roles only hands them on, named or not, and what they permit.
  Held by_role{.roles = roles.RightsLeft({}, {"runs"}), .usual_roles = {}, .usual_custom_roles = {"runs"}};
  EXPECT_EQ(why({}, by_role), "runs");
  EXPECT_EQ(why({"looks"}, by_role), "looks");
  by_role.roles = roles.RightsLeft({}, {"looks"});
  EXPECT_EQ(why({"runs"}, by_role), "ROLE_NOT_HELD");
  ApiKey key;
  key.scopes = {Scope::kInference};
  key.custom_roles = {"looks"};
  EXPECT_EQ(ValidApiKey(key, owner, roles).error().reason, "INVALID_ROLE") << "without the portal";
}

TEST(Scopes, HaveAWordEach) {
  for (const Scope scope : EveryScope()) EXPECT_EQ(ScopeOf(WordOf(scope)), scope);
  EXPECT_FALSE(ScopeOf("root"));
  EXPECT_FALSE(ScopeOf(""));
}

TEST(TenantUid, IsTheOneThatEveryServiceComputes) {
  EXPECT_EQ(Kenya().uid(), TenantId::FromName("tenants/ke/projects/desk").value());
}

TEST(ValidTenant, KeepsTheWeightInItsRange) {
  Tenant tenant{"ke", "Kenya", "KES", {"ke"}};
  tenant.weight = 0;
  EXPECT_EQ(ValidTenant(tenant)->weight, 1);
  tenant.weight = 1000;
  EXPECT_EQ(ValidTenant(tenant)->weight, 1000);
  for (const int weight : {-1, 1001}) {
    tenant.weight = weight;
    EXPECT_EQ(ValidTenant(tenant).error().reason, "INVALID_WEIGHT");
  }
}

TEST(Changed, KeepsWhatIsNobodysToChange) {
  Tenant standing{"ke", "Kenya", "KES", {"ke"}, TenantState::kSuspended};
  standing.suspend_reason = "unpaid";
  standing.version = 4;
  Tenant wanted{"ke", "Jamhuri", "", {"ke", "ug"}};
  wanted.weight = 3;
  const auto changed = Changed(standing, wanted, EtagOf(standing));
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(changed->display_name, "Jamhuri");
  EXPECT_EQ(changed->currency_code, "KES");
  EXPECT_EQ(changed->state, TenantState::kSuspended);
  EXPECT_EQ(changed->suspend_reason, "unpaid");
  Tenant newer = standing;
  newer.version = 5;
  EXPECT_EQ(Changed(newer, wanted, EtagOf(standing)).error().reason, "ETAG_MISMATCH");
  Tenant other = standing;
  other.id = "ug";
  EXPECT_NE(EtagOf(other), EtagOf(standing));
}

}  // namespace
}  // namespace allod::tenancy::domain_test
