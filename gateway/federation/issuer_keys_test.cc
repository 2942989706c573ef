#include "gateway/federation/issuer_keys.h"

#include <gtest/gtest.h>

#include <deque>

#include "tests/support/token_issuer.h"

namespace allod::gateway::federation::issuer_keys_test {
namespace {

using namespace std::chrono_literals;

constexpr char kIssuer[] = "https://ci.example";

// Keeps what is asked for until the test answers.
class HeldFetcher final : public Fetcher {
 public:
  void Fetch(FetchRequest request, Done done) override { asked.push_back({std::move(request.url), std::move(done)}); }
  void Answer(Result<std::string> body) {
    ASSERT_FALSE(asked.empty());
    const auto first = std::move(asked.front());
    asked.pop_front();
    first.second(std::move(body));
  }
  std::deque<std::pair<std::string, Done>> asked;
};

const std::string& SomeKeys() {
  static const std::string keys = [] {
    TokenIssuer issuer;
    issuer.AddKey("a", TokenIssuer::Kind::kEd25519);
    return issuer.KeySetJson();
  }();
  return keys;
}

class IssuerKeysTest : public testing::Test {
 protected:
  // "keys", or the reason of the refusal; "waits" as long as there is none.
  std::shared_ptr<std::string> Ask(const std::string& issuer = kIssuer, const std::string& tenant = "tenants/ke") {
    const auto out = std::make_shared<std::string>("waits");
    keys_.Get(issuer, tenant, [this, out](const Result<KnownIssuer>& keys) {
      *out = keys ? "keys" : keys.error().reason;
      if (keys) last_ = *keys;
    });
    return out;
  }
  std::string AskNewer() {
    std::string out = "waits";
    newer_ = std::make_shared<std::string>("waits");
    keys_.GetNewer(kIssuer, "tenants/ke", last_,
                   [said = newer_](const Result<KnownIssuer>& keys) { *said = keys ? "keys" : keys.error().reason; });
    return *newer_;
  }
  void AnswerBoth() {
    fetcher_.Answer(Discovery());
    fetcher_.Answer(SomeKeys());
  }
  static std::string Discovery(const std::string& issuer = kIssuer) {
    return R"({"issuer":")" + issuer + R"(","jwks_uri":"https://keys.example/jwks"})";
  }
  static std::unexpected<Error> Away() { return Fail(Code::kUnavailable, "FETCH_FAILED", "away"); }

