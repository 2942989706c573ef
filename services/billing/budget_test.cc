#include "services/billing/budget.h"

#include <gtest/gtest.h>

#include "services/billing/budget_slices.h"

namespace allod::billing::budget_test {
namespace {

using namespace std::chrono_literals;

Time Day(int year, unsigned month, unsigned day) {
  return std::chrono::sys_days(std::chrono::year(year) / static_cast<int>(month) / static_cast<int>(day));
}
Amount Pico(std::int64_t pico) { return Amount::FromPico(pico); }
std::string Reason(const auto& result) { return result ? "" : result.error().reason; }

Budget Good() {
  return {.tenant_name = "tenants/ke",
          .id = "b",
          .uid = Uuid::FromName("b"),
          .scope = {.project = "p"},
          .amount = Pico(100),
          .thresholds = {100, 50, 80, 50}};
}

TEST(CheckBudget, Table) {
  const auto with = [](auto change) {
    Budget budget = Good();
    change(budget);
    return Reason(CheckBudget(std::move(budget)));
  };
  EXPECT_EQ(CheckBudget(Good())->thresholds, (std::vector<std::int32_t>{50, 80, 100}));
  EXPECT_EQ(with([](auto& b) { b.amount = Amount(); }), "");
  EXPECT_EQ(with([](auto& b) { b.amount = Pico(-1); }), "INVALID_AMOUNT");
  EXPECT_EQ(with([](auto& b) { b.thresholds = {0}; }), "INVALID_BUDGET");
  EXPECT_EQ(with([](auto& b) { b.thresholds = {1001}; }), "INVALID_BUDGET");
  EXPECT_EQ(with([](auto& b) {
              b.thresholds.clear();
              for (int i = 1; i <= 11; ++i) b.thresholds.push_back(i);
            }),
            "INVALID_BUDGET");
  EXPECT_EQ(with([](auto& b) { b.scope.instance = "tenants/ke/projects/p/instances/i"; }), "");
  EXPECT_EQ(with([](auto& b) { b.scope.instance = "tenants/ke/projects/q/instances/i"; }), "INVALID_BUDGET");
  EXPECT_EQ(with([](auto& b) { b.scope.api_key = "tenants/ke/projects/q/apiKeys/k"; }), "INVALID_BUDGET");
  EXPECT_EQ(with([](auto& b) { b.start = Day(2026, 1, 1); }), "INVALID_BUDGET") << "a month has no times";
  EXPECT_EQ(with([](auto& b) { b.period = BudgetPeriod::kRange; }), "INVALID_BUDGET");
  EXPECT_EQ(with([](auto& b) {
              b.period = BudgetPeriod::kRange;
              b.start = Day(2026, 1, 1);
              b.end = Day(2026, 2, 1);
            }),
            "");
  EXPECT_EQ(with([](auto& b) {
              b.period = BudgetPeriod::kRange;
              b.start = b.end = Day(2026, 1, 1);
            }),
            "INVALID_BUDGET");
  EXPECT_EQ(with([](auto& b) { b.display_name = std::string(200, 'x'); }), "INVALID_TEXT");
}

TEST(ChangedBudget, OnlyWhatMayAndOnlyIfNobodyElseDid) {
  const Budget standing = Good();
  Budget wanted = Good();
  EXPECT_EQ(ChangedBudget(standing, wanted, EtagOf(standing))->version, standing.version) << "nothing is another";
  wanted.amount = Pico(7);
  wanted.hard = true;
  EXPECT_EQ(Reason(ChangedBudget(standing, wanted, "")), "ETAG_MISMATCH");
  const Budget changed = ChangedBudget(standing, wanted, EtagOf(standing)).value();
  EXPECT_EQ(changed.amount, Pico(7));
  EXPECT_TRUE(changed.hard);
  EXPECT_NE(EtagOf(changed), EtagOf(standing));
  EXPECT_EQ(Reason(ChangedBudget(changed, wanted, EtagOf(standing))), "ETAG_MISMATCH");
  wanted.scope.project = "q";
  EXPECT_EQ(Reason(ChangedBudget(standing, wanted, EtagOf(standing))), "BUDGET_IMMUTABLE");
  wanted = Good();
  wanted.period = BudgetPeriod::kTotal;
  EXPECT_EQ(Reason(ChangedBudget(standing, wanted, EtagOf(standing))), "BUDGET_IMMUTABLE");
}

TEST(StartOfPeriod, IsOfTheMonthInUtcOfTheRangeAndOfNothing) {
  const Time last = Day(2026, 2, 1) - 1us;
  EXPECT_EQ(StartOfPeriod(BudgetPeriod::kMonth, {}, {}, last), Day(2026, 1, 1));
  EXPECT_EQ(StartOfPeriod(BudgetPeriod::kMonth, {}, {}, last + 1us), Day(2026, 2, 1));
  EXPECT_EQ(StartOfPeriod(BudgetPeriod::kTotal, {}, {}, last), Time());
  const Time start = Day(2026, 1, 10), end = Day(2026, 1, 20);
  EXPECT_EQ(StartOfPeriod(BudgetPeriod::kRange, start, end, start - 1us), std::nullopt);
  EXPECT_EQ(StartOfPeriod(BudgetPeriod::kRange, start, end, start), start);
  EXPECT_EQ(StartOfPeriod(BudgetPeriod::kRange, start, end, end - 1us), start);
  EXPECT_EQ(StartOfPeriod(BudgetPeriod::kRange, start, end, end), std::nullopt);
}

TEST(IsStart, OfAPeriodAndOfNothingElse) {
  HardBudget month{.period = BudgetPeriod::kMonth};
  EXPECT_TRUE(IsStart(month, Day(2026, 2, 1)));
  EXPECT_FALSE(IsStart(month, Day(2026, 2, 2)));
  EXPECT_FALSE(IsStart(month, Day(2026, 2, 1) + 1us));
  EXPECT_FALSE(IsStart(month, Time())) << "nothing is of 1970";
  EXPECT_TRUE(IsStart({.period = BudgetPeriod::kTotal}, Time()));
  EXPECT_FALSE(IsStart({.period = BudgetPeriod::kTotal}, Day(2026, 2, 1)));
  const HardBudget range{.period = BudgetPeriod::kRange, .start = Day(2026, 1, 10), .end = Day(2026, 1, 20)};
  EXPECT_TRUE(IsStart(range, range.start));
  EXPECT_FALSE(IsStart(range, range.start + 1h));
  EXPECT_FALSE(IsStart(range, range.end));
}

TEST(Counts, WhenAllThatIsSaidHolds) {
  const std::string key = "tenants/ke/projects/p/apiKeys/k", instance = "tenants/ke/projects/p/instances/i";
  EXPECT_TRUE(Counts({}, "p", key, instance));
  EXPECT_TRUE(Counts({.project = "p", .api_key = key, .instance = instance}, "p", key, instance));
  EXPECT_FALSE(Counts({.project = "q"}, "p", key, instance));
  EXPECT_FALSE(Counts({.api_key = key}, "p", "", instance));
  EXPECT_FALSE(Counts({.project = "p", .instance = instance + "2"}, "p", key, instance));
}

TEST(DecideSlice, Table) {
  struct Row {
    const char* what;
    SliceAsk ask;
    SliceState state;
    std::int64_t added;
    std::int64_t remaining;
    bool is_short;
  };
  const auto ask = [](std::int64_t need, std::int64_t want, std::int64_t give_back = 0) {
    return SliceAsk{.need = Pico(need), .want = Pico(want), .give_back = Pico(give_back)};
  };
  const auto state = [](std::int64_t amount, std::int64_t spent, std::int64_t granted, std::int64_t remaining) {
    return SliceState{true, Pico(amount), Pico(spent), Pico(granted), Pico(remaining)};
  };
  for (const Row& row : {
           Row{"no such budget", ask(5, 5), {}, 0, 0, false},
           Row{"a quarter of what is left", ask(5, 1000), state(1000, 0, 0, 0), 250, 250, false},
           Row{"no more than is wanted", ask(5, 100), state(1000, 0, 0, 0), 100, 100, false},
           Row{"what is needed, of the last of it", ask(90, 1000), state(1000, 500, 400, 10), 90, 100, false},
           Row{"all of it", ask(100, 100), state(1000, 500, 400, 0), 100, 100, false},
           Row{"one too many", ask(101, 1000), state(1000, 500, 400, 10), 0, 10, true},
           Row{"given back first", ask(110, 110, 10), state(1000, 500, 400, 10), 110, 110, false},
           Row{"more given back than there is", ask(0, 0, 50), state(1000, 500, 400, 10), 0, 0, false},
           Row{"lowered below what was used", ask(0, 40), state(100, 500, 400, 10), 0, 10, false},
           Row{"... and needed", ask(1, 40), state(100, 500, 400, 10), 0, 10, true},
           Row{"nothing needed of nothing", ask(0, 0), state(0, 0, 0, 0), 0, 0, false},
       }) {
    const SliceDecision decision = DecideSlice(row.ask, row.state);
    EXPECT_EQ(decision.added, Pico(row.added)) << row.what;
    EXPECT_EQ(decision.remaining, Pico(row.remaining)) << row.what;
    EXPECT_EQ(decision.is_short, row.is_short) << row.what;
    EXPECT_EQ(decision.exists, row.state.exists) << row.what;
  }
}

}  // namespace
}  // namespace allod::billing::budget_test
