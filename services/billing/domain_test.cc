#include "services/billing/domain.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace allod::billing::domain_test {
namespace {

using std::chrono::sys_days;
using namespace std::chrono_literals;

TokenPrice Price(const char* currency, const char* variant, std::int64_t prompt, std::int64_t completion) {
  return {currency, variant, Amount::FromPico(prompt), Amount::FromPico(completion)};
}

PriceBook Book(std::vector<TokenPrice> prices) {
  return {.id = Uuid::V7(), .listing = "listings/x", .prices = std::move(prices)};
}

TEST(FindPrice, PrefersTheVariantsOwnRowAndFallsBackToTheRowForAll) {
  const std::vector<TokenPrice> prices = {Price("KES", "", 1, 1), Price("KES", "q4_k_m", 2, 2),
                                          Price("TZS", "q8_0", 3, 3)};
  EXPECT_EQ(FindPrice(prices, "KES", "q4_k_m", "isolated")->prompt.pico(), 2);
  EXPECT_EQ(FindPrice(prices, "KES", "q8_0", "isolated")->prompt.pico(), 1);
  EXPECT_EQ(FindPrice(prices, "TZS", "q8_0", "isolated")->prompt.pico(), 3);
  EXPECT_FALSE(FindPrice(prices, "TZS", "q4_k_m", "isolated"));
  EXPECT_FALSE(FindPrice(prices, "UGX", "q4_k_m", "isolated"));
}

TEST(FindPrice, TakesTheMostSpecificRow) {
  const auto row = [](const char* variant, const char* isolation, std::int64_t pico) {
    TokenPrice price = Price("KES", variant, pico, pico);
    price.isolation_class = isolation;
    return price;
  };
  std::vector<TokenPrice> prices = {row("", "", 1), row("", "pooled", 2), row("q4", "", 3), row("q4", "pooled", 4)};
  struct Case {
    const char* variant;
    const char* isolation;
    std::int64_t pico;
  };
  for (int order = 0; order < 2; ++order) {
    for (const Case& c : {Case{"q8", "isolated", 1}, Case{"q8", "pooled", 2}, Case{"q4", "isolated", 3},
                          Case{"q4", "dedicated", 3}, Case{"q4", "pooled", 4}}) {
      EXPECT_EQ(FindPrice(prices, "KES", c.variant, c.isolation)->prompt.pico(), c.pico) << c.variant << c.isolation;
    }
    std::ranges::reverse(prices);
  }
  // Variant before class, where only one of the two matches.
  EXPECT_EQ(FindPrice({row("", "pooled", 2), row("q4", "", 3)}, "KES", "q4", "pooled")->prompt.pico(), 3);
  EXPECT_FALSE(FindPrice({row("", "pooled", 2)}, "KES", "q4", "isolated"));
}

TEST(CheckPriceBook, TakesOneRowPerCurrencyVariantAndClass) {
  TokenPrice pooled = Price("KES", "", 5, 5);
  pooled.isolation_class = "pooled";
  EXPECT_TRUE(CheckPriceBook(Book({Price("KES", "", 1, 1), pooled})));
  EXPECT_EQ(CheckPriceBook(Book({pooled, Price("KES", "", 1, 1), pooled})).error().reason, "DUPLICATE_PRICE");
  pooled.isolation_class = "shared";
  EXPECT_EQ(CheckPriceBook(Book({pooled})).error().reason, "INVALID_ISOLATION_CLASS");
}

TEST(CheckPriceBook, AnHourHasItsBoundsAndIsContent) {
  TokenPrice hourly = Price("KES", "", 1, 1);
  hourly.instance_second = kSecondPriceMax;
  EXPECT_TRUE(CheckPriceBook(Book({hourly})));
  EXPECT_FALSE(SameContent(Book({hourly}), Book({Price("KES", "", 1, 1)})));
  hourly.instance_second = Amount::FromPico(kSecondPriceMax.pico() + 1);
  EXPECT_EQ(CheckPriceBook(Book({hourly})).error().reason, "PRICE_OUT_OF_RANGE");
  hourly.instance_second = Amount::FromPico(-1);
  EXPECT_EQ(CheckPriceBook(Book({hourly})).error().reason, "PRICE_OUT_OF_RANGE");
}

TEST(CheckPriceBook, SortsSoThatTheOrderOfRowsIsNoContent) {
  const Uuid id = Uuid::V7();
  PriceBook a = Book({Price("TZS", "", 1, 1), Price("KES", "q4", 2, 2)});
  PriceBook b = Book({Price("KES", "q4", 2, 2), Price("TZS", "", 1, 1)});
  a.id = b.id = id;
  EXPECT_TRUE(SameContent(CheckPriceBook(a).value(), CheckPriceBook(b).value()));
  b.prices[0].completion = Amount::FromPico(3);
  EXPECT_FALSE(SameContent(CheckPriceBook(a).value(), CheckPriceBook(b).value()));
}

TEST(CheckPriceBook, RefusesWhatCannotBePriced) {
  const auto reason = [](PriceBook book) { return CheckPriceBook(std::move(book)).error().reason; };
  EXPECT_EQ(reason(Book({})), "INVALID_PRICE_BOOK");
  EXPECT_EQ(reason(Book({Price("KES", "", 1, 1), Price("KES", "", 2, 2)})), "DUPLICATE_PRICE");
  EXPECT_EQ(reason(Book({Price("XYZ", "", 1, 1)})), "UNKNOWN_CURRENCY");
  EXPECT_EQ(reason(Book({Price("KES", "../q4", 1, 1)})), "INVALID_ID");
  EXPECT_EQ(reason(Book({Price("KES", "", -1, 1)})), "PRICE_OUT_OF_RANGE");
  EXPECT_EQ(reason(Book({Price("KES", "", 1, 1'000'000'000'000'001)})), "PRICE_OUT_OF_RANGE");
  EXPECT_EQ(reason(Book(std::vector<TokenPrice>(kPricesPerBookMax + 1, Price("KES", "", 1, 1)))), "INVALID_PRICE_BOOK");
  PriceBook nil = Book({Price("KES", "", 1, 1)});
  nil.id = Uuid();
  EXPECT_EQ(reason(nil), "INVALID_PRICE_BOOK");
}

TEST(Cost, IsExactToTheLastTokenAndAtTheLargestBounds) {
  // 0.000001 per million is one unit of 10^-12 per token.
  EXPECT_EQ(Cost(Amount::FromPico(1), 3, Amount::FromPico(7), 5)->ToString(), "0.000000000038");
  const auto most = Cost(kTokenPriceMax, kTokensMax, kTokenPriceMax, kTokensMax);
  ASSERT_TRUE(most);
  EXPECT_EQ(most->ToString(), "2000000000000");
  EXPECT_TRUE(Add(*most, kCreditLimitMax));
}

TEST(RequestIds, CarryTheirTimeAndSortByIt) {
  const Time time = sys_days(2026y / 11 / 23) + 18h + 123ms;
  EXPECT_EQ(TimeOfRequestId(Uuid::V7(time)).value(), time);
  EXPECT_LE(FirstRequestIdAt(time), Uuid::V7(time));
  EXPECT_GT(FirstRequestIdAt(time + 1ms), Uuid::V7(time));
  EXPECT_EQ(FirstRequestIdAt(time + 1us), FirstRequestIdAt(time + 1ms)) << "ids have whole milliseconds";
  EXPECT_EQ(FirstRequestIdAt(Time() - 1h), Uuid());
}

TEST(RequestIds, OfOtherVersionsAreRefused) {
  EXPECT_EQ(TimeOfRequestId(Uuid::FromName("tenants/ke")).error().reason, "INVALID_REQUEST_ID");
  EXPECT_EQ(TimeOfRequestId(Uuid()).error().reason, "INVALID_REQUEST_ID");
  EXPECT_EQ(TimeOfRequestId(Uuid::Parse("ffffffff-ffff-7fff-bfff-ffffffffffff").value()).error().reason,
            "INVALID_REQUEST_ID");
}

TEST(ParsePeriod, CoversWholeMonthsInUtc) {
  const auto december = ParsePeriod("2026-12", Time()).value();
  EXPECT_EQ(december.start, Time(sys_days(2026y / 12 / 1)));
  EXPECT_EQ(december.end, Time(sys_days(2027y / 1 / 1)));
  const auto current = ParsePeriod("current", sys_days(2028y / 2 / 29) + 23h + 59min).value();
  EXPECT_EQ(current.name, "2028-02");
  EXPECT_EQ(current.end, Time(sys_days(2028y / 3 / 1)));
}

TEST(ParsePeriod, RefusesEverythingElse) {
  for (const char* text : {"", "2026", "2026-13", "2026-00", "2026-1", "-026-01", "2026-+1", "2026_01", "1999-01",
                           "2200-01", "2026-01-01", "last"}) {
    EXPECT_EQ(ParsePeriod(text, Time()).error().reason, "INVALID_PERIOD") << text;
  }
}

TEST(CreditLimits, AreBoundedAndNeverNegative) {
  EXPECT_TRUE(CheckCreditLimit(Amount()));
  EXPECT_TRUE(CheckCreditLimit(kCreditLimitMax));
  EXPECT_EQ(CheckCreditLimit(Amount::FromPico(-1)).error().reason, "CREDIT_LIMIT_OUT_OF_RANGE");
  EXPECT_EQ(CheckCreditLimit(Amount::FromPico(kCreditLimitMax.pico() + 1)).error().reason, "CREDIT_LIMIT_OUT_OF_RANGE");
}

}  // namespace
}  // namespace allod::billing::domain_test
