// What is no key costs nobody but the gateway: it is refused by its form, and no service, hence no database, and no
// Redis hears of it.
//
// ALLOD_TEST_JUNK_KEYS gives another number of requests; a million take some minutes.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grpcpp/support/client_interceptor.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <map>
#include <random>
#include <thread>
#include <utility>

#include "services/common/redis.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/redis_fixture.h"

namespace allod::gateway::gateway_junk_keys_test {
namespace {

using testing::IsEmpty;

// Every call that anything in this process begins, by its method. The gateway is here, and the services' side begins
// none.
class Calls final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  static Calls& Get() {
    static Calls* const calls = [] {
      auto* made = new Calls;  // gRPC asks it until the process ends
      grpc::experimental::RegisterGlobalClientInterceptorFactory(made);
      return made;
    }();
    return *calls;
  }
  grpc::experimental::Interceptor* CreateClientInterceptor(grpc::experimental::ClientRpcInfo* info) override {
    const std::lock_guard lock(mutex_);
    ++calls_[info->method()];
    return new Passing;
  }
  std::map<std::string, int> Take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(calls_, {});
  }

 private:
  struct Passing final : grpc::experimental::Interceptor {
    void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override { methods->Proceed(); }
  };
  std::mutex mutex_;
  std::map<std::string, int> calls_;
};

int JunkAsked() {
  const char* asked = std::getenv("ALLOD_TEST_JUNK_KEYS");
  return asked == nullptr ? 20'000 : std::atoi(asked);
}

class GatewayJunkKeys : public GatewayTest {
 protected:
  void SetUp() override {
    Calls::Get();
    adjust_ = [this](GatewayConfig& config) {
      config.redis_url = redis_.url();
      config.key_use_report_ms = 50;
    };
    GatewayTest::SetUp();
    // What this asks itself is always the same number of commands; what others ask meanwhile comes on top.
    last_commands_ = RedisCommands();
    own_commands_ = std::numeric_limits<std::int64_t>::max();
    for (int i = 0; i < 5; ++i) {
      const std::int64_t now = RedisCommands();
      own_commands_ = std::min(own_commands_, now - std::exchange(last_commands_, now));
    }
  }

  std::int64_t RedisCommands() {
    const auto counted = counting_.Eval(
        "local stats = redis.call('INFO', 'stats') "
        "return {tonumber(string.match(stats, 'total_commands_processed:(%d+)'))}",
        {}, {});
    EXPECT_TRUE(counted) << counted.error().message;
    return counted ? counted->at(0) : 0;
  }

  // What is read and written of what a key may use; the gateway's heartbeat does neither.
  std::int64_t BucketCommands() {
    const auto counted = counting_.Eval(
        "local stats = redis.call('INFO', 'commandstats') "
        "return {tonumber(string.match(stats, 'cmdstat_get:calls=(%d+)') or '0') + "
        "tonumber(string.match(stats, 'cmdstat_set:calls=(%d+)') or '0')}",
        {}, {});
    EXPECT_TRUE(counted) << counted.error().message;
    return counted ? counted->at(0) : 0;
  }

  // Since it was asked last.
  std::int64_t RedisCommandsOfOthers() {
    const std::int64_t now = RedisCommands();
    return now - std::exchange(last_commands_, now) - own_commands_;
  }

  // The value of an Authorization header that is no key, made of one that is.
  std::string Junk(std::minstd_rand& random) const {
    static const std::string kLetters = "abcdefghijklmnopqrstuvwxyz234567ABCXYZ0189_-.~+/='\";:%${}";
    std::string key = key_;
    const auto some = [&](std::size_t count) {
      std::string out;
      for (std::size_t i = 0; i < count; ++i) out += kLetters[random() % kLetters.size()];
      return out;
    };
    switch (random() % 10) {
      case 0:  // one letter is another
        key[random() % key.size()] = kLetters[random() % 32];
        break;
      case 1:
        key.resize(random() % key.size());
        break;
      case 2:
        key += some(1 + random() % 8);
        break;
      case 3:
        key = "ald_" + some(12) + "_" + some(52) + "_" + some(8);
        break;
      case 4:
        std::swap(key[random() % key.size()], key[random() % key.size()]);
        break;
      case 5:
        key = some(random() % 4000);
        break;
      case 6:
        key = "alw_" + some(random() % 300);  // begins as what workloads show
        break;
      case 7:
        key = "eyJhbGciOiJub25lIn0." + some(random() % 200) + ".";
        break;
      case 8:
        key = "x' OR kid IN (SELECT kid FROM tenancy.api_keys) --" + some(random() % 20);
        break;
      default:
        key = "ald_" + std::string(12, static_cast<char>(128 + random() % 128)) + key.substr(16);
        break;
    }
    if (ParseApiKey(key)) return "Basic " + key_;  // what was changed is as it was
    return "Bearer " + key;
  }

