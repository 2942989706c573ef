#include "gateway/http/body_budget.h"

#include <gtest/gtest.h>

#include <vector>

namespace allod::gateway::http::body_budget_test {
namespace {

const BodyAccount kKenya{"tenants/ke", "ke1"};

TEST(BodyBudget, CountsWhatIsHeldAndForgetsWhatIsReleased) {
  BodyBudget budget(1000);
  {
    auto first = budget.Admit(kKenya, 100);
    ASSERT_TRUE(first);
    BodyBudget::Hold moved = *std::move(first);
    EXPECT_EQ(budget.used(), 100U);
    moved.Release();
    moved.Release();
    EXPECT_EQ(budget.used(), 0U);
    const auto second = budget.Admit(kKenya, 250);
    EXPECT_EQ(budget.used(), 250U);
  }
  EXPECT_EQ(budget.used(), 0U);
}

TEST(BodyBudget, AKeyHoldsAQuarterAtMost) {
  BodyBudget budget(1000);
  const auto held = budget.Admit(kKenya, 200);
  ASSERT_TRUE(held);
  const auto refused = budget.Admit(kKenya, 51);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
  EXPECT_EQ(refused.error().reason, "BODIES_IN_FLIGHT");
  EXPECT_TRUE(refused.error().retry_after);
  EXPECT_NE(refused.error().message.find("API key"), std::string::npos);
  EXPECT_TRUE(budget.Admit(kKenya, 50)) << "what was refused holds nothing";
}

TEST(BodyBudget, ATenantLeavesAsMuchAsItTakesHoweverManyKeysItHas) {
  BodyBudget budget(1000);
  std::vector<BodyBudget::Hold> held;
  for (int key = 0; key < 100; ++key) {
    auto hold = budget.Admit({"tenants/ke", std::to_string(key)}, 50);
    if (hold) held.push_back(*std::move(hold));
  }
  EXPECT_EQ(budget.used(), 500U);
  const auto refused = budget.Admit({"tenants/ke", "one more"}, 50);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("tenant"), std::string::npos);
  EXPECT_TRUE(budget.Admit({"tenants/tz", "tz1"}, 250)) << "another tenant finds room";
}

TEST(BodyBudget, ANewcomerFindsRoomWhenSomeTenantsTakeWhatTheyCan) {
  BodyBudget budget(1 << 20);
  std::vector<BodyBudget::Hold> held;
  for (int tenant = 0; tenant < 5; ++tenant) {
    for (int key = 0; key < 2000; ++key) {
      auto hold = budget.Admit({std::to_string(tenant), std::to_string(tenant) + "/" + std::to_string(key)}, 1000);
      if (!hold) break;
      held.push_back(*std::move(hold));
    }
  }
  EXPECT_TRUE(budget.Admit({"newcomer", "newcomer"}, 1000)) << budget.used();
}

TEST(BodyBudget, WhoCameFirstStaysAndWhoComesLaterIsRefusedUntilThereIsRoom) {
  BodyBudget budget(100);
  std::vector<BodyBudget::Hold> held;
  for (int i = 0; i < 10; ++i) {
    auto hold = budget.Admit({std::to_string(i), std::to_string(i)}, 9);
    if (hold) held.push_back(*std::move(hold));
  }
  EXPECT_EQ(budget.used(), 90U);
  const auto refused = budget.Admit({"late", "late"}, 11);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("the gateway is taking in"), std::string::npos);
  held.pop_back();
  EXPECT_TRUE(budget.Admit({"late", "late"}, 9));
}

TEST(BodyBudget, HugeSizesDoNotWrap) {
  BodyBudget budget(1000);
  EXPECT_FALSE(budget.Admit(kKenya, SIZE_MAX));
  const auto held = budget.Admit(kKenya, 1);
  EXPECT_FALSE(budget.Admit(kKenya, SIZE_MAX));
  EXPECT_EQ(budget.used(), 1U);
}

}  // namespace
}  // namespace allod::gateway::http::body_budget_test
