#include "services/common/quota.h"

#include <gtest/gtest.h>

namespace allod::quota_test {
namespace {

Status Check(std::int64_t limit, std::int64_t before, std::int64_t after) {
  return CheckQuota({.owner = "tenants/ke",
                     .field = "quota.projects",
                     .things = "projects",
                     .raiser = "an operator",
                     .limit = limit,
                     .before = before,
                     .after = after});
}

TEST(Quota, RefusesWhatWouldBeMoreThanItAllows) {
  EXPECT_TRUE(Check(3, 2, 3));
  const Status refused = Check(3, 3, 4);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_EQ(refused.error().reason, "QUOTA_EXCEEDED");
  EXPECT_EQ(refused.error().message,
            "tenants/ke may have 3 projects (quota.projects) and has 3; this would make it 4. Remove some, or ask an "
            "operator to raise the quota");
}

TEST(Quota, OfNoneIsEverythingAllowed) { EXPECT_TRUE(Check(0, 1000, 2000)); }

TEST(Quota, WhatIsOverItMayStayAndShrinkButNotGrow) {
  EXPECT_TRUE(Check(3, 10, 10));
  EXPECT_TRUE(Check(3, 10, 9));
  EXPECT_FALSE(Check(3, 10, 11));
}

TEST(Quota, TheTighterOfTwoHolds) {
  EXPECT_EQ(TighterLimit(0, 0), 0);
  EXPECT_EQ(TighterLimit(5, 0), 5);
  EXPECT_EQ(TighterLimit(0, 5), 5);
  EXPECT_EQ(TighterLimit(7, 5), 5);
  EXPECT_EQ(TighterLimit(0, kNothingLeft), kNothingLeft);
  EXPECT_EQ(TighterLimit(kNothingLeft, 5), kNothingLeft);
}

TEST(Quota, WhatIsLeftOfOne) {
  EXPECT_EQ(LimitLeft(0, 7), 0) << "of none";
  EXPECT_EQ(LimitLeft(5, 0), 5);
  EXPECT_EQ(LimitLeft(5, 3), 2);
  EXPECT_EQ(LimitLeft(5, 5), kNothingLeft);
  EXPECT_EQ(LimitLeft(5, 8), kNothingLeft);
}

TEST(Quota, OfWhichNothingIsLeftNothingIsAllowed) {
  EXPECT_FALSE(Check(kNothingLeft, 0, 1));
  EXPECT_TRUE(Check(kNothingLeft, 2, 2));
  EXPECT_NE(Check(kNothingLeft, 0, 1).error().message.find("may have 0 projects"), std::string::npos);
}

}  // namespace
}  // namespace allod::quota_test
