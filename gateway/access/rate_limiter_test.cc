#include "gateway/access/rate_limiter.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <set>
#include <vector>

#include "gateway/access/shared_budget.h"

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
  EXPECT_EQ(wants[0].units, 10) << "a chunk";
  EXPECT_EQ(wants[0].ahead, 1) << "what was used ahead";
  limiter.Grant(wants[0], {.retry_after = milliseconds(700)}, kStart);
  const auto refused = limiter.Admit("k", kStart, standing);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().retry_after, milliseconds(700));
  EXPECT_TRUE(limiter.Admit("k", kStart + milliseconds(700), standing));
}

TEST(RateLimiter, WithoutRedisTheLocalBucketDecides) {
  RateLimiter limiter({.requests_per_minute = 600});
  Standing standing;
  EXPECT_TRUE(limiter.Admit("k", kStart, standing));
  const auto wants = limiter.TakeWants(10);
  ASSERT_EQ(wants.size(), 1U);
  limiter.Grant(wants[0], {.retry_after = seconds(60)}, kStart);
  ASSERT_FALSE(limiter.Admit("k", kStart, standing));
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
      seen.insert(want.id);
      limiter.Grant(want, {.units = 1}, kStart);
      // The others ask on, and want again.
      (void)limiter.Admit(want.id, kStart, standing);
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

TEST(RateLimiter, ALimitThatChangesLeavesItUsedToTheSamePart) {
  RateLimiter limiter;
  Standing standing;
  const auto ask = [&](std::int64_t limit) {
    return limiter.Admit("k", "this key", {.requests_per_minute = limit}, kStart, standing).has_value();
  };
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(ask(600));
  EXPECT_EQ(standing.requests.remaining, 300);
  ASSERT_TRUE(ask(60));
  EXPECT_EQ(standing.requests.limit, 60);
  EXPECT_EQ(standing.requests.remaining, 29) << "half of it was used, and one more";
  ASSERT_TRUE(ask(6000));
  EXPECT_EQ(standing.requests.remaining, 2899);
}

TEST(RateLimiter, WhatIsGivenBackCountsNot) {
  RateLimiter limiter({.requests_per_minute = 2, .concurrency = 5});
  Standing standing;
  for (int i = 0; i < 10; ++i) {
    auto permit = limiter.Admit("k", kStart, standing);
    ASSERT_TRUE(permit);
    permit->Refund();
    permit->Refund();
  }
  ASSERT_TRUE(limiter.Admit("k", kStart, standing));
  ASSERT_TRUE(limiter.Admit("k", kStart, standing));
  EXPECT_FALSE(limiter.Admit("k", kStart, standing));
}

TEST(RateLimiter, AKindWithoutALimitBindsNobodyAndIsNotTold) {
  RateLimiter limiter({.concurrency = 3});
  Standing standing;
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(limiter.Admit("k", kStart, standing));
  http::Headers headers;
  standing.AddTo(headers);
  EXPECT_TRUE(headers.empty());
}

TEST(RateLimiter, OfSeveralGatewaysEachSpendsItsShareWithoutACommonBucket) {
  constexpr int kGateways = 4;
  std::array<std::unique_ptr<RateLimiter>, kGateways> gateways;
  for (auto& gateway : gateways) {
    gateway = std::make_unique<RateLimiter>(RateLimits{.requests_per_minute = 600}, "this key", kGateways);
  }
  Standing standing;
  const auto admitted = [&](SteadyTime now) {
    int out = 0;
    for (auto& gateway : gateways) {
      while (gateway->Admit("k", now, standing)) ++out;
    }
    return out;
  };
  const int burst = admitted(kStart);
  EXPECT_GT(burst, 100);
  EXPECT_LE(burst, 300) << "the other half is the common bucket's";
  int more = 0;
  for (int second = 1; second <= 60; ++second) more += admitted(kStart + seconds(second));
  EXPECT_NEAR(more, 600, 30) << "together at the whole rate";
}

TEST(RateLimiter, WithACommonBucketALeaseIsSpentBeforeTheAllowance) {
  RateLimiter limiter({.requests_per_minute = 600}, "this key", 4);
  Standing standing;
  ASSERT_TRUE(limiter.Admit("k", kStart, standing));
  auto wants = limiter.TakeWants(10);
  ASSERT_EQ(wants.size(), 1U);
  EXPECT_EQ(wants[0].ahead, 1);
  limiter.Grant(wants[0], {.units = wants[0].units, .remaining = 100}, kStart);
  ASSERT_TRUE(limiter.Admit("k", kStart, standing));
  const SharedBudget budget = Divide(600, 4);
  EXPECT_EQ(standing.requests.remaining, budget.chunk - 1 + budget.ahead - 1 + 100);
  int admitted = 0;
  while (limiter.Admit("k", kStart, standing)) ++admitted;
  EXPECT_EQ(admitted, budget.chunk - 1 + budget.ahead - 1);
  wants = limiter.TakeWants(10);
  ASSERT_EQ(wants.size(), 1U);
  EXPECT_EQ(wants[0].ahead, budget.ahead - 1);
}

TEST(RateLimiter, ANewEraForgetsWhatWasSpentAheadButForTheAllowance) {
  RateLimiter limiter({.requests_per_minute = 600}, "this key", 4);
  Standing standing;
  SteadyTime now = kStart;
  for (int i = 0; i < 600; ++i, now += milliseconds(400)) ASSERT_TRUE(limiter.Admit("k", now, standing));
  limiter.BeginEra();
  ASSERT_TRUE(limiter.Admit("k", now, standing));
  const auto wants = limiter.TakeWants(10);
  ASSERT_EQ(wants.size(), 1U);
  EXPECT_LE(wants[0].ahead, 2);
}

TEST(RateLimiter, TokensThatOthersSpentHoldBackToo) {
  RateLimiter limiter({.tokens_per_minute = 6000}, "this key", 4);
  Standing standing;
  auto permit = limiter.Admit("k", kStart, standing);
  ASSERT_TRUE(permit);
  permit->ChargeTokens(100, kStart);
  const auto wants = limiter.TakeWants(10);
  ASSERT_EQ(wants.size(), 1U);
  EXPECT_EQ(wants[0].tokens, 100);
  limiter.Grant(wants[0], {.tokens_retry_after = seconds(3)}, kStart);
  const auto refused = limiter.Admit("k", kStart, standing);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().retry_after, seconds(3));
  EXPECT_EQ(standing.tokens.remaining, 0);
  EXPECT_TRUE(limiter.Admit("k", kStart + seconds(3), standing));
  // Nobody knows of the others any more: a quarter of the limit is left to each.
  limiter.DropLeases();
  permit->ChargeTokens(1600, kStart + seconds(3));
  EXPECT_FALSE(limiter.Admit("k", kStart + seconds(3), standing));
}

TEST(SharedBudget, PartsAddUpToTheLimit) {
  for (const int gateways : {2, 3, 4, 10, 100}) {
    for (const std::int64_t limit : {1, 2, 5, 7, 40, 100, 600, 60'000, 60'000'000}) {
      const SharedBudget budget = Divide(limit, gateways);
      const std::int64_t sum = budget.shared + gateways * (budget.ahead + budget.chunk);
      EXPECT_LE(sum, std::max<std::int64_t>(limit, 2 * gateways + 1)) << limit << " of " << gateways;
      EXPECT_GE(budget.shared, 1);
      EXPECT_GE(budget.ahead, 1);
      EXPECT_GE(budget.chunk, 1);
    }
  }
  EXPECT_EQ(Divide(600, 1).ahead, 600);
}

TEST(RateLimiter, ResetsAreWrittenAsOpenAiWritesThem) {
  EXPECT_EQ(FormatReset(milliseconds(0)), "0ms");
  EXPECT_EQ(FormatReset(milliseconds(120)), "120ms");
  EXPECT_EQ(FormatReset(milliseconds(1001)), "2s");
  EXPECT_EQ(FormatReset(seconds(90)), "1m30s");
}

}  // namespace
}  // namespace allod::gateway::access::rate_limiter_test
