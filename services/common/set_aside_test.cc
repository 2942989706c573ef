#include "services/common/set_aside.h"

#include <gtest/gtest.h>

#include "services/common/deadline.h"

namespace allod::set_aside_test {
namespace {

using std::chrono::seconds;

const TenantId kKe = *TenantId::FromName("tenants/ke");
const TenantId kTz = *TenantId::FromName("tenants/tz");
const Time kStart{std::chrono::hours(1000)};
const Error kBroken{Code::kInternal, "INTERNAL", "broken"};

class SetAsideTest : public testing::Test {
 protected:
  SetAside set_aside_{"test"};
};

TEST_F(SetAsideTest, WaitsTwiceAsLongAfterEachFailureButNoLongerThanAMinute) {
  std::vector<int> waits;
  for (int i = 0; i < 8; ++i) {
    waits.push_back(static_cast<int>(set_aside_.Fail(kKe, "load", kBroken, kStart).count()));
  }
  EXPECT_EQ(waits, (std::vector{1, 2, 4, 8, 16, 32, 60, 60}));
  EXPECT_EQ(set_aside_.Failures(kKe, "load"), 8);
  set_aside_.Succeed(kKe, "load");
  EXPECT_EQ(set_aside_.Fail(kKe, "load", kBroken, kStart), seconds(1));
}

TEST_F(SetAsideTest, LeavesOtherTenantsAndStagesAlone) {
  set_aside_.Fail(kKe, "look", kBroken, kStart);
  EXPECT_TRUE(set_aside_.Waits(kKe, "look", kStart));
  EXPECT_FALSE(set_aside_.Waits(kKe, "look", kStart + seconds(1)));
  EXPECT_FALSE(set_aside_.Waits(kKe, "decide", kStart));
  EXPECT_FALSE(set_aside_.Waits(kTz, "look", kStart));
}

TEST_F(SetAsideTest, TellsOnceThatAWaitIsOver) {
  set_aside_.Fail(kKe, "look", kBroken, kStart);
  EXPECT_TRUE(set_aside_.TakeDue(kStart).empty());
  EXPECT_EQ(set_aside_.TakeDue(kStart + seconds(1)), std::vector{kKe});
  EXPECT_TRUE(set_aside_.TakeDue(kStart + seconds(2)).empty());
}

TEST_F(SetAsideTest, ForgetsThoseWhoseTroubleIsOver) {
  set_aside_.Fail(kKe, "look", kBroken, kStart);
  set_aside_.Fail(kTz, "look", kBroken, kStart);
  set_aside_.Fail(kKe, "decide", kBroken, kStart);
  set_aside_.KeepOnly("look", {kTz});
  EXPECT_EQ(set_aside_.Failures(kKe, "look"), 0);
  EXPECT_EQ(set_aside_.Failures(kKe, "decide"), 1) << "nothing was seen of it";
  EXPECT_EQ(set_aside_.Failures(kTz, "look"), 1);
}

TEST(ConcernsEverybody, IsTrueOfTheDatabaseAndOfNothingThatATenantsDataDoes) {
  EXPECT_TRUE(ConcernsEverybody({Code::kUnavailable, "DATABASE_UNAVAILABLE", ""}));
  EXPECT_TRUE(ConcernsEverybody({Code::kResourceExhausted, "DATABASE_FULL", ""}));
  EXPECT_TRUE(ConcernsEverybody(DeadlineExceeded())) << "of the call, for all of them";
  EXPECT_FALSE(ConcernsEverybody({Code::kDeadlineExceeded, "STATEMENT_TIMEOUT", ""}));
  EXPECT_FALSE(ConcernsEverybody(kBroken));
}

}  // namespace
}  // namespace allod::set_aside_test