  IssuerKeys::SteadyTime now_{1h};
  HeldFetcher fetcher_;
  IssuerKeys keys_{fetcher_, {.fresh = 10min, .age_max = 60min, .interval_min = 15s}, [this] { return now_; }};
  KnownIssuer last_;
  std::shared_ptr<std::string> newer_;
};

TEST_F(IssuerKeysTest, AreFetchedOnceForAllThatWait) {
  const auto first = Ask();
  const auto second = Ask();
  ASSERT_EQ(fetcher_.asked.size(), 1U);
  EXPECT_EQ(fetcher_.asked.front().first, "https://ci.example/.well-known/openid-configuration");
  fetcher_.Answer(Discovery());
  ASSERT_EQ(fetcher_.asked.size(), 1U);
  EXPECT_EQ(fetcher_.asked.front().first, "https://keys.example/jwks");
  EXPECT_EQ(*first, "waits");
  fetcher_.Answer(SomeKeys());
  EXPECT_EQ(*first, "keys");
  EXPECT_EQ(*second, "keys");
  EXPECT_EQ(*Ask(), "keys");
  EXPECT_TRUE(fetcher_.asked.empty());
}

TEST_F(IssuerKeysTest, ServeOnWhileTheIssuerIsAwayButNotForEver) {
  Ask();
  AnswerBoth();
  now_ += 10min;
  EXPECT_EQ(*Ask(), "keys");
  EXPECT_EQ(fetcher_.asked.size(), 1U) << "fetched anew in the background";
  fetcher_.Answer(Away());
  EXPECT_EQ(*Ask(), "keys");
  EXPECT_TRUE(fetcher_.asked.empty()) << "not at once again";
  now_ += 49min;
  EXPECT_EQ(*Ask(), "keys");
  fetcher_.Answer(Away());
  now_ += 61s;
  const auto late = Ask();
  EXPECT_EQ(*late, "waits");
  fetcher_.Answer(Away());
  EXPECT_EQ(*late, "ISSUER_UNAVAILABLE");
  EXPECT_EQ(*Ask(), "ISSUER_UNAVAILABLE") << "answered without asking, until the interval is over";
  EXPECT_TRUE(fetcher_.asked.empty());
  now_ += 15s;
  const auto back = Ask();
  AnswerBoth();
  EXPECT_EQ(*back, "keys");
}

TEST_F(IssuerKeysTest, AreAskedForAnewWhenOneIsMissingButNotAllTheTime) {
  Ask();
  AnswerBoth();
  EXPECT_EQ(AskNewer(), "TOKEN_KEY_UNKNOWN") << "they are seconds old";
  now_ += 15s;
  EXPECT_EQ(AskNewer(), "waits");
  AnswerBoth();
  EXPECT_EQ(*newer_, "keys");
  EXPECT_EQ(AskNewer(), "keys") << "for who still knows the old ones";
  EXPECT_TRUE(fetcher_.asked.empty());
}

TEST_F(IssuerKeysTest, OfAMisconfiguredIssuerAreRefusedWithTheReason) {
  const char* const documents[] = {"",
                                   "[]",
                                   R"({"issuer":"https://ci.example"})",
                                   R"({"issuer":"https://evil.example","jwks_uri":"https://keys.example/jwks"})",
                                   R"({"issuer":"https://ci.example/","jwks_uri":"https://keys.example/jwks"})",
                                   R"({"issuer":"https://ci.example","jwks_uri":["https://keys.example/jwks"]})"};
  for (const char* document : documents) {
    const auto answer = Ask();
    fetcher_.Answer(std::string(document));
    EXPECT_EQ(*answer, "ISSUER_MISCONFIGURED") << document;
    EXPECT_EQ(*Ask(), "ISSUER_MISCONFIGURED");
    now_ += 15s;
  }
  const auto answer = Ask();
  fetcher_.Answer(Discovery());
  fetcher_.Answer(std::string(R"({"keys":[]})"));
  EXPECT_EQ(*answer, "ISSUER_MISCONFIGURED");
}

TEST_F(IssuerKeysTest, ATenantsSlowIssuersKeepNobodyElseWaiting) {
  for (int i = 0; i < 16; ++i) Ask("https://slow" + std::to_string(i) + ".example", "tenants/ug");
  EXPECT_EQ(fetcher_.asked.size(), 4U);
  EXPECT_EQ(*Ask("https://slow9.example", "tenants/ug"), "ISSUER_UNAVAILABLE");
  const auto answer = Ask();
  EXPECT_EQ(*answer, "waits");
  EXPECT_EQ(fetcher_.asked.size(), 5U);
  fetcher_.Answer(Away());
  EXPECT_EQ(*Ask("https://slow9.example", "tenants/ug"), "waits") << "there is room again";
}

TEST_F(IssuerKeysTest, AreForgottenOfTheIssuerThatWasNotAskedForLongest) {
  Ask();
  AnswerBoth();
  for (std::size_t i = 0; i < IssuerKeys::kIssuersMax; ++i) {
    now_ += 1ms;
    const std::string issuer = "https://i" + std::to_string(i) + ".example";
    Ask(issuer);
    fetcher_.Answer(Discovery(issuer));
    fetcher_.Answer(SomeKeys());
  }
  EXPECT_EQ(*Ask(), "waits");
}

TEST_F(IssuerKeysTest, WaitersHaveABound) {
  for (std::size_t i = 0; i < IssuerKeys::kWaitersMax; ++i) EXPECT_EQ(*Ask(), "waits");
  EXPECT_EQ(*Ask(), "ISSUER_UNAVAILABLE");
}

}  // namespace
}  // namespace allod::gateway::federation::issuer_keys_test
