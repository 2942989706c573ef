#include "inference/node/process/rate_bound.h"

#include <gtest/gtest.h>

namespace allod::inference::node::process::rate_bound_test {
namespace {

TEST(RateBound, CountsSpentSecondsInARow) {
  using std::chrono::seconds;
  RateBound bound(2);
  RateBound::SteadyTime now(seconds(100));
  EXPECT_FALSE(bound.IsSpent(now));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(bound.SecondsSpent(now), i);
    bound.Count(2, now);
    EXPECT_TRUE(bound.IsSpent(now));
    now += seconds(1);
  }
  EXPECT_EQ(bound.SecondsSpent(now), 3);
  EXPECT_FALSE(bound.IsSpent(now));
  bound.Count(1, now);
  EXPECT_EQ(bound.SecondsSpent(now + seconds(1)), 0);
  bound.Count(2, now + seconds(1));
  EXPECT_EQ(bound.SecondsSpent(now + seconds(3)), 0);  // a second of silence
}

}  // namespace
}  // namespace allod::inference::node::process::rate_bound_test
