#include "gateway/metering/budget_book.h"

#include <gtest/gtest.h>

#include "gateway/metering/lease_book.h"

namespace allod::gateway::metering::budget_book_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using SteadyTime = BudgetBook::SteadyTime;

constexpr SteadyTime kStart{seconds(1000)};
SteadyTime At(int ms) { return kStart + milliseconds(ms); }
constexpr Amount Money(int units) { return Amount::FromPico(Int128{units}); }
Time Day(int year, unsigned month, unsigned day) {
  return std::chrono::sys_days(std::chrono::year(year) / static_cast<int>(month) / static_cast<int>(day));
}

const Time kMarch = Day(2026, 3, 1);
const Uuid kAll = Uuid::FromName("all"), kOfProject = Uuid::FromName("project"), kOfKey = Uuid::FromName("key");

Spender Of(const std::string& project, const std::string& key, Time admitted = kMarch + seconds(5)) {
  return {Uuid::V7(admitted), "tenants/ke/projects/" + project + "/apiKeys/" + key,
          "tenants/ke/projects/" + project + "/instances/i"};
}

class BudgetBookTest : public testing::Test {
 protected:
  BudgetBookTest() {
    book_.Replace(1, {{.uid = kAll, .id = "all"},
                      {.uid = kOfProject, .id = "p", .project = "p", .period = BudgetRule::Period::kTotal},
                      {.uid = kOfKey, .id = "k", .api_key = "tenants/ke/projects/p/apiKeys/k"}});
  }
  // Billing adds so much to each that is asked for.
  void Grant(const BudgetBook::AllWaiting& waiting, int added, int now_ms = 0) {
    const auto asks = book_.NextAsks(waiting, false, At(now_ms));
    book_.OnSent(asks);
    std::vector<BudgetBook::Answer> answers;
    for (const auto& ask : asks) answers.push_back({ask.key, true, Money(added)});
    book_.OnAdjusted(asks, answers, At(now_ms));
  }
  void Fill(const Spender& spender, int each) {
    BudgetBook::AllWaiting waiting;
    for (const SliceKey& key : book_.SlicesFor(spender)) waiting[key] = {Money(each), Money(each)};
    Grant(waiting, each);
  }
  bool Take(const Spender& spender, int amount, int now_ms = 1) {
    const auto keys = book_.SlicesFor(spender);
    if (!book_.Covers(spender, keys, Money(amount))) return false;
    book_.Take(spender, keys, Money(amount), At(now_ms));
    return true;
  }
  const SliceKey all_{kAll, kMarch}, of_project_{kOfProject, Time()}, of_key_{kOfKey, kMarch};
  BudgetBook book_;
};

TEST_F(BudgetBookTest, ARequestCountsInAllThatFitIt) {
  EXPECT_EQ(book_.SlicesFor(Of("p", "k")), (std::vector<SliceKey>{all_, of_project_, of_key_}));
  EXPECT_EQ(book_.SlicesFor(Of("p", "other")), (std::vector<SliceKey>{all_, of_project_}));
  EXPECT_EQ(book_.SlicesFor(Of("q", "k")), (std::vector<SliceKey>{all_}));
  EXPECT_TRUE(book_.SlicesFor({}).empty()) << "one that says nothing of itself";
  const Time last = kMarch - milliseconds(1);
  EXPECT_EQ(book_.SlicesFor(Of("q", "k", last)), (std::vector<SliceKey>{{kAll, Day(2026, 2, 1)}}));
  book_.Replace(2, {{.uid = kAll, .period = BudgetRule::Period::kRange, .start = kMarch, .end = kMarch + seconds(5)}});
  EXPECT_TRUE(book_.SlicesFor(Of("p", "k")).empty()) << "its range is over";
  EXPECT_TRUE(book_.SlicesFor(Of("p", "k", last)).empty());
  EXPECT_EQ(book_.SlicesFor(Of("p", "k", kMarch)), (std::vector<SliceKey>{all_}));
}

TEST_F(BudgetBookTest, AllOrNone) {
  const Spender one = Of("p", "k");
  EXPECT_FALSE(Take(one, 1));
  Fill(Of("q", "k"), 100);
  EXPECT_FALSE(Take(one, 1)) << "two of three have nothing";
  Fill(one, 30);
  EXPECT_TRUE(Take(one, 30));
  EXPECT_EQ(book_.free(of_key_), Money(0));
  EXPECT_EQ(book_.free(all_), Money(70)) << "it had enough and nothing was asked for it";
  EXPECT_FALSE(Take(Of("p", "k"), 1));
  EXPECT_TRUE(Take(Of("q", "k"), 70));
  EXPECT_EQ(book_.TakenFrom(one.request), (std::vector<SliceKey>{all_, of_project_, of_key_}));
}

TEST_F(BudgetBookTest, WhatARequestDidNotCostIsFreeAgain) {
  const Spender one = Of("p", "k");
  Fill(one, 30);
  ASSERT_TRUE(Take(one, 10));
  ASSERT_TRUE(Take(one, 25)) << "it grows: the difference";
  EXPECT_EQ(book_.free(of_key_), Money(5));
  EXPECT_FALSE(Take(one, 31));
  book_.Settle(one.request, Money(12));
  EXPECT_EQ(book_.free(of_key_), Money(18));
  book_.Settle(one.request, Money(12));
  EXPECT_EQ(book_.free(of_key_), Money(18)) << "once";
  EXPECT_TRUE(book_.TakenFrom(one.request).empty());
}

