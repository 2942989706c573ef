#include "gateway/federation/token_endpoint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/detached.hpp>
#include <deque>
#include <nlohmann/json.hpp>

#include "gateway/federation/workload_tokens.h"
#include "gateway/http/fake_response_writer.h"
#include "tests/support/fake_clock.h"
#include "tests/support/token_issuer.h"

namespace allod::gateway::federation::token_endpoint_test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr char kIssuer[] = "https://ci.example";
constexpr char kRule[] = "tenants/ke/projects/desk/workloadRules/deploy";

// Serves what the issuer publishes.
class IssuerFetcher final : public Fetcher {
 public:
  explicit IssuerFetcher(const TokenIssuer& issuer) : issuer_(issuer) {}
  void Fetch(FetchRequest request, Done done) override {
    ++fetches;
    const std::string& url = request.url;
    if (holds) return held.push_back([this, request, done] { Fetch(request, done); });
    if (away) return done(Fail(Code::kUnavailable, "FETCH_FAILED", "away"));
    if (url.ends_with("/openid-configuration")) {
      return done(json{{"issuer", kIssuer}, {"jwks_uri", "https://ci.example/keys"}}.dump());
    }
    done(issuer_.KeySetJson());
  }
  int fetches = 0;
  bool away = false;
  bool holds = false;
  std::vector<std::function<void()>> held;

 private:
  const TokenIssuer& issuer_;
};

class TokenEndpointTest : public testing::Test {
 protected:
  TokenEndpointTest() {
    issuer_.AddKey("k", TokenIssuer::Kind::kP256);
    tenancy::v1::WatchIdentitiesResponse state;
    auto& tenant = *state.add_tenants();
    tenant.set_tenant("tenants/ke");
    tenant.set_active(true);
    auto& provider = *tenant.add_identity_providers();
    provider.set_name("tenants/ke/identityProviders/ci");
    provider.set_issuer(kIssuer);
    provider.add_audiences("allod");
    auto& rule = *tenant.add_workload_rules();
    rule.set_name(kRule);
    rule.set_uid("u");
    rule.set_identity_provider(provider.name());
    auto& claim = *rule.add_claims();
    claim.set_claim("sub");
    claim.set_equals("main");
    rule.add_scopes(tenancy::v1::ApiKey::SCOPE_INFERENCE);
    rule.set_token_minutes(5);
    state.set_synced(true);
    state_ = state;
    table_.BeginSnapshot();
    table_.Apply(state);
  }
  std::string Token(const json& more = json::object(), const std::string& kid = "k") {
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(clock_.Now().time_since_epoch()).count();
    json claims{{"iss", kIssuer}, {"aud", "allod"}, {"sub", "main"}, {"iat", now}, {"exp", now + 300}};
    claims.update(more);
    return issuer_.Sign(kid, claims);
  }
  http::Request Asking(const std::string& token, const std::string& target, const std::string& address) const {
    http::Request request;
    request.path = "/oauth/token";
    request.client = IpAddress::Parse(address);
    request.headers = {{"content-type", content_type_}};
    request.body = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=" + token +
                   "&subject_token_type=urn:ietf:params:oauth:token-type:jwt&resource=" + target;
    return request;
  }
  json Ask(const std::string& token, const std::string& target = "tenants/ke/projects/desk",
           const std::string& address = "192.0.2.1") {
    http::Request request = Asking(token, target, address);
    http::FakeResponseWriter out;
    http::RunToEnd([&] { return endpoint_.Handle(request, out); });
    response_ = out.response;
    return json::parse(response_.body);
  }
  std::string Why(const std::string& token, const std::string& target = "tenants/ke/projects/desk") {
    return Ask(token, target).value("error_description", "");
  }

  tenancy::v1::WatchIdentitiesResponse state_;
  FakeClock clock_;
  TokenIssuer issuer_;
  IssuerFetcher fetcher_{issuer_};
  IssuerKeys::SteadyTime now_{1h};
  IssuerKeys keys_{fetcher_, {}, [this] { return now_; }};
  const WorkloadTokenSealer sealer_{"a pepper of some length"};
  TrustTable table_;
  WorkloadTokens workloads_{table_, sealer_, clock_};
  TokenVerifier verifier_{keys_, clock_};
  TokenEndpoint endpoint_{
      table_, verifier_, sealer_, clock_, {.per_address_per_minute = 20, .per_tenant_per_minute = 30}};
  std::string content_type_ = "application/x-www-form-urlencoded; charset=utf-8";
  http::Response response_;
};

