// What narrows API keys, at a whole gateway: expiry, addresses, instances; when it tells that they were used; and that
// nobody reads a key in what it writes.
#include <gmock/gmock.h>

#include "services/common/log.h"
#include "services/common/rpc/timestamp.h"
#include "tests/integration/gateway_fixture.h"

namespace allod::gateway::gateway_keys_test {
namespace {

using testing::HasSubstr;
using testing::Not;
using Key = TenancyPeer::Key;

class GatewayKeys : public GatewayTest {
 protected:
  // A key that is known before the gateway starts.
  std::string Add(const std::function<void(Key&)>& change) {
    tenancy_server_.reset();
    const std::string key = tenancy_.AddKey(kProject, {}, change);
    StartPeer(tenancy_server_, "tenancy", {&tenancy_, &projects_, &identities_});
    RestartGateway();
    return key;
  }
  void Trust(const std::vector<std::string>& proxies) {
    adjust_ = [proxies](GatewayConfig& config) {
      config.http.trusted_proxies = ParseIpRanges("trusted_proxies", proxies, 64).value();
    };
  }
  HttpClient::Response Models(const std::string& key, const std::string& forwarded_for = "") const {
    const std::string headers = forwarded_for.empty() ? "" : "x-forwarded-for: " + forwarded_for + "\r\n";
    return Fetch(port(), "GET", "/v1/models", key, "", headers);
  }
  static std::string Within(std::string body, const std::string& model) {
    for (std::size_t at; (at = body.find(model)) != std::string::npos;) body.replace(at, model.size(), "MODEL");
    return body;
  }
};

TEST_F(GatewayKeys, AKeyThatExpiresIsRefusedFromThenOnThoughNobodySaysSo) {
  const Time expire_time = std::chrono::system_clock::now() + std::chrono::seconds(2);
  const std::string key = Add([&](Key& k) { *k.mutable_expire_time() = ToTimestamp(expire_time); });
  EXPECT_EQ(Models(key).status, 200);
  std::this_thread::sleep_until(expire_time);
  const auto refused = Models(key);
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(ErrorCode(refused), "api_key_expired");
  EXPECT_THAT(refused.head, HasSubstr("www-authenticate: bearer"));
  const auto portal = Fetch(port(), "GET", "/portal/v1/tenants/ke/projects", key);
  EXPECT_EQ(portal.status, 401);
  EXPECT_EQ(nlohmann::json::parse(portal.body)["reason"], "API_KEY_EXPIRED");
}

TEST_F(GatewayKeys, AKeyIsRefusedFromOtherAddressesWhateverTheyClaim) {
  const std::string elsewhere = Add([](Key& k) { k.add_allowed_ip_ranges("203.0.113.0/24"); });
  const std::string here = Add([](Key& k) { k.add_allowed_ip_ranges("127.0.0.0/8"); });
  EXPECT_EQ(Models(here).status, 200);
  EXPECT_EQ(Models(here, "203.0.113.7").status, 200) << "what is said is not looked at";
  for (const char* claim : {"", "203.0.113.7", "203.0.113.7, 203.0.113.7", "::ffff:203.0.113.7"}) {
    const auto refused = Models(elsewhere, claim);
    EXPECT_EQ(refused.status, 403) << claim;
    EXPECT_EQ(ErrorCode(refused), "address_not_allowed");
    EXPECT_THAT(refused.body, HasSubstr("127.0.0.1"));
  }
  EXPECT_EQ(Fetch(port(), "POST", "/v1/chat/completions", elsewhere, ChatBody()).status, 403);
  const auto portal = Fetch(port(), "GET", "/portal/v1/tenants/ke/projects", elsewhere);
  EXPECT_EQ(portal.status, 403);
  EXPECT_EQ(nlohmann::json::parse(portal.body)["reason"], "ADDRESS_NOT_ALLOWED");
  EXPECT_EQ(worker_.calls, 0);
}

TEST_F(GatewayKeys, BehindATrustedProxyTheClientIsWhomThatNamesAndNotWhomTheClientNames) {
  Trust({"127.0.0.1", "192.0.2.0/24"});
  const std::string key = Add([](Key& k) { k.add_allowed_ip_ranges("203.0.113.0/24"); });
  for (const char* forwarded : {"203.0.113.7", "198.51.100.1, 203.0.113.7", "203.0.113.7, 192.0.2.9"}) {
    EXPECT_EQ(Models(key, forwarded).status, 200) << forwarded;
  }
  for (const char* forwarded : {"198.51.100.1", "203.0.113.7, 198.51.100.1", "203.0.113.7, 198.51.100.1, 192.0.2.9",
                                "203.0.113.7, unknown", ""}) {
    const auto refused = Models(key, forwarded);
    EXPECT_EQ(refused.status, 403) << forwarded;
    EXPECT_EQ(ErrorCode(refused), "address_not_allowed");
  }
}

TEST_F(GatewayKeys, ToAKeyOfOtherInstancesThisOneDoesNotExist) {
  const std::string other = Add([](Key& k) { k.add_allowed_instances(std::string(kProject) + "/instances/other"); });
  const std::string mine = Add([](Key& k) { k.add_allowed_instances(kInstance); });
  EXPECT_EQ(nlohmann::json::parse(Models(mine).body)["data"].size(), 1U);
  EXPECT_EQ(Fetch(port(), "POST", "/v1/chat/completions", mine, ChatBody()).status, 200);
  const int calls = worker_.calls;

  EXPECT_EQ(nlohmann::json::parse(Models(other).body)["data"].size(), 0U);
  for (const auto& [there, nowhere] : {std::pair<std::string, std::string>{"assistant", "nosuchone"},
                                       {kInstance, std::string(kProject) + "/instances/nosuchone"}}) {
    for (const bool chat : {true, false}) {
      const auto ask = [&](const std::string& model) {
        return chat ? Fetch(port(), "POST", "/v1/chat/completions", other, ChatBody("", model))
                    : Fetch(port(), "GET", "/v1/models/" + model, other);
      };
      const auto refused = ask(there);
      const auto missing = ask(nowhere);
      EXPECT_EQ(refused.status, 404);
      EXPECT_EQ(ErrorCode(refused), "model_not_found");
      EXPECT_EQ(refused.status, missing.status);
      EXPECT_EQ(Within(refused.body, there), Within(missing.body, nowhere));
    }
  }
  EXPECT_EQ(worker_.calls, calls);

  // Nor while the gateway cannot know of new ones.
  scheduling_server_.reset();
  const auto both = [&](const char* model) {
    return Fetch(port(), "GET", std::string("/v1/models/") + model, other).status;
  };
  EXPECT_TRUE(Eventually([&] { return both("nosuchone") == 503; }));
  EXPECT_EQ(both("assistant"), 503);
}

TEST_F(GatewayKeys, TellsTenancyWhichKeysWereUsedAndOnlyThose) {
  adjust_ = [](GatewayConfig& config) { config.key_use_report_ms = 50; };
  const std::string refused = Add([](Key& k) { k.add_allowed_ip_ranges("203.0.113.0/24"); });
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Models(key_).status, 200);
  EXPECT_EQ(Models(refused).status, 403);
  const auto name = [](const std::string& key) { return std::string(kProject) + "/apiKeys/" + ParseApiKey(key)->kid; };
  EXPECT_TRUE(Eventually([&] { return tenancy_.Reports().contains(name(key_)); }));
  // What was noted at the end is told at the end.
  EXPECT_EQ(Models(portal_key_).status, 403) << "it was let in, and has not this scope";
  gateway_->Stop();
  const auto reports = tenancy_.Reports();
  EXPECT_TRUE(reports.contains(name(portal_key_)));
  EXPECT_FALSE(reports.contains(name(refused)));
  EXPECT_FALSE(reports.contains(name(inference_key_)));
  EXPECT_LE(reports.at(name(key_)), 2) << "once a minute, however often it was used";
}

// Every text of 12 characters of a key that is not its kid.
bool ShowsAPartOf(const std::string& key, const std::string& text) {
  const std::string secret = ParseApiKey(key)->secret;
  constexpr std::size_t kPart = 12;
  for (std::size_t at = 0; at + kPart <= secret.size(); ++at) {
    if (text.find(secret.substr(at, kPart)) != std::string::npos) return true;
  }
  return text.find(key.substr(key.rfind('_'))) != std::string::npos;
}

TEST_F(GatewayKeys, PromptsAndAnswersAreInNoLog) {
  constexpr char kAsked[] = "Swali-la-siri-4711";
  constexpr char kAnswered[] = "Jibu-la-siri-4712";
  InitLog("gateway", LogLevel::kDebug);
  testing::internal::CaptureStderr();
  RestartGateway();
  const auto body = [&](const std::string& more) {
    return R"({"model":"assistant","messages":[{"role":"user","content":")" + std::string(kAsked) + "\"}]" + more + "}";
  };
  const auto chat = [&](const std::string& text) { return Fetch(port(), "POST", "/v1/chat/completions", key_, text); };
  worker_.script = [&](auto&, const auto&, WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    WorkerPeer::Delta(writer, kAnswered, 3);
    WorkerPeer::Finished(writer, inference::v1::FINISH_REASON_STOP);
    return grpc::Status::OK;
  };
  EXPECT_THAT(chat(body("")).body, HasSubstr(kAnswered));
  EXPECT_THAT(chat(body(R"(,"stream":true)")).body, HasSubstr(kAnswered));
  // What goes wrong is what is logged.
  for (const std::string& broken :
       {body(R"(,"temperature":"hot")"), body("").substr(0, 60), body(R"(,"tool_choice":"required")"),
        std::string(kAsked), R"({"model":")" + std::string(kAsked) + R"(","messages":[]})"}) {
    EXPECT_GE(chat(broken).status, 400);
  }
  worker_.script = [&](auto&, const auto&, WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    WorkerPeer::Delta(writer, kAnswered, 3);
    return grpc::Status(grpc::StatusCode::INTERNAL, "broken");
  };
  chat(body(""));
  chat(body(R"(,"stream":true)"));
  EXPECT_EQ(Metrics().body.find(kAsked), std::string::npos);
  gateway_->Stop();
  gateway_.reset();
  const std::string logged = testing::internal::GetCapturedStderr();
  InitLog("gateway", LogLevel::kInfo);
  EXPECT_FALSE(logged.empty()) << "it was to say something";
  for (const char* secret : {kAsked, kAnswered}) {
    EXPECT_EQ(logged.find(secret), std::string::npos) << logged.substr(0, 4000);
  }
}