  TestRedis redis_;
  Redis counting_{{redis_.url(), std::chrono::milliseconds(5000)}};
  std::int64_t own_commands_ = 0;
  std::int64_t last_commands_ = 0;
};

// That both are counted at all: a request with a key takes a lease from Redis and asks for a hold.
TEST_F(GatewayJunkKeys, OneThatIsAKeyIsHeardOf) {
  RedisCommandsOfOthers();
  const std::int64_t buckets = BucketCommands();
  EXPECT_EQ(Chat().status, 200);
  EXPECT_TRUE(Eventually([&] { return RedisCommandsOfOthers() > 0; }));
  EXPECT_TRUE(Eventually([&] { return BucketCommands() > buckets; }));
  EXPECT_TRUE(Eventually([&] { return !tenancy_.Reports().empty(); })) << "and its use is told";
  EXPECT_GT(Calls::Get().Take().size(), 2U);
}

// Of a gateway that has admitted nobody: what was taken for somebody is renewed as time goes by, whoever asks for what.
TEST_F(GatewayJunkKeys, NoServiceNoDatabaseAndNoRedisHearsOfThem) {
  EXPECT_TRUE(Eventually([&] {
    Calls::Get().Take();
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    return Calls::Get().Take().empty();
  })) << "what begins with the gateway is done";
  const std::int64_t buckets = BucketCommands();
  RedisCommandsOfOthers();
  const auto begin = std::chrono::steady_clock::now();

  const int asked = JunkAsked();
  ASSERT_GT(asked, 0) << "ALLOD_TEST_JUNK_KEYS is no number";
  std::atomic<int> left{asked};
  std::atomic<int> answered{0};
  std::mutex mutex;
  std::map<int, int> statuses;
  {
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        std::minstd_rand random(t + 1);
        auto client = std::make_unique<HttpClient>(port());
        const std::vector<std::pair<const char*, const char*>> targets = {
            {"GET", "/v1/models"},
            {"GET", "/v1/models/assistant"},
            {"POST", "/v1/chat/completions"},
            {"POST", "/v1/embeddings"},
            {"GET", "/portal/v1/tenants/ke"},
            {"POST", "/portal/v1/tenants/ke/projects"},
            {"DELETE", "/portal/v1/tenants/ke/projects/services/instances/assistant"}};
        std::map<int, int> seen;
        while (left-- > 0) {
          const auto& [method, path] = targets[random() % targets.size()];
          client->Send(method, path, "", "", "authorization: " + Junk(random) + "\r\n");
          const auto response = client->Receive();
          ++seen[response.status];
          ++answered;
          // What is in doubt ends its connection.
          if (response.status != 401 || response.head.find("connection: close") != std::string::npos) {
            client = std::make_unique<HttpClient>(port());
          }
        }
        const std::lock_guard lock(mutex);
        for (const auto& [status, count] : seen) statuses[status] += count;
      });
    }
  }
  // What is told later would be told by then.
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const std::int64_t redis_commands = RedisCommandsOfOthers();
  const auto calls = Calls::Get().Take();
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(std::chrono::steady_clock::now() - begin).count();
  EXPECT_EQ(BucketCommands(), buckets);
  // Once a second the gateway says that it is there: a script of three commands.
  EXPECT_LE(redis_commands, 4 * (seconds + 1));
  EXPECT_THAT(calls, IsEmpty());
  EXPECT_EQ(answered, asked);
  EXPECT_EQ(statuses[401] + statuses[400], asked);
  EXPECT_GT(statuses[401], asked / 2);
  std::cout << fmt::format("{} malformed keys: {} x 401, {} x 400; {} calls of services, {} Redis commands\n", asked,
                           statuses[401], statuses[400], calls.size(), redis_commands);
}

}  // namespace
}  // namespace allod::gateway::gateway_junk_keys_test