TEST_F(TokenEndpointTest, GivesATokenThatHolds) {
  const json answer = Ask(Token());
  ASSERT_EQ(response_.status, 200) << response_.body;
  EXPECT_EQ(answer.at("expires_in"), 300);
  EXPECT_EQ(answer.at("scope"), "inference");
  const auto principal =
      workloads_.Authenticate("Bearer " + answer.at("access_token").get<std::string>(), std::nullopt);
  ASSERT_TRUE(principal) << principal.error().message;
  EXPECT_EQ(principal->name, kRule);
  EXPECT_EQ(response_.headers.front(), (std::pair<std::string, std::string>("cache-control", "no-store")));
}

TEST_F(TokenEndpointTest, WhatIsGivenIsOfTheProjectThatWasAskedForThoughAnotherTenantTrustsTheSame) {
  auto& tenant = *state_.add_tenants();
  tenant = state_.tenants(0);
  tenant.set_tenant("tenants/tz");
  tenant.mutable_identity_providers(0)->set_name("tenants/tz/identityProviders/ci");
  auto& rule = *tenant.mutable_workload_rules(0);
  rule.set_name("tenants/tz/projects/desk/workloadRules/deploy");
  rule.set_identity_provider("tenants/tz/identityProviders/ci");
  rule.mutable_claims(0)->set_equals("release");
  table_.BeginSnapshot();
  table_.Apply(state_);
  const json answer = Ask(Token());
  ASSERT_EQ(response_.status, 200) << response_.body;
  const auto principal =
      workloads_.Authenticate("Bearer " + answer.at("access_token").get<std::string>(), std::nullopt);
  ASSERT_TRUE(principal);
  EXPECT_EQ(principal->project, "tenants/ke/projects/desk");
  EXPECT_NE(Why(Token(), "tenants/tz/projects/desk"), "") << "tz has no rule for it";
  EXPECT_EQ(response_.status, 400);
  Ask(Token({{"sub", "release"}}), "tenants/tz/projects/desk");
  EXPECT_EQ(response_.status, 200) << response_.body;
  EXPECT_NE(Why(Token({{"sub", "release"}})), "") << "nor has ke for tz's";
  // The rule names its own tenant's provider; a name of the other's is none.
  rule.set_identity_provider("tenants/ke/identityProviders/ci");
  table_.BeginSnapshot();
  table_.Apply(state_);
  Ask(Token({{"sub", "release"}}), "tenants/tz/projects/desk");
  EXPECT_EQ(response_.status, 400) << response_.body;
}

TEST_F(TokenEndpointTest, TellsStrangersNothingOfWhatATenantTrusts) {
  TokenIssuer stranger;
  stranger.AddKey("k", TokenIssuer::Kind::kP256);
  stranger.AddKey("other", TokenIssuer::Kind::kP256);
  json claims{{"iss", kIssuer}, {"aud", "wrong"}, {"sub", "main"}, {"iat", 1'893'456'000}, {"exp", 1'893'456'300}};
  const std::string said = Why(stranger.Sign("k", claims));
  EXPECT_NE(said, "");
  EXPECT_EQ(Why(stranger.Sign("other", claims)), said);
  EXPECT_EQ(Why(Token({{"iss", "https://unknown.example"}})), said);
  EXPECT_EQ(Why(Token(), "tenants/ug/projects/desk"), said);
  EXPECT_EQ(Why(stranger.Sign("k", claims), "tenants/none/projects/desk"), said);
  EXPECT_EQ(response_.status, 400);
  // Whatever a forged token claims, and whatever algorithm it names.
  for (const auto& [claim, value] : std::vector<std::pair<const char*, json>>{
           {"exp", 1}, {"exp", "x"}, {"exp", nullptr}, {"iat", 1'893'459'999}, {"nbf", 1'893'459'999}, {"sub", ""}}) {
    json changed = claims;
    changed[claim] = value;
    EXPECT_EQ(Why(stranger.Sign("k", changed)), said) << claim << " " << value;
  }
  TokenIssuer of_another_kind;
  of_another_kind.AddKey("k", TokenIssuer::Kind::kEd25519);
  EXPECT_EQ(Why(of_another_kind.Sign("k", claims)), said);
  json header = stranger.Header("k");
  header["alg"] = "HS256";
  EXPECT_EQ(Why(stranger.Sign("k", header.dump(), claims.dump())), said);
  EXPECT_EQ(response_.status, 400);
  // Who has a token of the issuer is told.
  EXPECT_NE(Why(Token({{"aud", "wrong"}})), said);
  EXPECT_NE(Why(Token(), "tenants/ke/projects/other"), said);
}

TEST_F(TokenEndpointTest, RefusesByTheStandardsErrors) {
  EXPECT_EQ(Ask(Token({{"exp", 1}})).at("error"), "invalid_request");
  EXPECT_EQ(Ask(Token({{"sub", "other"}})).at("error"), "invalid_target");
  EXPECT_EQ(Ask("a.b").at("error"), "invalid_request");
  content_type_ = "application/json";
  EXPECT_EQ(Ask(Token()).at("error"), "invalid_request");
}

