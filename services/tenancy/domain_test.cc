#include "services/tenancy/domain.h"

#include <gtest/gtest.h>

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
  const std::set<Scope> portal{Scope::kPortal};
  ApiKey key;
  EXPECT_EQ(ValidApiKey(key, portal)->scopes, portal) << "none named: every scope that its maker has";
  key.scopes = {Scope::kInference};
  EXPECT_EQ(ValidApiKey(key, portal).error().reason, "SCOPE_NOT_HELD");
  key.scopes = EveryScope();
  EXPECT_EQ(ValidApiKey(key, portal).error().code, Code::kPermissionDenied);
  EXPECT_TRUE(ValidApiKey(key));
}

TEST(Scopes, HaveAWordEach) {
  for (const Scope scope : EveryScope()) EXPECT_EQ(ScopeOf(WordOf(scope)), scope);
  EXPECT_FALSE(ScopeOf("root"));
  EXPECT_FALSE(ScopeOf(""));
}

TEST(TenantUid, IsTheOneThatEveryServiceComputes) {
  EXPECT_EQ(Kenya().uid(), TenantId::FromName("tenants/ke/projects/desk").value());
}

}  // namespace
}  // namespace allod::tenancy::domain_test
