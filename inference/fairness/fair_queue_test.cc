#include "inference/fairness/fair_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace allod::inference::fairness::fair_queue_test {
namespace {

using Queue = FairQueue<std::string>;

// Takes up to `count` items, charging each tenant `cost` for each of its own.
std::vector<std::string> Take(Queue& queue, int count, double cost) {
  std::vector<std::string> taken;
  for (int i = 0; i < count; ++i) {
    bool got = false;
    queue.Offer([&](const std::string&) { return got ? Queue::Verdict::kStop : Queue::Verdict::kTake; },
                [&](std::string item) {
                  got = true;
                  queue.Charge(item.substr(0, 1), cost);
                  taken.push_back(std::move(item));
                });
  }
  return taken;
}

TEST(FairQueue, ServesTenantsInTurnHoweverManyRequestsOneHas) {
  Queue queue;
  for (int i = 0; i < 4; ++i) queue.Push("a", 1, "a" + std::to_string(i));
  queue.Push("b", 1, "b0");
  queue.Push("b", 1, "b1");
  EXPECT_EQ(Take(queue, 6, 10), (std::vector<std::string>{"a0", "b0", "a1", "b1", "a2", "a3"}));
  EXPECT_EQ(queue.size(), 0);
}

TEST(FairQueue, WeightsAreShares) {
  Queue queue;
  for (int i = 0; i < 6; ++i) queue.Push("a", 2, "a");
  for (int i = 0; i < 6; ++i) queue.Push("b", 1, "b");
  const auto taken = Take(queue, 6, 10);
  EXPECT_EQ(std::ranges::count(taken, "a"), 4);
}

TEST(FairQueue, IdlenessEarnsNoCredit) {
  Queue queue;
  for (int i = 0; i < 20; ++i) queue.Push("a", 1, "a");
  Take(queue, 10, 10);
  for (int i = 0; i < 20; ++i) queue.Push("late", 1, "l");
  std::vector<std::string> taken;
  const auto next = Take(queue, 2, 10);
  EXPECT_EQ(std::ranges::count(next, "a"), 1);
}

TEST(FairQueue, TenantAtItsLimitDoesNotHoldUpTheOthers) {
  Queue queue;
  queue.Push("a", 1, "a");
  queue.Push("b", 1, "b");
  std::vector<std::string> taken;
  queue.Offer([](const std::string& item) { return item == "a" ? Queue::Verdict::kSkipTenant : Queue::Verdict::kTake; },
              [&](std::string item) { taken.push_back(std::move(item)); });
  EXPECT_EQ(taken, std::vector<std::string>{"b"});
  EXPECT_EQ(queue.WaitingOf("a"), 1);
}

TEST(FairQueue, WhoHasMostWaitingGivesWay) {
  Queue queue;
  const auto push = [&](const char* item, std::int32_t tenant_max = 10) {
    return queue.PushWithin({.all = 5, .tenant = tenant_max}, std::string(item, 1), 1, item);
  };
  for (const char* item : {"a0", "a1", "a2", "b0", "b1"}) {
    const auto pushed = push(item);
    EXPECT_FALSE(pushed.refused || pushed.displaced);
  }
  EXPECT_EQ(push("a3", 3).refused, "a3") << "its tenant has as many as may wait";
  EXPECT_EQ(push("a3").refused, "a3") << "nobody has more than it would";
  EXPECT_EQ(push("c0").displaced, "a2");
  const auto refused = push("c1");
  EXPECT_EQ(refused.refused, "c1") << "the others have no more than it would";
  EXPECT_EQ(refused.waiting, 5);
  EXPECT_EQ(push("d0").displaced, "a1");
  EXPECT_EQ(queue.size(), 5);
  EXPECT_EQ(Take(queue, 5, 10), (std::vector<std::string>{"a0", "b0", "c0", "d0", "b1"}));
}

}  // namespace
}  // namespace allod::inference::fairness::fair_queue_test
