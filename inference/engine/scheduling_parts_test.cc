// The pure parts of the engine's scheduling: the prefix cache, the cost of a step, the room in the cache.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "inference/engine/prefix_cache.h"
#include "inference/engine/step_cost.h"
#include "inference/engine/step_share.h"

namespace allod::inference::engine::scheduling_parts_test {
namespace {

using namespace std::chrono_literals;

TEST(PrefixCache, FindsTheLongestPrefixOfTheTenantOnly) {
  PrefixCache cache;
  cache.Add("a", {1, 2, 3, 4}, 0);
  cache.Add("a", {1, 2, 9}, 1);
  cache.Add("b", {1, 2, 3, 4, 5}, 2);
  const std::vector<std::int32_t> prompt = {1, 2, 3, 4, 5};
  EXPECT_EQ(cache.Find("a", prompt).tokens, 4);
  EXPECT_EQ(cache.Find("a", prompt).entry->slot, 0);
  EXPECT_EQ(cache.Find("b", prompt).tokens, 5);
  EXPECT_EQ(cache.Find("c", prompt).entry, nullptr);
}

TEST(PrefixCache, EvictsTheOldestThatNobodyUses) {
  PrefixCache cache;
  PrefixCache::Entry& first = cache.Add("a", {1, 2, 3}, 0);
  PrefixCache::Entry& second = cache.Add("a", {4, 5}, 1);
  PrefixCache::Entry& third = cache.Add("b", {6}, 2);
  first.pins = 1;
  EXPECT_EQ(cache.Oldest(), &second);
  cache.Touch(second);
  EXPECT_EQ(cache.Oldest(), &third);
  const std::string tenant = "a";
  EXPECT_EQ(cache.Oldest(&tenant), &second);
  cache.Remove(second);
  EXPECT_EQ(cache.Oldest(&tenant), nullptr);
  cache.Cut(first, 1);
  EXPECT_EQ(cache.tokens(), 2);
}

TEST(StepCost, FitsTheBudgetByWhatItLearnt) {
  StepCost cost;
  for (int i = 0; i < 20; ++i) {
    cost.Learn(1, 32ms);
    cost.Learn(4, 47ms);
    cost.Learn(8, 89ms);
    cost.Learn(16, 138ms);
  }
  EXPECT_EQ(cost.RowsWithin(10ms, 512), 1);
  EXPECT_EQ(cost.RowsWithin(50ms, 512), 4);
  EXPECT_EQ(cost.RowsWithin(100ms, 512), 8);
  EXPECT_EQ(cost.RowsWithin(140ms, 512), 16);
  EXPECT_GE(cost.RowsWithin(1s, 512), 100);
  EXPECT_EQ(cost.RowsWithin(1s, 32), 32);
}

TEST(StepCost, ExceedsTheBudgetWhereLessWouldWasteTheTurn) {
  StepCost reads_much;  // one row costs nearly as much as four
  StepCost reads_little;
  for (int i = 0; i < 20; ++i) {
    reads_much.Learn(1, 32ms);
    reads_much.Learn(4, 47ms);
    reads_much.Learn(8, 89ms);
    reads_little.Learn(1, 12ms);
    reads_little.Learn(2, 23ms);
    reads_little.Learn(4, 45ms);
  }
  EXPECT_EQ(reads_much.RowsWithin(25ms, 512), 4);
  EXPECT_EQ(reads_much.RowsWithin(25ms, 2), 1);
  EXPECT_EQ(reads_much.RowsWithin(20ms, 512), 1) << "47 ms is more than twice of it";
  EXPECT_EQ(reads_little.RowsWithin(25ms, 512), 2);
}

StepCost SmallModel() {
  StepCost cost;
  for (std::int32_t rows = 1; rows <= 512; rows *= 2) {
    cost.Learn(rows, std::chrono::duration<double>(0.0009 + 0.00009 * rows));
  }
  return cost;
}

TEST(StepPlan, WhoIsAheadSitsOutUntilTheOthersCaughtUp) {
  const StepCost cost = SmallModel();
  const auto takes_part = [&](std::vector<StepTenant> tenants) {
    return PlanStep(tenants, cost, 0.05, true, false).takes_part;
  };
  using Who = std::vector<bool>;
  EXPECT_EQ(takes_part({{7, 1}}), Who({true})) << "nobody waits for it";
  EXPECT_EQ(takes_part({{7, 1}, {7.0005, 1}}), Who({true, true})) << "level ones share steps";
  EXPECT_EQ(takes_part({{7, 1}, {7.004, 0}}), Who({true, false})) << "a prompt";
  EXPECT_EQ(takes_part({{7.02, 15}, {7, 0}, {7, 1}}), Who({false, true, true})) << "many sequences";
}

TEST(StepPlan, PromptsAreReadInSmallPiecesBesideNeighboursOnly) {
  const StepCost cost = SmallModel();
  const std::vector<StepTenant> tenants = {{0, 1}, {0, 0}};
  EXPECT_EQ(PlanStep(tenants, cost, 0.05, false, false).budget, 0.05);
  EXPECT_DOUBLE_EQ(PlanStep(tenants, cost, 0.05, true, false).budget, 3 * cost.SecondsOf(1));
  EXPECT_DOUBLE_EQ(PlanStep(tenants, cost, 0.002, true, true).budget, 0.002);
}

// One tenant decodes, the other has nothing but fresh prompts.
TEST(StepPlan, APromptWithoutEndLeavesANeighbourHalfOfTheTime) {
  const StepCost cost = SmallModel();
  std::vector<StepTenant> tenants = {{0, 1}, {0, 0}};
  double seconds = 0;
  int tokens = 0;
  double longest = 0;
  while (seconds < 10) {
    const StepPlan plan = PlanStep(tenants, cost, 0.05, true, false);
    const double decode = plan.takes_part[0] ? 1 : 0;
    const double prompt =
        plan.takes_part[1] ? cost.RowsWithin(std::chrono::duration<double>(plan.budget), 512) - decode : 0;
    const double took = cost.SecondsOf(static_cast<std::int32_t>(decode + prompt));
    tenants[0].served += took * 2 * decode / (2 * decode + prompt);
    tenants[1].served += took * prompt / (2 * decode + prompt);
    seconds += took;
    longest = std::max(longest, took);
    tokens += static_cast<int>(decode);
  }
  const double alone = 10 / cost.SecondsOf(1);
  EXPECT_GT(tokens, 0.5 * alone);
  EXPECT_LT(tokens, 0.8 * alone) << "the prompt has its half as well";
  EXPECT_LT(longest, 0.01);
}

}  // namespace
}  // namespace allod::inference::engine::scheduling_parts_test
