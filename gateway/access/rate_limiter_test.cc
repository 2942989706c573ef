#include "gateway/access/rate_limiter.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <set>
#include <vector>

namespace allod::gateway::access::rate_limiter_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr SteadyTime kStart{std::chrono::hours(1000)};

std::string Find(const http::Headers& headers, const std::string& name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

TEST(RateLimiter, RefusesPastRequestsPerMinuteAndSaysWhen) {
  RateLimiter limiter({.requests_per_minute = 2, .concurrency = 10});
  Standing standing;
  EXPECT_TRUE(limiter.Admit("k", kStart, standing));
  EXPECT_TRUE(limiter.Admit("k", kStart, standing));
  const auto refused = limiter.Admit("k", kStart, standing);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "RATE_LIMIT_EXCEEDED");
  EXPECT_EQ(refused.error().retry_after, seconds(30));
  http::Headers headers;
  standing.AddTo(headers);
  EXPECT_EQ(Find(headers, "x-ratelimit-limit-requests"), "2");
  EXPECT_EQ(Find(headers, "x-ratelimit-remaining-requests"), "0");
  EXPECT_EQ(Find(headers, "x-ratelimit-reset-requests"), "1m0s");
  EXPECT_TRUE(limiter.Admit("other", kStart, standing)) << "keys do not share buckets";
  EXPECT_TRUE(limiter.Admit("k", kStart + seconds(30), standing));
}

TEST(RateLimiter, ConcurrencyIsGivenBackByThePermit) {
  RateLimiter limiter({.concurrency = 1});
  Standing standing;
  {
    const auto permit = limiter.Admit("k", kStart, standing);
    ASSERT_TRUE(permit);
    EXPECT_FALSE(limiter.Admit("k", kStart, standing));
  }
  EXPECT_TRUE(limiter.Admit("k", kStart, standing));
}

TEST(RateLimiter, TokensAreChargedAfterwardsAndHoldBackTheNextRequest) {
  RateLimiter limiter({.tokens_per_minute = 60});
  Standing standing;
  auto permit = limiter.Admit("k", kStart, standing);
  ASSERT_TRUE(permit);
  permit->ChargeTokens(90, kStart);
  EXPECT_FALSE(limiter.Admit("k", kStart + seconds(30), standing));
  EXPECT_TRUE(limiter.Admit("k", kStart + seconds(32), standing));
}

TEST(RateLimiter, AnEmptyCommonBucketRefusesUntilItRefills) {
  RateLimiter limiter({.requests_per_minute = 600});
  Standing standing;
  EXPECT_TRUE(limiter.Admit("k", kStart, standing)) << "the first request does not wait for Redis";
  const auto wants = limiter.TakeWants(10);
  ASSERT_EQ(wants.size(), 1U);
  EXPECT_EQ(wants[0].units, 11) << "a chunk, and what was used ahead";
  limiter.Grant("k", 0, milliseconds(700), kStart);
  const auto refused = limiter.Admit("k", kStart, standing);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().retry_after, milliseconds(700));
  EXPECT_TRUE(limiter.Admit("k", kStart + milliseconds(700), standing));
}

TEST(RateLimiter, WithoutRedisTheLocalBucketDecides) {
  RateLimiter limiter({.requests_per_minute = 600});
  Standing standing;
  EXPECT_TRUE(limiter.Admit("k", kStart, standing));
  limiter.Grant("k", 0, seconds(60), kStart);
  limiter.DropLeases();
  EXPECT_TRUE(limiter.Admit("k", kStart, standing));
}

std::string Kid(int number) { return "kid" + std::to_string(number); }

