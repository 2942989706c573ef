#include "gateway/access/gcra.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace allod::gateway::access::gcra_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr SteadyTime kStart{std::chrono::hours(1000)};
// One unit per 100 ms, five at once.
constexpr GcraLimit kLimit{.count = 10, .period = seconds(1), .burst = 5};

TEST(Gcra, FollowsTheTable) {
  struct Row {
    milliseconds at;
    std::int64_t cost;
    bool allowed;
    std::int64_t remaining;
    milliseconds retry_after;
    milliseconds reset_after;
  };
  const Row table[] = {
      {milliseconds(0), 0, true, 5, milliseconds(0), milliseconds(0)},
      {milliseconds(0), 1, true, 4, milliseconds(0), milliseconds(100)},
      {milliseconds(0), 4, true, 0, milliseconds(0), milliseconds(500)},
      {milliseconds(0), 1, false, 0, milliseconds(100), milliseconds(500)},
      {milliseconds(40), 1, false, 0, milliseconds(60), milliseconds(460)},
      {milliseconds(100), 1, true, 0, milliseconds(0), milliseconds(500)},
      {milliseconds(350), 2, true, 0, milliseconds(0), milliseconds(450)},
      {milliseconds(350), 6, false, 0, milliseconds(550), milliseconds(450)},
      {milliseconds(5000), 5, true, 0, milliseconds(0), milliseconds(500)},
  };
  SteadyTime tat{};
  for (const Row& row : table) {
    const GcraDecision decision = SpendGcra(kLimit, tat, kStart + row.at, row.cost);
    EXPECT_EQ(decision.allowed, row.allowed) << row.at.count();
    EXPECT_EQ(decision.remaining, row.remaining) << row.at.count();
    EXPECT_EQ(decision.retry_after, row.retry_after) << row.at.count();
    EXPECT_EQ(decision.reset_after, row.reset_after) << row.at.count();
  }
}

TEST(Gcra, RefusalCostsNothing) {
  SteadyTime tat{};
  SpendGcra(kLimit, tat, kStart, 5);
  const SteadyTime before = tat;
  EXPECT_FALSE(SpendGcra(kLimit, tat, kStart, 1).allowed);
  EXPECT_EQ(tat, before);
}

TEST(Gcra, ChargeMayGoIntoDebtAndIsPaidOffByTime) {
  SteadyTime tat{};
  ChargeGcra(kLimit, tat, kStart, 20);
  const GcraDecision decision = SpendGcra(kLimit, tat, kStart, 0);
  EXPECT_FALSE(decision.allowed);
  EXPECT_EQ(decision.retry_after, milliseconds(1500));
  EXPECT_TRUE(SpendGcra(kLimit, tat, kStart + milliseconds(1500), 0).allowed);
}

TEST(Gcra, AMillionEventsStayWithinBurstAndRateInEveryWindow) {
  std::mt19937 random(7);
  for (const std::int64_t count : {7, 600, 45'000'000}) {
    const GcraLimit limit{count, std::chrono::minutes(1), count};
    const double per_nanosecond = static_cast<double>(count) / 60e9;
    SteadyTime tat{};
    SteadyTime now{std::chrono::hours(1000)};
    const SteadyTime begin = now;
    std::exponential_distribution<double> gap(per_nanosecond * 2);
    double admitted = 0, least = 0, burst = 0;
    for (int i = 0; i < 1'000'000; ++i) {
      // Crowds of a thousand at a time, and quiet in between, together twice what is allowed.
      if (i % 1000 == 0) {
        const double quiet = 1000 * gap(random);
        now += std::chrono::nanoseconds(static_cast<std::int64_t>(quiet));
      }
      const double flowed = per_nanosecond * static_cast<double>((now - begin).count());
      if (SpendGcra(limit, tat, now, 1).allowed) {
        least = std::min(least, admitted - flowed);
        burst = std::max(burst, ++admitted - flowed - least);
      }
    }
    EXPECT_LE(burst, static_cast<double>(count) + 1e-3) << count;
    EXPECT_GT(admitted, 0);
  }
}

}  // namespace
}  // namespace allod::gateway::access::gcra_test