TEST_F(GatewayKeys, NeitherLogsNorErrorsShowMoreOfAKeyThanItsKid) {
  ASSERT_TRUE(ShowsAPartOf(key_, "x" + ParseApiKey(key_)->secret.substr(7, 14)));
  const std::string elsewhere =
      tenancy_.AddKey(kProject, {}, [](Key& k) { k.add_allowed_ip_ranges("203.0.113.0/24"); });
  const std::string expired = tenancy_.AddKey(
      kProject, {}, [](Key& k) { *k.mutable_expire_time() = ToTimestamp(Time(std::chrono::hours(1))); });
  const std::string malformed = tenancy_.AddKey(kProject, {}, [](Key& k) { k.add_allowed_ip_ranges("nonsense"); });
  const std::string unknown = FormatApiKey(NewApiKey());
  std::string mistyped = key_;
  mistyped.back() = mistyped.back() == '0' ? '1' : '0';
  adjust_ = [](GatewayConfig& config) { config.key_use_report_ms = 20; };
  InitLog("gateway", LogLevel::kDebug);
  testing::internal::CaptureStderr();
  tenancy_server_.reset();
  StartPeer(tenancy_server_, "tenancy", {&tenancy_, &projects_, &identities_});
  RestartGateway();
  const std::vector<std::string> keys = {key_, inference_key_, portal_key_, elsewhere, expired, malformed, unknown};
  std::string shown;
  std::vector<std::string> shown_keys = keys;
  shown_keys.push_back(mistyped);
  shown_keys.push_back(key_ + "x");
  for (const std::string& key : shown_keys) {
    for (const char* path : {"/v1/models", "/portal/v1/tenants/ke/projects", "/portal/v1/listings", "/nothing"}) {
      const auto response = Fetch(port(), "GET", path, key);
      shown += response.head + response.body;
    }
    const auto chat = Fetch(port(), "POST", "/v1/chat/completions", key, ChatBody());
    const auto broken = Fetch(port(), "POST", "/v1/chat/completions", key, "{");
    shown += chat.head + chat.body + broken.head + broken.body;
    // Where it should not be at all.
    const auto as_basic = Fetch(port(), "GET", "/v1/models", "", "", "authorization: Basic " + key + "\r\n");
    const auto as_header = Fetch(port(), "GET", "/v1/models", "", "", "x-api-key: " + key + "\r\n");
    shown += as_basic.head + as_basic.body + as_header.head + as_header.body;
  }
  shown += Metrics().body;
  // Peers that fail make it say more.
  worker_.script = [](grpc::ServerContext&, const inference::v1::GenerateRequest&, WorkerPeer::Writer&) {
    return grpc::Status(grpc::StatusCode::INTERNAL, "broken");
  };
  shown += Chat().body;
  tenancy_server_.reset();
  EXPECT_TRUE(Eventually([&] { return Fetch(port(), "GET", "/v1/models", unknown).status == 503; }));
  shown += Fetch(port(), "GET", "/portal/v1/tenants/ke/projects", key_).body;
  gateway_->Stop();
  gateway_.reset();
  const std::string logged = testing::internal::GetCapturedStderr();
  InitLog("gateway", LogLevel::kInfo);
  EXPECT_THAT(logged, HasSubstr("ignored a malformed API key"));
  EXPECT_THAT(logged, HasSubstr(ParseApiKey(malformed)->kid));
  EXPECT_THAT(logged, HasSubstr("watch ended"));
  EXPECT_THAT(shown, HasSubstr("address_not_allowed"));
  for (const std::string& key : keys) {
    EXPECT_FALSE(ShowsAPartOf(key, logged)) << logged;
    EXPECT_FALSE(ShowsAPartOf(key, shown)) << shown;
  }
}

}  // namespace
}  // namespace allod::gateway::gateway_keys_test
