#include "gateway/federation/exchange.h"

#include <gtest/gtest.h>

#include "tests/support/token_issuer.h"

namespace allod::gateway::federation::exchange_test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

const Time kNow{1'800'000'000s};
constexpr char kProject[] = "tenants/ke/projects/desk";

std::string Form(const std::string& more = "", const std::string& target = kProject) {
  return "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=a.b.c&"
         "subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&resource=" +
         target + more;
}

std::string WhyNot(const std::string& form) {
  const auto request = ParseExchangeRequest(form);
  return request ? "" : request.error().reason;
}

jose::Claims Verified(json claims) {
  static const TokenIssuer issuer = [] {
    TokenIssuer out;
    out.AddKey("k", TokenIssuer::Kind::kEd25519);
    return out;
  }();
  claims.update({{"iss", "https://ci.example"}, {"aud", "allod"}, {"iat", 1'800'000'000}, {"exp", 1'800'000'300}});
  if (!claims.contains("sub")) claims["sub"] = "repo:ke/desk:main";
  const auto token = jose::UnverifiedToken::Parse(issuer.Sign("k", claims));
  const auto keys = jose::KeySet::Parse(issuer.KeySetJson());
  return *jose::Verify(*token, *keys, {.issuer = "https://ci.example", .audiences = {"allod"}, .now = kNow});
}

class GrantTest : public testing::Test {
 protected:
  GrantTest() {
    trust_.providers[provider_.name] = provider_;
    Add("deploy", {{"sub", "repo:ke/", ClaimMatch::Kind::kPrefix}, {"ref", "main"}});
  }
  Rule& Add(const std::string& id, std::vector<ClaimMatch> claims, const std::string& project = kProject) {
    Rule& rule = trust_.rules[project + "/workloadRules/" + id];
    rule = {.name = project + "/workloadRules/" + id,
            .grounds = "g",
            .project = project,
            .provider = provider_.name,
            .claims = std::move(claims),
            .inference = true,
            .portal = true,
            .roles = {Role::ROLE_VIEWER},
            .lifetime = 10min};
    return rule;
  }
  std::string Try(const json& claims, const std::string& form = Form()) {
    const auto request = ParseExchangeRequest(form);
    const auto token = Grant(*request, trust_, provider_, Verified(claims), kNow);
    if (token) last_ = *token;
    return token ? token->rule.substr(token->rule.rfind('/') + 1) : token.error().reason;
  }

  Provider provider_{.name = "tenants/ke/identityProviders/ci", .issuer = "https://ci.example", .audiences = {"allod"}};
  Trust trust_;
  WorkloadToken last_;
};

TEST(ExchangeRequestTest, IsReadStrictly) {
  const auto request = ParseExchangeRequest(Form());
  ASSERT_TRUE(request);
  EXPECT_EQ(request->subject_token, "a.b.c");
  EXPECT_EQ(request->tenant, "tenants/ke");
  EXPECT_EQ(request->project, kProject);
  EXPECT_EQ(request->rule, "");
  const auto rule = ParseExchangeRequest(Form("", std::string(kProject) + "/workloadRules/deploy"));
  ASSERT_TRUE(rule);
  EXPECT_EQ(rule->project, kProject);
  EXPECT_EQ(rule->rule, "tenants/ke/projects/desk/workloadRules/deploy");
  EXPECT_EQ(WhyNot(Form("&audience=tenants/ke/projects/desk")), "");
  EXPECT_EQ(WhyNot(Form("&audience=tenants/ke/projects/other")), "INVALID_TARGET");
  EXPECT_EQ(WhyNot(Form("", "")), "INVALID_TARGET");
  EXPECT_EQ(WhyNot(Form("", "tenants/ke")), "INVALID_TARGET");
  EXPECT_EQ(WhyNot(Form("", "tenants/ke/projects/..")), "INVALID_TARGET");
  EXPECT_EQ(WhyNot("grant_type=client_credentials"), "UNSUPPORTED_GRANT_TYPE");
  EXPECT_EQ(WhyNot(""), "UNSUPPORTED_GRANT_TYPE");
  EXPECT_EQ(WhyNot(Form("&subject_token=twice")), "INVALID_REQUEST");
  EXPECT_EQ(WhyNot(Form("&actor_token=x")), "INVALID_REQUEST");
  EXPECT_EQ(WhyNot(Form("&x=%zz")), "INVALID_REQUEST");
  EXPECT_EQ(WhyNot(Form("&requested_token_type=urn:ietf:params:oauth:token-type:refresh_token")), "INVALID_REQUEST");
  EXPECT_EQ(WhyNot(Form("&requested_token_type=urn:ietf:params:oauth:token-type:access_token")), "");
  EXPECT_EQ(WhyNot(Form("&unknown=1")), "");
  EXPECT_EQ(WhyNot(Form("&scope=admin")), "INVALID_SCOPE");
  EXPECT_TRUE(ParseExchangeRequest(Form("&scope=portal"))->portal);
  EXPECT_FALSE(ParseExchangeRequest(Form("&scope=portal"))->inference);
  EXPECT_TRUE(ParseExchangeRequest(Form("&scope=inference+portal"))->inference);
}

TEST_F(GrantTest, IsByTheOneRuleWhoseClaimsAllMatch) {
  EXPECT_EQ(Try({{"ref", "main"}}), "deploy");
  EXPECT_EQ(last_.subject, "repo:ke/desk:main");
  EXPECT_EQ(last_.expire_time, kNow + 10min);
  EXPECT_TRUE(last_.inference && last_.portal);
  EXPECT_EQ(last_.roles, (Roles{Role::ROLE_VIEWER}));
  EXPECT_EQ(Try({{"ref", "main2"}}), "NO_RULE_MATCHES");
  EXPECT_EQ(Try({{"ref", "mai"}}), "NO_RULE_MATCHES");
  EXPECT_EQ(Try(json::object()), "NO_RULE_MATCHES");
  EXPECT_EQ(Try({{"ref", json::array({"main"})}}), "NO_RULE_MATCHES") << "a claim that is no string is none";
  EXPECT_EQ(Try({{"ref", "main"}, {"sub", "repo:kenya/desk"}}), "NO_RULE_MATCHES");
  Add("other", {{"sub", "repo:", ClaimMatch::Kind::kPrefix}});
  EXPECT_EQ(Try({{"ref", "main"}}), "SEVERAL_RULES_MATCH");
  EXPECT_EQ(Try({{"ref", "main"}}, Form("", std::string(kProject) + "/workloadRules/other")), "other");
  EXPECT_EQ(Try({{"ref", "x"}}), "other");
  EXPECT_EQ(Try({{"ref", "x"}}, Form("", std::string(kProject) + "/workloadRules/deploy")), "NO_RULE_MATCHES");
}

TEST_F(GrantTest, AsksWhatIsInAListAndForVerifiedAddressesOnly) {
  Rule& rule = trust_.rules.begin()->second;
  rule.claims = {{"groups", "deployers", ClaimMatch::Kind::kContains}};
  EXPECT_EQ(Try({{"groups", {"a", "deployers"}}}), "deploy");
  EXPECT_EQ(Try({{"groups", {"a", "deployers2", 7}}}), "NO_RULE_MATCHES");
  EXPECT_EQ(Try({{"groups", "deployers"}}), "NO_RULE_MATCHES");
  EXPECT_EQ(Try({{"groups", {{"deployers", true}}}}), "NO_RULE_MATCHES");
  rule.claims = {{"email", "ci@ke.example"}};
  EXPECT_EQ(Try({{"email", "ci@ke.example"}}), "NO_RULE_MATCHES");
  EXPECT_EQ(Try({{"email", "ci@ke.example"}, {"email_verified", false}}), "NO_RULE_MATCHES");
  EXPECT_EQ(Try({{"email", "ci@ke.example"}, {"email_verified", true}}), "deploy");
  EXPECT_EQ(Try({{"email", "ci@ke.example"}, {"email_verified", "true"}}), "deploy");
}

TEST_F(GrantTest, IsInTheProjectThatIsAskedForOnly) {
  EXPECT_EQ(Try({{"ref", "main"}}, Form("", "tenants/ke/projects/lab")), "NO_RULE_MATCHES");
  Add("lab", {{"ref", "main"}}, "tenants/ke/projects/lab");
  EXPECT_EQ(Try({{"ref", "main"}}, Form("", "tenants/ke/projects/lab")), "lab");
  EXPECT_EQ(Try({{"ref", "main"}}), "deploy");
}

TEST_F(GrantTest, IsNotByARuleThatIsDisabledOfAnotherProviderOrNotUnderstood) {
  Rule& rule = trust_.rules.begin()->second;
  rule.disabled = true;
  EXPECT_EQ(Try({{"ref", "main"}}), "NO_RULE_MATCHES");
  rule.disabled = false;
  rule.provider = "tenants/ke/identityProviders/other";
  EXPECT_EQ(Try({{"ref", "main"}}), "NO_RULE_MATCHES");
  rule.provider = provider_.name;
  rule.claims.clear();
  EXPECT_EQ(Try({{"ref", "main"}}), "NO_RULE_MATCHES");
  rule.claims = {ClaimMatch()};
  EXPECT_EQ(Try({{"ref", "main"}, {"", ""}}), "NO_RULE_MATCHES");
}

TEST_F(GrantTest, IsWhatIsAskedForAtMost) {
  EXPECT_EQ(Try({{"ref", "main"}}, Form("&scope=inference")), "deploy");
  EXPECT_FALSE(last_.portal);
  EXPECT_TRUE(last_.roles.empty());
  trust_.rules.begin()->second.portal = false;
  EXPECT_EQ(Try({{"ref", "main"}}, Form("&scope=portal")), "SCOPE_NOT_GRANTED");
}

TEST(ExchangeAnswer, IsThatOfTheStandards) {
  const auto error = json::parse(ErrorJson(NothingTakesIt().error()));
  EXPECT_EQ(error.at("error"), "invalid_request");
  EXPECT_EQ(ErrorStatus(NothingTakesIt().error()), 400);
  EXPECT_EQ(json::parse(ErrorJson({Code::kInvalidArgument, "NO_RULE_MATCHES", "m"})).at("error"), "invalid_target");
  EXPECT_EQ(json::parse(ErrorJson({Code::kUnauthenticated, "TOKEN_EXPIRED", "m"})).at("error"), "invalid_request");
  EXPECT_EQ(json::parse(ErrorJson({Code::kUnavailable, "ISSUER_UNAVAILABLE", "m"})).at("error"),
            "temporarily_unavailable");
  EXPECT_EQ(ErrorStatus({Code::kUnauthenticated, "TOKEN_EXPIRED", "m"}), 400);
  EXPECT_EQ(ErrorStatus({Code::kUnavailable, "ISSUER_UNAVAILABLE", "m"}), 503);
  EXPECT_EQ(ErrorStatus({Code::kResourceExhausted, "TOO_MANY_EXCHANGES", "m"}), 429);
  WorkloadToken token;
  token.portal = true;
  token.issue_time = kNow;
  token.expire_time = kNow + 10min;
  const auto answer = json::parse(AnswerJson("ald1_x", token));
  EXPECT_EQ(answer.at("access_token"), "ald1_x");
  EXPECT_EQ(answer.at("token_type"), "Bearer");
  EXPECT_EQ(answer.at("expires_in"), 600);
  EXPECT_EQ(answer.at("scope"), "portal");
  EXPECT_EQ(answer.at("issued_token_type"), "urn:ietf:params:oauth:token-type:access_token");
}

}  // namespace
}  // namespace allod::gateway::federation::exchange_test
