// Four gateways' limiters over one Redis that is flushed, frozen and killed meanwhile: what they admit together stays
// within the limit in every window of time, and a request gets a place or a 429, never an error.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gateway/access/rate_lease.h"
#include "gateway/access/rate_limiter.h"
#include "tests/support/redis_fixture.h"

namespace allod::gateway::access::gateway_shared_limits_test {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr int kGateways = 4;
constexpr char kId[] = "key:k";

class SharedLimits : public testing::Test {
 protected:
  struct Gateway {
    Gateway(const std::string& url, const RateLimits& limits)
        : limiter(limits, "this key", kGateways), lease({url, 50ms}, "test:", limiter) {}
    RateLimiter limiter;
    RateLease lease;
  };
  void Start(const RateLimits& limits) {
    for (auto& gateway : gateways_) gateway = std::make_unique<Gateway>(redis_.url(), limits);
  }
  void Flush() {
    Redis redis({redis_.url(), 2000ms});
    ASSERT_TRUE(redis.Eval("redis.call('FLUSHALL') return {1}", {}, {}));
  }
  // Until what it asks for holds, up to ten seconds.
  static bool Eventually(const std::function<bool()>& holds) {
    const auto until = steady_clock::now() + 10s;
    while (!holds()) {
      if (steady_clock::now() > until) return false;
      std::this_thread::sleep_for(10ms);
    }
    return true;
  }

  TestRedis redis_;
  std::array<std::unique_ptr<Gateway>, kGateways> gateways_;
};

// By how much the busiest window of all exceeded what flows in during it: the burst.
double Burst(std::vector<SteadyTime> times, double per_second) {
  std::ranges::sort(times);
  double least = 0, burst = 0;
  for (std::size_t i = 0; i < times.size(); ++i) {
    const double flowed = per_second * std::chrono::duration<double>(times[i] - times[0]).count();
    least = std::min(least, static_cast<double>(i) - flowed);
    burst = std::max(burst, static_cast<double>(i + 1) - flowed - least);
  }
  return burst;
}

TEST_F(SharedLimits, HoldInEveryWindowWhateverBecomesOfRedis) {
  constexpr std::int64_t kPerMinute = 6000;
  constexpr int kEvents = 1'000'000 / kGateways;
  Start({.requests_per_minute = kPerMinute});
  std::array<std::vector<SteadyTime>, kGateways> admitted;
  std::atomic<int> errors = 0;
  std::atomic<bool> shaken = false;
  // Quiet first: the common bucket fills up, so that there is something to be given out twice.
  std::this_thread::sleep_for(RateLease::kYoung + 12s);
  const auto begin = steady_clock::now();
  std::vector<std::thread> threads;
  for (std::size_t g = 0; g < kGateways; ++g) {
    threads.emplace_back([&, g] {
      for (int i = 0; i < kEvents || !shaken; ++i) {
        if (i % 500 == 0) std::this_thread::sleep_for(40ms);
        Standing standing;
        const auto now = steady_clock::now();
        const auto permit = gateways_[g]->limiter.Admit(kId, now, standing);
        if (permit) admitted[g].push_back(now);
        if (!permit && permit.error().reason != "RATE_LIMIT_EXCEEDED") ++errors;
      }
    });
  }
  std::this_thread::sleep_for(500ms);
  for (int round = 0; round < 2; ++round) {
    Flush();
    std::this_thread::sleep_for(3s);
    redis_.Freeze();  // shorter than an era's end
    std::this_thread::sleep_for(500ms);
    redis_.Thaw();
    std::this_thread::sleep_for(2s);
    redis_.Freeze();
    std::this_thread::sleep_for(3500ms);
    redis_.Thaw();
    std::this_thread::sleep_for(2500ms);
    redis_.Kill();
    std::this_thread::sleep_for(1s);
    redis_.Start();
  }
  shaken = true;
  for (std::thread& thread : threads) thread.join();
  const double seconds = std::chrono::duration<double>(steady_clock::now() - begin).count();
  std::vector<SteadyTime> all;
  for (const auto& times : admitted) all.insert(all.end(), times.begin(), times.end());
  const double per_second = kPerMinute / 60.0;
  const double burst = Burst(all, per_second);
  std::printf("%zu admitted in %.1f s, %.0f would have flowed in; the burst was %.0f of %ld\n", all.size(), seconds,
              per_second * seconds, burst, static_cast<long>(kPerMinute));
  EXPECT_EQ(errors, 0);
  EXPECT_LE(burst, kPerMinute);
  EXPECT_GE(static_cast<double>(all.size()), 0.7 * per_second * seconds) << "and is not much below it";
}

TEST_F(SharedLimits, OfOneGatewayAloneReachTheWholeRate) {
  Start({.requests_per_minute = 6000});
  Standing standing;
  int admitted = 0;
  const auto begin = steady_clock::now();
  while (steady_clock::now() - begin < 14s) {
    if (gateways_[0]->limiter.Admit(kId, steady_clock::now(), standing)) ++admitted;
    std::this_thread::sleep_for(2ms);
  }
  EXPECT_GE(admitted, 1000) << "of 1400, though three of four gateways are idle";
}

TEST_F(SharedLimits, TokensSpentAtOneGatewayAreKnownToTheOthers) {
  Start({.tokens_per_minute = 60'000});
  std::this_thread::sleep_for(RateLease::kYoung + 1s);
  Standing standing;
  ASSERT_TRUE(gateways_[3]->limiter.Admit(kId, steady_clock::now(), standing));
  {
    auto permit = gateways_[0]->limiter.Admit(kId, steady_clock::now(), standing);
    ASSERT_TRUE(permit);
    permit->ChargeTokens(60'000, steady_clock::now());
  }
  EXPECT_TRUE(Eventually([&] {
    // Its own tokens, which nobody uses, are not what it is short of.
    auto permit = gateways_[3]->limiter.Admit(kId, steady_clock::now(), standing);
    if (permit) permit->ChargeTokens(1, steady_clock::now());
    return !permit;
  }));
  EXPECT_EQ(standing.tokens.remaining, 0);
}

}  // namespace
}  // namespace allod::gateway::access::gateway_shared_limits_test