TEST_F(TokenEndpointTest, FindsKeysThatTheIssuerChanged) {
  Ask(Token());
  ASSERT_EQ(response_.status, 200);
  issuer_.AddKey("new", TokenIssuer::Kind::kEd25519);
  issuer_.RemoveKey("k");
  Ask(Token(json::object(), "new"));
  EXPECT_EQ(response_.status, 400) << "the keys were fetched just now";
  now_ += 15s;
  Ask(Token(json::object(), "new"));
  EXPECT_EQ(response_.status, 200) << response_.body;
  EXPECT_EQ(fetcher_.fetches, 4);
}

TEST_F(TokenEndpointTest, SaysWhenToComeAgainWhenTheIssuerIsAway) {
  fetcher_.away = true;
  EXPECT_EQ(Ask(Token()).at("error"), "temporarily_unavailable");
  EXPECT_EQ(response_.status, 503);
  EXPECT_EQ(response_.headers.back().first, "retry-after");
}

TEST_F(TokenEndpointTest, IsLimitedPerAddressBeforeAnythingIsReadAndPerTenantForWhomItTakes) {
  for (int i = 0; i < 20; ++i) Ask("junk");
  EXPECT_EQ(response_.status, 400);
  Ask(Token());
  EXPECT_EQ(response_.status, 429);
  EXPECT_EQ(fetcher_.fetches, 0);
  EXPECT_EQ(response_.headers.back().first, "retry-after");
  // Forged, by a key that is not known, expired, and genuine of somebody else at the same issuer: each more often than
  // the tenant may exchange.
  TokenIssuer stranger;
  stranger.AddKey("k", TokenIssuer::Kind::kP256);
  stranger.AddKey("other", TokenIssuer::Kind::kP256);
  const json claims{
      {"iss", kIssuer}, {"aud", "allod"}, {"sub", "main"}, {"iat", 1'893'456'000}, {"exp", 1'893'456'300}};
  const std::vector<std::string> refused{stranger.Sign("k", claims), stranger.Sign("other", claims),
                                         Token({{"exp", 1}}), Token({{"sub", "a stranger's"}})};
  for (std::size_t kind = 0; kind < refused.size(); ++kind) {
    for (int i = 0; i < 40; ++i) {
      const std::string address = "198.51.100." + std::to_string(10 * kind + i / 15);
      Ask(refused[kind], "tenants/ke/projects/desk", address);
      EXPECT_EQ(response_.status, 400) << kind << " " << i << response_.body;
    }
  }
  for (int i = 0; i < 30; ++i) {
    Ask(Token(), "tenants/ke/projects/desk", "192.0.2." + std::to_string(10 + i / 15));
    EXPECT_EQ(response_.status, 200) << i << response_.body;
  }
  Ask(Token(), "tenants/ke/projects/desk", "192.0.2.99");
  EXPECT_EQ(response_.status, 429) << "junk and strangers do not use up what a tenant has";
}

TEST_F(TokenEndpointTest, LetsOnlySomeWaitForNewerKeysAndServesThoseWithKnownOnesMeanwhile) {
  Ask(Token());
  ASSERT_EQ(response_.status, 200) << response_.body;
  TokenIssuer stranger;
  stranger.AddKey("other", TokenIssuer::Kind::kP256);
  const std::string forged = stranger.Sign("other", {{"iss", kIssuer}});
  now_ += 15s;
  fetcher_.holds = true;
  struct Exchange {
    http::Request request;
    http::FakeResponseWriter out;
  };
  std::deque<Exchange> all;
  boost::asio::io_context io;
  constexpr int kMay = 128;
  for (int i = 0; i < kMay + 10; ++i) {
    const std::string address = "198.51.100." + std::to_string(i / 10);
    Exchange& one = all.emplace_back();
    one.request = Asking(forged, "tenants/ke/projects/desk", address);
    boost::asio::co_spawn(
        io, [this, &one] { return endpoint_.Handle(one.request, one.out); }, boost::asio::detached);
  }
  io.poll();
  const auto waiting = std::ranges::count_if(all, [](const Exchange& one) { return one.out.response.status == 0; });
  EXPECT_EQ(waiting, kMay);
  Ask(Token());
  EXPECT_EQ(response_.status, 200) << response_.body;
  fetcher_.holds = false;
  ASSERT_EQ(fetcher_.held.size(), 1U);
  fetcher_.held.front()();
  io.run();
  for (const Exchange& one : all) EXPECT_EQ(one.out.response.status, 400) << one.out.response.body;
}

}  // namespace
}  // namespace allod::gateway::federation::token_endpoint_test
