// What a workload's token is worth: its seal, and what still stands of what granted it.
#include "gateway/federation/workload_tokens.h"

#include <gtest/gtest.h>

#include "services/common/jose/base64url.h"
#include "tests/support/fake_clock.h"

namespace allod::gateway::federation::workload_tokens_test {
namespace {

using namespace std::chrono_literals;
using Message = tenancy::v1::WatchIdentitiesResponse;

constexpr char kPepper[] = "a pepper of some length";
constexpr char kRule[] = "tenants/ke/projects/desk/workloadRules/deploy";
constexpr char kProvider[] = "tenants/ke/identityProviders/ci";

class WorkloadTokensTest : public testing::Test {
 protected:
  WorkloadTokensTest() {
    auto& tenant = *state_.add_tenants();
    tenant.set_tenant("tenants/ke");
    tenant.set_active(true);
    auto& provider = *tenant.add_identity_providers();
    provider.set_name(kProvider);
    provider.set_issuer("https://ci.example");
    provider.add_audiences("allod");
    auto& rule = *tenant.add_workload_rules();
    rule.set_name(kRule);
    rule.set_uid("u1");
    rule.set_identity_provider(kProvider);
    auto& claim = *rule.add_claims();
    claim.set_claim("sub");
    claim.set_prefix("repo:ke/");
    rule.add_scopes(tenancy::v1::ApiKey::SCOPE_INFERENCE);
    rule.add_scopes(tenancy::v1::ApiKey::SCOPE_PORTAL);
    rule.add_roles(Role::ROLE_VIEWER);
    rule.add_roles(Role::ROLE_DEVELOPER);
    rule.set_token_minutes(10);
    state_.set_synced(true);
  }
  tenancy::v1::WorkloadRule& rule() { return *state_.mutable_tenants(0)->mutable_workload_rules(0); }
  void Sync() {
    table_.BeginSnapshot();
    table_.Apply(state_);
  }
  WorkloadToken Token() {
    WorkloadToken out;
    out.id = Uuid::V7();
    out.rule = kRule;
    out.grounds = (*table_.Find("tenants/ke"))->RuleNamed(kRule)->grounds;
    out.provider = kProvider;
    out.subject = "repo:ke/\"desk\"\xc3\xa9";
    out.inference = out.portal = true;
    out.roles = {Role::ROLE_VIEWER, Role::ROLE_DEVELOPER};
    out.issue_time = clock_.Now();
    out.expire_time = clock_.Now() + 10min;
    return out;
  }
  std::string Try(const std::string& token) {
    const auto principal = tokens_.Authenticate("Bearer " + token, std::nullopt);
    if (principal) principal_ = *principal;
    return principal ? "" : principal.error().reason;
  }

