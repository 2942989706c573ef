#include "services/billing/instance_time/instance_time.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace allod::billing::instance_time::instance_time_test {
namespace {

using namespace std::chrono_literals;
using std::chrono::sys_days;

constexpr auto Day(int year, unsigned month, unsigned day) {
  return Time(sys_days(std::chrono::year(year) / month / day));
}

const KeyPrice kPrice{.book_exists = true, .price = TokenPrice{"KES", "", {}, {}, "", Amount::FromPico(5)}};

InstanceInterval Told(Time start, Time until) {
  return {.replica = Uuid::FromName("replicas/r"),
          .start = start,
          .until = until,
          .instance = "tenants/ke/projects/p/instances/i",
          .generation = 1,
          .terms = {.price_book = Uuid::FromName("priceBooks/b"), .variant = "models/m/versions/v/variants/q4_k_m"}};
}

TimeDecision Decide(const std::optional<KnownInterval>& known, const InstanceInterval& told) {
  const auto decided = DecideInstanceTime(known, told, kPrice, "KES", Day(2190, 1, 1));
  EXPECT_TRUE(decided) << decided.error().message;
  return decided.value_or(TimeDecision{});
}

TEST(DecideInstanceTime, CutsAtTheEndOfAMonthInUtc) {
  struct Part {
    const char* month;
    std::int64_t seconds;
  };
  struct Case {
    const char* what;
    Time start, until;
    std::vector<Part> parts;
  };
  const Case kCases[] = {
      {"nothing", Day(2026, 10, 5), Day(2026, 10, 5), {}},
      {"less than a second", Day(2026, 10, 5), Day(2026, 10, 5) + 999ms, {}},
      {"within a month", Day(2026, 10, 5), Day(2026, 10, 5) + 90min, {{"2026-10", 5400}}},
      {"to its end", Day(2026, 10, 31), Day(2026, 11, 1), {{"2026-10", 86400}}},
      {"over its end", Day(2026, 10, 31) + 23h, Day(2026, 11, 1) + 1h, {{"2026-10", 3600}, {"2026-11", 3600}}},
      {"a second that the end cuts is of the month after",
       Day(2026, 11, 1) - 500ms,
       Day(2026, 11, 1) + 600ms,
       {{"2026-10", 0}, {"2026-11", 1}}},
      {"a leap day", Day(2028, 2, 1), Day(2028, 3, 2), {{"2028-02", 29 * 86400}, {"2028-03", 86400}}},
      {"no leap day", Day(2026, 2, 1), Day(2026, 3, 2), {{"2026-02", 28 * 86400}, {"2026-03", 86400}}},
      {"over a year", Day(2026, 12, 31), Day(2027, 2, 1), {{"2026-12", 86400}, {"2027-01", 31 * 86400}}},
      {"a leap second is not counted",
       Day(2026, 12, 31) + 24h - 1s,
       Day(2027, 1, 1) + 1s,
       {{"2026-12", 1}, {"2027-01", 1}}},
      {"where clocks change, UTC does not", Day(2026, 3, 29), Day(2026, 3, 30), {{"2026-03", 86400}}},
  };
  for (const Case& c : kCases) {
    const TimeDecision decision = Decide(std::nullopt, Told(c.start, c.until));
    ASSERT_EQ(decision.entries.size(), c.parts.size()) << c.what;
    for (std::size_t i = 0; i < c.parts.size(); ++i) {
      EXPECT_EQ(PeriodOf(decision.entries[i].month).name, c.parts[i].month) << c.what;
      EXPECT_EQ(decision.entries[i].seconds, c.parts[i].seconds) << c.what;
      EXPECT_EQ(decision.entries[i].cost, Amount::FromPico(5 * c.parts[i].seconds)) << c.what;
    }
  }
}

TEST(DecideInstanceTime, CountsTheSameInHoweverManyPartsItIsTold) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    const Time start = Day(2026, 1, 1) + std::chrono::microseconds(random() % 30'000'000'000'000);
    const Time end = start + std::chrono::microseconds(random() % 6'000'000'000'000);
    std::map<std::string, std::int64_t> whole, parts;
    for (const TimeEntry& e : Decide(std::nullopt, Told(start, end)).entries)
      whole[PeriodOf(e.month).name] += e.seconds;
    std::optional<KnownInterval> known;
    Time told = start;
    while (told < end) {
      // Out of order now and then: what was told before is told again.
      const auto step = std::chrono::microseconds(random() % 400'000'000'000);
      told = std::min(end, random() % 4 == 0 ? told - std::min(told - start, Time::duration(step)) : told + step);
      const TimeDecision decision = Decide(known, Told(start, told));
      if (decision.entries.empty()) continue;
      for (const TimeEntry& e : decision.entries) parts[PeriodOf(e.month).name] += e.seconds;
      known = KnownInterval{Told(start, decision.entries.back().until), decision.second_price};
    }
    std::erase_if(whole, [](const auto& entry) { return entry.second == 0; });
    std::erase_if(parts, [](const auto& entry) { return entry.second == 0; });
    ASSERT_EQ(parts, whole);
  }
}

TEST(DecideInstanceTime, KeepsThePriceThatItBeganWith) {
  const Time start = Day(2026, 10, 5);
  const KnownInterval known{Told(start, start + 1h), Amount::FromPico(3)};
  const TimeDecision decision = Decide(known, Told(start, start + 2h));
  ASSERT_EQ(decision.entries.size(), 1U);
  EXPECT_EQ(decision.entries[0].cost, Amount::FromPico(3 * 3600));
  EXPECT_FALSE(decision.is_new);
  // Told again, or of less than before.
  EXPECT_TRUE(Decide(known, Told(start, start + 1h)).entries.empty());
  EXPECT_TRUE(Decide(known, Told(start, start + 1min)).entries.empty());
}

TEST(DecideInstanceTime, RefusesWhatMakesNoSense) {
  const Time now = Day(2026, 10, 5) + 12h;
  const auto reason = [&](const std::optional<KnownInterval>& known, const InstanceInterval& told,
                          const KeyPrice& price = kPrice) {
    const auto decided = DecideInstanceTime(known, told, price, "KES", now);
    return decided ? std::string() : decided.error().reason;
  };
  EXPECT_EQ(reason({}, Told(now, now + kIntervalSkewMax)), "");
  EXPECT_EQ(reason({}, Told(now, now + kIntervalSkewMax + 1us)), "INVALID_INTERVAL");
  EXPECT_EQ(reason({}, Told(now, now - 1us)), "INVALID_INTERVAL");
  EXPECT_EQ(reason({}, Told(Day(2019, 12, 31), now)), "INVALID_INTERVAL");
  EXPECT_EQ(reason({}, Told(now, now), {.book_exists = true}), "PRICE_NOT_FOUND");
  const KnownInterval known{Told(now - 1h, now), Amount::FromPico(3)};
  for (const auto change :
       {+[](InstanceInterval& i) { i.instance += "x"; }, +[](InstanceInterval& i) { ++i.generation; },
        +[](InstanceInterval& i) { i.terms.isolation_class = "pooled"; },
        +[](InstanceInterval& i) { i.terms.price_book = Uuid::FromName("other"); }}) {
    InstanceInterval told = known.interval;
    change(told);
    EXPECT_EQ(reason(known, told), "INTERVAL_REUSED");
  }
  // The price may be gone from the books' table for all that is known of it.
  EXPECT_EQ(reason(known, known.interval, {}), "");
}

}  // namespace
}  // namespace allod::billing::instance_time::instance_time_test
