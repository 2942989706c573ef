#include "gateway/rate_limiter.h"

#include <gtest/gtest.h>

namespace allod::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr SteadyTime kStart{std::chrono::hours(1000)};

std::string Find(const HttpHeaders& headers, const std::string& name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

TEST(RateLimiter, RefusesPastRequestsPerMinuteAndSaysWhen) {
  RateLimiter limiter({.requests_per_minute = 2, .concurrency = 10});
  HttpHeaders headers;
  EXPECT_TRUE(limiter.Admit("k", kStart, headers));
  EXPECT_TRUE(limiter.Admit("k", kStart, headers));
  headers.clear();
  const auto refused = limiter.Admit("k", kStart, headers);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "RATE_LIMIT_EXCEEDED");
  EXPECT_EQ(refused.error().retry_after, seconds(30));
  EXPECT_EQ(Find(headers, "x-ratelimit-limit-requests"), "2");
  EXPECT_EQ(Find(headers, "x-ratelimit-remaining-requests"), "0");
  EXPECT_EQ(Find(headers, "x-ratelimit-reset-requests"), "1m0s");
  EXPECT_TRUE(limiter.Admit("other", kStart, headers)) << "keys do not share buckets";
  EXPECT_TRUE(limiter.Admit("k", kStart + seconds(30), headers));
}

TEST(RateLimiter, ConcurrencyIsGivenBackByThePermit) {
  RateLimiter limiter({.concurrency = 1});
  HttpHeaders headers;
  {
    const auto permit = limiter.Admit("k", kStart, headers);
    ASSERT_TRUE(permit);
    EXPECT_FALSE(limiter.Admit("k", kStart, headers));
  }
  EXPECT_TRUE(limiter.Admit("k", kStart, headers));
}

TEST(RateLimiter, TokensAreChargedAfterwardsAndHoldBackTheNextRequest) {
  RateLimiter limiter({.tokens_per_minute = 60});
  HttpHeaders headers;
  auto permit = limiter.Admit("k", kStart, headers);
  ASSERT_TRUE(permit);
  permit->ChargeTokens(90, kStart);
  EXPECT_FALSE(limiter.Admit("k", kStart + seconds(30), headers));
  EXPECT_TRUE(limiter.Admit("k", kStart + seconds(32), headers));
}

TEST(RateLimiter, AnEmptyCommonBucketRefusesUntilItRefills) {
  RateLimiter limiter({.requests_per_minute = 600});
  HttpHeaders headers;
  EXPECT_TRUE(limiter.Admit("k", kStart, headers)) << "the first request does not wait for Redis";
  const auto wants = limiter.TakeWants(10);
  ASSERT_EQ(wants.size(), 1U);
  EXPECT_EQ(wants[0].units, 11) << "a chunk, and what was used ahead";
  limiter.Grant("k", 0, milliseconds(700), kStart);
  const auto refused = limiter.Admit("k", kStart, headers);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().retry_after, milliseconds(700));
  EXPECT_TRUE(limiter.Admit("k", kStart + milliseconds(700), headers));
}

TEST(RateLimiter, WithoutRedisTheLocalBucketDecides) {
  RateLimiter limiter({.requests_per_minute = 600});
  HttpHeaders headers;
  EXPECT_TRUE(limiter.Admit("k", kStart, headers));
  limiter.Grant("k", 0, seconds(60), kStart);
  limiter.DropLeases();
  EXPECT_TRUE(limiter.Admit("k", kStart, headers));
}

TEST(RateLimiter, ResetsAreWrittenAsOpenAiWritesThem) {
  EXPECT_EQ(FormatReset(milliseconds(0)), "0ms");
  EXPECT_EQ(FormatReset(milliseconds(120)), "120ms");
  EXPECT_EQ(FormatReset(milliseconds(1001)), "2s");
  EXPECT_EQ(FormatReset(seconds(90)), "1m30s");
}

}  // namespace
}  // namespace allod::gateway