TEST(RateLimiter, ForgetsKeysThatDoNotAskAnyMoreAFewAtATime) {
  constexpr int kKeys = 20'000;
  RateLimiter limiter({.concurrency = 1});
  Standing standing;
  for (int i = 0; i < kKeys; ++i) ASSERT_TRUE(limiter.Admit(Kid(i), kStart, standing));
  EXPECT_EQ(limiter.size(), static_cast<std::size_t>(kKeys)) << "all asked just now";
  auto running = limiter.Admit("long", kStart, standing);
  std::size_t before = limiter.size();
  SteadyTime now = kStart + std::chrono::minutes(2);
  for (int i = 0; i < kKeys; ++i) {
    ASSERT_TRUE(limiter.Admit(Kid(i % 100), now, standing));
    const std::size_t after = limiter.size();
    ASSERT_LE(before, after + 2) << "no request pays for the forgetting of many";
    before = after;
  }
  EXPECT_LT(limiter.size(), 20'000U / 3) << "shards that are asked of";
  EXPECT_FALSE(limiter.Admit("long", now, standing)) << "its request still runs";
}

TEST(RateLimiter, AKeyInDebtIsNotForgotten) {
  RateLimiter limiter({.tokens_per_minute = 60, .concurrency = 10});
  Standing standing;
  {
    auto permit = limiter.Admit("k", kStart, standing);
    ASSERT_TRUE(permit);
    permit->ChargeTokens(6000, kStart);
  }
  for (int i = 0; i < 10'000; ++i) (void)limiter.Admit(Kid(i), kStart + std::chrono::minutes(50), standing);
  EXPECT_FALSE(limiter.Admit("k", kStart + std::chrono::minutes(50), standing));
}

TEST(RateLimiter, WantsOfKeysThatAreForgottenAreForgottenToo) {
  RateLimiter limiter({.requests_per_minute = 600});
  Standing standing;
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(limiter.Admit(Kid(i), kStart, standing));
  for (int i = 0; i < 4000; ++i) ASSERT_TRUE(limiter.Admit(Kid(2000 + i), kStart + std::chrono::minutes(5), standing));
  EXPECT_EQ(limiter.TakeWants(100'000).size(), limiter.size());
  for (int i = 0; i < 1000; ++i) (void)limiter.Admit(Kid(2000 + i), kStart + std::chrono::minutes(5), standing);
  limiter.DropLeases();
  EXPECT_TRUE(limiter.TakeWants(100'000).empty());
}

TEST(RateLimiter, EveryKeyThatWantsBudgetGetsItsTurn) {
  RateLimiter limiter({.requests_per_minute = 600});
  Standing standing;
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(limiter.Admit(Kid(i), kStart, standing));
  std::set<std::string> seen;
  for (int round = 0; round < 1000; ++round) {
    for (const auto& want : limiter.TakeWants(10)) {
      seen.insert(want.kid);
      limiter.Grant(want.kid, 1, milliseconds(0), kStart);
      // The others ask on, and want again.
      (void)limiter.Admit(want.kid, kStart, standing);
    }
  }
  EXPECT_EQ(seen.size(), 1000U);
}

// Nanoseconds of one request beside that many keys.
double NanosecondsPerRequest(int keys) {
  RateLimiter limiter({.requests_per_minute = 1'000'000'000});
  Standing standing;
  for (int i = 0; i < keys; ++i) (void)limiter.Admit(Kid(i), kStart, standing);
  constexpr int kRequests = 20'000;
  std::vector<std::string> asking;
  for (int i = 0; i < kRequests; ++i) asking.push_back(Kid(static_cast<int>(i * 7919LL % keys)));
  const auto start = std::chrono::steady_clock::now();
  for (const std::string& kid : asking) {
    (void)limiter.Admit(kid, kStart, standing);
  }
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
  return took.count() / kRequests;
}

TEST(RateLimiter, ARequestCostsTheSameBesideTwoHundredThousandKeysAsBesideAHundred) {
  const double few = NanosecondsPerRequest(100);
  const double many = NanosecondsPerRequest(200'000);
  RecordProperty("nanoseconds_100_keys", static_cast<int>(few));
  RecordProperty("nanoseconds_200000_keys", static_cast<int>(many));
  std::printf("one request: %.0f ns beside 100 keys, %.0f ns beside 200,000\n", few, many);
  EXPECT_LT(many, 10 * few + 5000) << "memory is slower than cache, but nothing is searched";
}

TEST(RateLimiter, ResetsAreWrittenAsOpenAiWritesThem) {
  EXPECT_EQ(FormatReset(milliseconds(0)), "0ms");
  EXPECT_EQ(FormatReset(milliseconds(120)), "120ms");
  EXPECT_EQ(FormatReset(milliseconds(1001)), "2s");
  EXPECT_EQ(FormatReset(seconds(90)), "1m30s");
}

}  // namespace
}  // namespace allod::gateway::access::rate_limiter_test
