#include "services/scheduling/set_aside.h"

#include <gtest/gtest.h>

namespace allod::scheduling {
namespace {

using std::chrono::seconds;
using Stage = SetAside::Stage;

const TenantId kKe = *TenantId::FromName("tenants/ke");
const Time kStart{std::chrono::hours(1000)};

TEST(SetAside, WaitsTwiceAsLongAfterEachFailureButNoLongerThanAMinute) {
  SetAside set_aside;
  std::vector<int> waits;
  for (int i = 0; i < 8; ++i) waits.push_back(static_cast<int>(set_aside.Fail(kKe, Stage::kLoad, kStart).count()));
  EXPECT_EQ(waits, (std::vector{1, 2, 4, 8, 16, 32, 60, 60}));
  set_aside.Succeed(kKe, Stage::kLoad);
  EXPECT_EQ(set_aside.Fail(kKe, Stage::kLoad, kStart), seconds(1));
}

TEST(SetAside, LeavesOtherTenantsAndStagesAlone) {
  SetAside set_aside;
  set_aside.Fail(kKe, Stage::kLook, kStart);
  EXPECT_TRUE(set_aside.Waits(kKe, Stage::kLook, kStart));
  EXPECT_FALSE(set_aside.Waits(kKe, Stage::kLook, kStart + seconds(1)));
  EXPECT_FALSE(set_aside.Waits(kKe, Stage::kDecide, kStart));
  EXPECT_FALSE(set_aside.Waits(*TenantId::FromName("tenants/tz"), Stage::kLook, kStart));
}

TEST(SetAside, TellsOnceThatAWaitIsOver) {
  SetAside set_aside;
  set_aside.Fail(kKe, Stage::kLook, kStart);
  EXPECT_TRUE(set_aside.TakeDue(kStart).empty());
  EXPECT_EQ(set_aside.TakeDue(kStart + seconds(1)), std::vector{kKe});
  EXPECT_TRUE(set_aside.TakeDue(kStart + seconds(2)).empty());
}

}  // namespace
}  // namespace allod::scheduling
