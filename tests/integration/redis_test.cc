#include "services/common/redis.h"

#include <gtest/gtest.h>

#include <chrono>

#include "tests/support/redis_fixture.h"

namespace allod::redis_test {
namespace {

using namespace std::chrono_literals;

constexpr char kCount[] = "return {redis.call('INCRBY', KEYS[1], ARGV[1]), 7}";

class RedisTest : public testing::Test {
 protected:
  TestRedis server_;
  Redis redis_{{server_.url(), 2s}};
};

TEST_F(RedisTest, RunsAScriptItHasNotSeenAndOneItHas) {
  EXPECT_EQ(*redis_.Eval(kCount, {"k"}, {"5"}), (std::vector<std::int64_t>{5, 7}));
  EXPECT_EQ(*redis_.Eval(kCount, {"k"}, {"-2"}), (std::vector<std::int64_t>{3, 7}));
}

TEST_F(RedisTest, PassesAnyBytesAsKeysAndArguments) {
  const std::string bytes("a\0\r\n$-1 %s", 10);
  EXPECT_EQ(*redis_.Eval("return {#KEYS[1], #ARGV[1]}", {bytes}, {bytes}), (std::vector<std::int64_t>{10, 10}));
}

TEST_F(RedisTest, RefusesScriptsThatFailOrReturnSomethingElse) {
  EXPECT_EQ(redis_.Eval("return 'text'", {}, {}).error().code, Code::kInternal);
  EXPECT_EQ(redis_.Eval("return {1, 'text'}", {}, {}).error().code, Code::kInternal);
  EXPECT_EQ(redis_.Eval("syntax error", {}, {}).error().code, Code::kInternal);
  EXPECT_TRUE(redis_.Ping()) << "and goes on";
}

TEST_F(RedisTest, SaysUnavailableWhenRedisIsDown) {
  ASSERT_TRUE(redis_.Ping());
  server_.Kill();
  for (int i = 0; i < 3; ++i) {
    const auto result = redis_.Eval(kCount, {"k"}, {"1"});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::kUnavailable);
    EXPECT_EQ(result.error().reason, "REDIS_UNAVAILABLE");
  }
}

TEST_F(RedisTest, ReconnectsWhenRedisIsBack) {
  ASSERT_TRUE(redis_.Ping());
  server_.Kill();
  EXPECT_FALSE(redis_.Ping());
  server_.Start();
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (!redis_.Ping() && std::chrono::steady_clock::now() < deadline) {
  }
  EXPECT_EQ(*redis_.Eval(kCount, {"k"}, {"1"}), (std::vector<std::int64_t>{1, 7})) << "the script is unknown again";
}

TEST_F(RedisTest, DoesNotWaitLongForARedisThatHangs) {
  Redis impatient({server_.url(), 50ms});
  ASSERT_TRUE(impatient.Ping());
  server_.Freeze();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(impatient.Ping());
  EXPECT_LT(std::chrono::steady_clock::now() - start, 1s) << "only the first calls may wait";
  server_.Thaw();
}

TEST(Redis, RefusesAnAddressThatIsNone) {
  for (const char* url :
       {"", "unix:", "unix:/nonexistent/redis.sock", "localhost", "localhost:", "localhost:99999", ":1"}) {
    EXPECT_EQ(Redis({url, 50ms}).Ping().error().code, Code::kUnavailable) << url;
  }
}

}  // namespace
}  // namespace allod::redis_test