TEST_F(BudgetBookTest, ANewBudgetCountsForWhatRunsWhenItGrows) {
  const Spender one = Of("p", "k");
  Fill(one, 100);
  ASSERT_TRUE(Take(one, 10));
  const Uuid other = Uuid::FromName("new");
  book_.Replace(2, {{.uid = kAll, .id = "all"}, {.uid = other, .id = "new"}});
  EXPECT_EQ(book_.free(of_key_), Amount()) << "its budget is gone";
  EXPECT_FALSE(Take(one, 20)) << "nothing is known to be left of it";
  Fill(one, 15);
  EXPECT_FALSE(Take(one, 20));
  EXPECT_TRUE(Take(one, 15)) << "all of it, from the new one";
  book_.Settle(one.request, Money(15));
  EXPECT_EQ(book_.free({other, kMarch}), Amount());
}

TEST_F(BudgetBookTest, AsksForWhoWaitsAndSomeMoreAndIsModestWhenThereIsLittle) {
  auto asks = book_.NextAsks({{all_, {Money(10), Money(30)}}}, false, At(0));
  ASSERT_EQ(asks.size(), 1U);
  EXPECT_EQ(asks[0], (BudgetBook::Ask{all_, Money(10), Money(70), Money(0)}));
  book_.OnSent(asks);
  book_.OnAdjusted(asks, {{all_, true, Money(10)}}, At(1));
  ASSERT_TRUE(Take(Of("q", "k"), 10, 2));
  asks = book_.NextAsks({{all_, {Money(10), Money(10)}}}, false, At(3));
  ASSERT_EQ(asks.size(), 1U);
  EXPECT_EQ(asks[0].want, Money(10)) << "it got less than half of what it wanted";
  book_.OnRefused(asks);
  EXPECT_TRUE(book_.NextAsks({}, false, At(4)).empty()) << "nothing ahead of need";
}

TEST_F(BudgetBookTest, GivesBackWhatIsNotUsedOrRecalledAndAtTheEnd) {
  Fill(Of("q", "k"), 40);
  EXPECT_EQ(book_.until(At(1)), At(2000));
  EXPECT_TRUE(book_.NextAsks({}, false, At(1999)).empty());
  auto asks = book_.NextAsks({}, false, At(2000));
  ASSERT_EQ(asks.size(), 1U);
  EXPECT_EQ(asks[0].give_back, Money(40));
  book_.OnSent(asks);
  EXPECT_EQ(book_.free(all_), Amount());
  book_.OnRefused(asks);
  EXPECT_EQ(book_.free(all_), Money(40));
  book_.Recall(kOfProject);
  EXPECT_FALSE(book_.has_recalled());
  book_.Recall(kAll);
  EXPECT_TRUE(book_.has_recalled());
  asks = book_.NextAsks({{all_, {Money(50), Money(50)}}}, false, At(10));
  ASSERT_EQ(asks.size(), 1U);
  EXPECT_EQ(asks[0].give_back, Money(40)) << "before anything is asked for";
  EXPECT_EQ(asks[0].need, Amount());
  EXPECT_EQ(book_.NextAsks({}, true, At(20)).at(0).give_back, Money(40));
}

TEST_F(BudgetBookTest, IsForgottenWhenNobodyUsesIt) {
  Fill(Of("q", "k"), 40);
  const auto asks = book_.NextAsks({}, false, At(2000));
  book_.OnSent(asks);
  book_.OnAdjusted(asks, {{all_, false}}, At(2001));
  EXPECT_EQ(book_.free(all_), Amount()) << "billing has no such budget any more";
  book_.OnGone();
  EXPECT_EQ(book_.SlicesFor(Of("q", "k")).size(), 1U) << "which there are is still known";
}

// One adjustment says both: what the lease needs and what the budgets do.
TEST(LeaseBookWithBudgets, AsksTogetherAndKnowsWhichBudgetsThereAre) {
  LeaseBook book;
  book.Begin(Uuid::V7());
  LeaseBook::Waiting waiting{.first = Money(10), .all = Money(10)};
  auto step = book.NextStep(&waiting, LeaseBook::Mood::kOpen, At(0));
  ASSERT_TRUE(step.ask);
  EXPECT_TRUE(step.ask->slices.empty()) << "nobody knows of any yet";
  EXPECT_EQ(step.ask->budgets_version, 0);
  LeaseBook::Answer answer{.added = Money(50), .admit_for = seconds(60), .ends_after = seconds(600)};
  answer.budgets_version = 7;
  answer.rules = {{.uid = kAll, .id = "all"}};
  book.OnAdjusted(answer, At(1));
  const SliceKey key{kAll, kMarch};
  waiting.slices[key] = {Money(10), Money(10)};
  step = book.NextStep(&waiting, LeaseBook::Mood::kOpen, At(2));
  ASSERT_TRUE(step.ask) << "of the lease there is enough";
  EXPECT_EQ(step.ask->want, Amount());
  EXPECT_EQ(step.ask->budgets_version, 7);
  ASSERT_EQ(step.ask->slices.size(), 1U);
  EXPECT_EQ(step.ask->slices[0].need, Money(10));
  answer = {.admit_for = seconds(60), .ends_after = seconds(600), .slices = {{key, true, Money(10)}}};
  book.OnAdjusted(answer, At(3));
  EXPECT_EQ(book.budgets().free(key), Money(10));
  book.DoubtBudgets();
  step = book.NextStep(nullptr, LeaseBook::Mood::kOpen, At(4));
  ASSERT_TRUE(step.ask) << "to hear which there are";
  book.OnGone();
  EXPECT_EQ(book.budgets().free(key), Amount());
}

}  // namespace
}  // namespace allod::gateway::metering::budget_book_test