  FakeClock clock_;
  const WorkloadTokenSealer sealer_{kPepper};
  TrustTable table_;
  WorkloadTokens tokens_{table_, sealer_, clock_};
  Message state_;
  access::Principal principal_;
};

TEST_F(WorkloadTokensTest, ATokenStandsForItsRule) {
  Sync();
  EXPECT_EQ(Try(sealer_.Seal(Token())), "");
  EXPECT_EQ(principal_.id, kRule);
  EXPECT_EQ(principal_.name, kRule);
  EXPECT_EQ(principal_.tenant, "tenants/ke");
  EXPECT_EQ(principal_.tenant_id, "ke");
  EXPECT_EQ(principal_.project, "tenants/ke/projects/desk");
  EXPECT_TRUE(principal_.inference && principal_.portal);
  EXPECT_EQ(principal_.roles, (Roles{Role::ROLE_VIEWER, Role::ROLE_DEVELOPER}));
  const auto opened = sealer_.Open(sealer_.Seal(Token()), clock_.Now());
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->subject, "repo:ke/\"desk\"\xc3\xa9");
}

TEST_F(WorkloadTokensTest, ATokenThatWasNotSealedHereIsNone) {
  Sync();
  const std::string token = sealer_.Seal(Token());
  for (std::size_t i = 5; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_EQ(Try(changed), "INVALID_TOKEN") << i;
    EXPECT_EQ(Try(token.substr(0, i)), "INVALID_TOKEN") << i;
  }
  EXPECT_EQ(Try(WorkloadTokenSealer("another pepper, longer").Seal(Token())), "INVALID_TOKEN");
  EXPECT_EQ(Try("ald1_"), "INVALID_TOKEN");
  EXPECT_EQ(Try("ald1_" + jose::EncodeBase64Url("{}")), "INVALID_TOKEN");
  EXPECT_EQ(Try("ald1_" + std::string(20'000, 'A')), "INVALID_TOKEN");
}

TEST_F(WorkloadTokensTest, ATokenExpires) {
  Sync();
  const std::string token = sealer_.Seal(Token());
  clock_.Advance(10min - 1s);
  EXPECT_EQ(Try(token), "");
  clock_.Advance(1s);
  EXPECT_EQ(Try(token), "TOKEN_EXPIRED");
}

TEST_F(WorkloadTokensTest, WhatNoLongerStandsNoLongerCounts) {
  Sync();
  const std::string token = sealer_.Seal(Token());
  const Message before = state_;
  const auto with = [&](const std::function<void(Message::TenantIdentities&)>& change) {
    state_ = before;
    change(*state_.mutable_tenants(0));
    table_.Apply(state_);
    return Try(token);
  };
  using Tenant = Message::TenantIdentities;
  EXPECT_EQ(with([](Tenant& t) { t.clear_workload_rules(); }), "TOKEN_REVOKED");
  EXPECT_EQ(with([](Tenant& t) { t.mutable_workload_rules(0)->set_disabled(true); }), "TOKEN_REVOKED");
  EXPECT_EQ(with([](Tenant& t) { t.mutable_workload_rules(0)->set_uid("u2"); }), "TOKEN_REVOKED") << "made again";
  EXPECT_EQ(with([](Tenant& t) { t.mutable_workload_rules(0)->mutable_claims(0)->set_prefix("repo:ke/x"); }),
            "TOKEN_REVOKED");
  EXPECT_EQ(
      with([](Tenant& t) { t.mutable_workload_rules(0)->set_identity_provider("tenants/ke/identityProviders/b"); }),
      "TOKEN_REVOKED");
  EXPECT_EQ(with([](Tenant& t) { t.mutable_identity_providers(0)->set_disabled(true); }), "TOKEN_REVOKED");
  EXPECT_EQ(with([](Tenant& t) { t.clear_identity_providers(); }), "TOKEN_REVOKED");
  EXPECT_EQ(with([](Tenant& t) { t.set_active(false); }), "TOKEN_REVOKED") << "suspended";
  EXPECT_EQ(with([](Tenant& t) { t.mutable_workload_rules(0)->set_display_name("other"); }), "");
  EXPECT_EQ(with([](Tenant& t) {
              t.mutable_workload_rules(0)->clear_roles();
              t.mutable_workload_rules(0)->add_roles(Role::ROLE_VIEWER);
              t.mutable_workload_rules(0)->add_roles(Role::ROLE_ADMIN);
              t.mutable_workload_rules(0)->clear_scopes();
              t.mutable_workload_rules(0)->add_scopes(tenancy::v1::ApiKey::SCOPE_PORTAL);
            }),
            "");
  EXPECT_EQ(principal_.roles, Roles{Role::ROLE_VIEWER}) << "narrowed at once, never widened";
  EXPECT_FALSE(principal_.inference);
}

TEST_F(WorkloadTokensTest, ACustomRolePermitsWhatItPermitsNow) {
  auto& role = *state_.mutable_tenants(0)->add_roles();
  role.set_name("tenants/ke/roles/on-call");
  role.add_permissions("scheduling.instances.get");
  rule().add_custom_roles(role.name());
  rule().add_custom_roles("tenants/ke/roles/none");
  Sync();
  WorkloadToken granted = Token();
  granted.roles = {};
  granted.custom_roles = {"on-call"};
  const std::string token = sealer_.Seal(granted);
  const Permission get("scheduling.instances.get");
  ASSERT_EQ(Try(token), "");
  EXPECT_EQ(principal_.roles.ToString(), "roles/on-call");
  EXPECT_TRUE(principal_.roles.Permit({}, get));
  EXPECT_EQ(principal_.caller().ToString(),
            "tenant:ke project:desk rule:deploy scopes:inference,portal roles:roles/on-call "
            "custom:on-call=scheduling.instances.get");
  role.set_permissions(0, "scheduling.instances.list");
  table_.Apply(state_);
  ASSERT_EQ(Try(token), "");
  EXPECT_FALSE(principal_.roles.Permit({}, get));
  EXPECT_EQ(Try(sealer_.Seal(Token())), "");
  EXPECT_TRUE(principal_.roles.custom().empty()) << "a token that was given without it";
  rule().clear_custom_roles();
  table_.Apply(state_);
  ASSERT_EQ(Try(token), "");
  EXPECT_TRUE(principal_.roles.empty());
}

TEST_F(WorkloadTokensTest, NobodyIsToldThatATokenIsVoidWhileThatCannotBeKnown) {
  Sync();
  const std::string token = sealer_.Seal(Token());
  const TrustTable empty_table;
  const WorkloadTokens fresh(empty_table, sealer_, clock_);
  EXPECT_EQ(fresh.Authenticate("Bearer " + token, std::nullopt).error().reason, "IDENTITIES_NOT_SYNCED");
  EXPECT_EQ(empty_table.Find("tenants/ke").error().reason, "IDENTITIES_NOT_SYNCED");
  WorkloadToken unknown = Token();
  unknown.rule = "tenants/ke/projects/desk/workloadRules/new";
  EXPECT_EQ(Try(sealer_.Seal(unknown)), "TOKEN_REVOKED");
  table_.EndStream();
  EXPECT_EQ(Try(sealer_.Seal(unknown)), "IDENTITIES_NOT_SYNCED");
  EXPECT_EQ(Try(token), "") << "the last state stands";
  table_.BeginSnapshot();
  EXPECT_EQ(Try(token), "");
  Message empty;
  empty.set_synced(true);
  table_.Apply(empty);
  EXPECT_EQ(Try(token), "TOKEN_REVOKED");
}

}  // namespace
}  // namespace allod::gateway::federation::workload_tokens_test
