#include "services/tenancy/identity.h"

#include <gtest/gtest.h>

namespace allod::tenancy::identity_test {
namespace {

constexpr char kGitHub[] = "https://token.actions.githubusercontent.com";
constexpr ClaimComparison kPrefix = ClaimComparison::kPrefix;
constexpr char kOwnIssuer[] = "https://gitlab.ke.example";

IdentityProvider Provider() {
  return {.tenant = "ke", .id = "ci", .display_name = "CI", .issuer = kOwnIssuer, .audiences = {"allod"}};
}

WorkloadRule Rule(std::vector<ClaimMatch> claims = {{"sub", "deploy"}}) {
  return {.tenant = "ke",
          .project = "desk",
          .id = "deploy",
          .display_name = "Deployments",
          .provider = "ci",
          .claims = std::move(claims),
          .scopes = {Scope::kInference, Scope::kPortal},
          .roles = {Role::ROLE_DEVELOPER}};
}

std::string WhyNot(const IdentityProvider& provider) {
  const auto valid = ValidProvider(provider);
  return valid ? "" : valid.error().reason;
}
std::string WhyNot(const WorkloadRule& rule, const std::string& issuer = kOwnIssuer, const Held& held = {}) {
  const auto valid = ValidRule(rule, issuer, held);
  return valid ? "" : valid.error().reason;
}

TEST(IdentityProviderTest, TakesIssuersAsTheyStandInTokens) {
  IdentityProvider provider = Provider();
  for (const char* issuer : {kGitHub, "https://gitlab.com", "https://a.example:8443/auth/realms/ke",
                             "http://127.0.0.1:4000", "http://[::1]:4000", "http://localhost:1/x", "https://10.0.0.1",
                             "https://oidc.eks.eu-west-1.amazonaws.com/id/ABCDEF0123"}) {
    provider.issuer = issuer;
    EXPECT_EQ(WhyNot(provider), "") << issuer;
  }
  for (const char* issuer : {"",
                             "ci.example",
                             "ftp://ci.example",
                             "https://",
                             "https:///x",
                             "http://ci.example",
                             "http://127.0.0.1.evil.example",
                             "https://user@ci.example",
                             "https://ci.example?x=1",
                             "https://ci.example#x",
                             "https://ci.example/a b",
                             "https://CI.example",
                             "https://ci.example:0",
                             "https://ci.example:99999",
                             "https://ci.example:",
                             "https://[::1",
                             "https://ci.example/a/../b",
                             "https://-x",
                             "https://ci.example\\@evil",
                             "https://169.254.169.254@x",
                             "HTTPS://ci.example"}) {
    provider.issuer = issuer;
    EXPECT_EQ(WhyNot(provider), "INVALID_ISSUER") << issuer;
  }
  provider.issuer = "https://" + std::string(256, 'a');
  EXPECT_EQ(WhyNot(provider), "INVALID_ISSUER");
}

TEST(IdentityProviderTest, NeedsAudiences) {
  IdentityProvider provider = Provider();
  provider.audiences = {};
  EXPECT_EQ(WhyNot(provider), "INVALID_AUDIENCE");
  provider.audiences = {"b", "a"};
  EXPECT_EQ(ValidProvider(provider)->audiences, (std::vector<std::string>{"a", "b"}));
  provider.audiences = {"a", "a"};
  EXPECT_EQ(WhyNot(provider), "INVALID_AUDIENCE");
  provider.audiences = {""};
  EXPECT_EQ(WhyNot(provider), "INVALID_TEXT");
  provider.audiences = std::vector<std::string>(9, "a");
  EXPECT_EQ(WhyNot(provider), "INVALID_AUDIENCE");
}

TEST(WorkloadRuleTest, ThatWouldMatchStrangersIsRefused) {
  EXPECT_EQ(WhyNot(Rule({})), "RULE_TOO_WIDE");
  for (const char* claim : {"iss", "aud", "exp", "nbf", "iat", "jti"}) {
    EXPECT_EQ(WhyNot(Rule({{claim, "x"}})), "INVALID_CLAIM") << claim;
  }
  EXPECT_EQ(WhyNot(Rule({{"sub", "", kPrefix}})), "INVALID_TEXT") << "an empty beginning is of everything";
  // At an issuer that serves the whole world.
  EXPECT_EQ(WhyNot(Rule({{"ref", "refs/heads/main"}}), kGitHub), "RULE_TOO_WIDE");
  EXPECT_EQ(WhyNot(Rule({{"repository_owner", "k", kPrefix}}), kGitHub), "RULE_TOO_WIDE") << "of every owner with k";
  EXPECT_EQ(WhyNot(Rule({{"sub", "repo:", kPrefix}}), kGitHub), "RULE_TOO_WIDE");
  EXPECT_EQ(WhyNot(Rule({{"sub", "environment:production"}}), kGitHub), "RULE_TOO_WIDE") << "of everybody";
  EXPECT_EQ(WhyNot(Rule({{"sub", "ref:refs/", kPrefix}}), kGitHub), "RULE_TOO_WIDE");
  EXPECT_EQ(WhyNot(Rule({{"sub", "repo:k", kPrefix}}), kGitHub), "RULE_TOO_WIDE") << "of every owner with k";
  EXPECT_EQ(WhyNot(Rule({{"repository", "ke/", kPrefix}}), kGitHub), "");
  EXPECT_EQ(WhyNot(Rule({{"repository", "ke/services"}, {"ref", "refs/", kPrefix}}), kGitHub), "");
  EXPECT_EQ(WhyNot(Rule({{"sub", "repo:ke/services:", kPrefix}}), kGitHub), "");
  EXPECT_EQ(WhyNot(Rule({{"project_path", "ke", kPrefix}}), "https://gitlab.com"), "RULE_TOO_WIDE");
  EXPECT_EQ(WhyNot(Rule({{"repository", "ke/services", ClaimComparison::kContains}}), kGitHub), "RULE_TOO_WIDE");
  EXPECT_EQ(WhyNot(Rule({{"groups", "deployers", ClaimComparison::kContains}})), "");
}

TEST(WorkloadRuleTest, HasClaimsThatMakeSense) {
  EXPECT_EQ(WhyNot(Rule({{"sub", "a"}, {"sub", "b"}})), "INVALID_CLAIM");
  EXPECT_EQ(WhyNot(Rule({{"", "a"}})), "INVALID_TEXT");
  EXPECT_EQ(WhyNot(Rule({{"sub", std::string(257, 'a')}})), "INVALID_TEXT");
  EXPECT_EQ(WhyNot(Rule({{"sub", "a\x01"}})), "INVALID_TEXT");
  std::vector<ClaimMatch> many;
  for (int i = 0; i < 9; ++i) many.push_back({std::to_string(i), "a"});
  EXPECT_EQ(WhyNot(Rule(many)), "INVALID_CLAIM");
}

TEST(WorkloadRuleTest, GrantsOnlyWhatItsMakerHas) {
  WorkloadRule rule = Rule();
  EXPECT_EQ(WhyNot(rule, kOwnIssuer, {.roles = {Role::ROLE_DEVELOPER}}), "");
  EXPECT_EQ(WhyNot(rule, kOwnIssuer, {.roles = {Role::ROLE_VIEWER}}), "ROLE_NOT_HELD");
  EXPECT_EQ(WhyNot(rule, kOwnIssuer, {.scopes = {Scope::kPortal}}), "SCOPE_NOT_HELD");
  rule.roles = {Role::ROLE_OWNER};
  EXPECT_EQ(WhyNot(rule), "INVALID_ROLE");
  rule.roles = {};
  EXPECT_EQ(WhyNot(rule), "INVALID_ROLE") << "nothing is granted unasked";
  rule.scopes = {Scope::kInference};
  EXPECT_EQ(WhyNot(rule), "");
  rule.scopes = {};
  EXPECT_EQ(WhyNot(rule), "INVALID_SCOPE");
}

TEST(WorkloadRuleTest, TokensHoldAnHourAtMost) {
  WorkloadRule rule = Rule();
  EXPECT_EQ(ValidRule(rule, kOwnIssuer, {})->token_minutes, 15);
  for (const int minutes : {1, 60}) {
    rule.token_minutes = minutes;
    EXPECT_EQ(WhyNot(rule), "") << minutes;
  }
  for (const int minutes : {-1, 61}) {
    rule.token_minutes = minutes;
    EXPECT_EQ(WhyNot(rule), "INVALID_LIFETIME") << minutes;
  }
}

}  // namespace
}  // namespace allod::tenancy::identity_test
