#include "services/common/money.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace allod::money_test {
namespace {

using testing::HasSubstr;

Amount Parse(std::string_view text) { return Amount::Parse("amount", text).value(); }

const std::string kLargest(38, '9');

TEST(Amount, PrintsTheShortestExactDecimal) {
  const std::pair<const char*, const char*> kCases[] = {
      {"0", "0"},
      {"-0", "0"},
      {"0.000", "0"},
      {"12.50", "12.5"},
      {"007", "7"},
      {"-0.000000000001", "-0.000000000001"},
      {"1", "1"},
      {"-12.34", "-12.34"},
      {"99999999999999999999999999.999999999999", "99999999999999999999999999.999999999999"},
  };
  for (const auto& [text, shown] : kCases) EXPECT_EQ(Parse(text).ToString(), shown);
}

TEST(Amount, RefusesWhatIsNoPlainDecimal) {
  for (const std::string text : {"", "-", ".", "1.", ".5", "+1", "1e3", " 1", "1 ", "1,5", "--1", "0x1", "1.2.3", "NaN",
                                 "1.0000000000001", "100000000000000000000000000", "-100000000000000000000000000"}) {
    const auto amount = Amount::Parse("price", text);
    ASSERT_FALSE(amount) << text;
    EXPECT_EQ(amount.error().reason, "INVALID_AMOUNT");
    EXPECT_THAT(amount.error().message, HasSubstr("price"));
  }
  EXPECT_FALSE(Amount::Parse("price", std::string(1'000'000, '0')));
}

TEST(Amount, HonoursTheCallersLimitOfDecimals) {
  EXPECT_TRUE(Amount::Parse("price", "1.25", 2));
  EXPECT_FALSE(Amount::Parse("price", "1.255", 2));
  EXPECT_FALSE(Amount::Parse("price", "1.0", 0));
}

TEST(Amount, RoundTripsThroughBothTexts) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 10'000; ++i) {
    Int128 pico = static_cast<Int128>(static_cast<std::int64_t>(random())) *
                  (1 + static_cast<std::int64_t>(random() % 1'000'000'000));
    pico >>= random() % 90;
    const Amount amount = Amount::FromPico(pico);
    ASSERT_EQ(Parse(amount.ToString()), amount);
    ASSERT_EQ(*Amount::ParsePico(amount.ToPicoString()), amount);
  }
}

TEST(Amount, HoldsWhatNumeric38Holds) {
  const auto largest = Amount::ParsePico(kLargest);
  ASSERT_TRUE(largest);
  EXPECT_EQ(largest->ToPicoString(), kLargest);
  EXPECT_EQ(Amount::ParsePico("-" + kLargest)->ToPicoString(), "-" + kLargest);
  EXPECT_FALSE(Amount::ParsePico("1" + std::string(38, '0')));
  EXPECT_FALSE(Amount::ParsePico("1.5"));
  EXPECT_FALSE(Amount::ParsePico(""));
}

TEST(AmountArithmetic, FailsInsteadOfOverflowing) {
  const Amount largest = *Amount::ParsePico(kLargest);
  const Amount least = *Amount::ParsePico("-" + kLargest);
  const Amount one = Amount::FromPico(1);
  for (const auto& result : {Add(largest, one), Subtract(least, one), Add(largest, largest), Multiply(largest, 2),
                             Multiply(largest, INT64_MAX), Multiply(least, INT64_MIN)}) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::kOutOfRange);
    EXPECT_EQ(result.error().reason, "AMOUNT_OUT_OF_RANGE");
  }
  EXPECT_EQ(*Subtract(largest, one), *Add(*Subtract(largest, Amount::FromPico(2)), one));
  EXPECT_EQ(*Add(largest, least), Amount());
  EXPECT_EQ(*Multiply(Parse("0.25"), -4), Parse("-1"));
}

TEST(TokenPrice, IsAWholeNumberOfPico) {
  EXPECT_EQ(TokenPriceFromMillion("price", "0.000001")->pico(), 1);
  EXPECT_EQ(TokenPriceFromMillion("price", "12.5")->pico(), 12'500'000);
  EXPECT_EQ(TokenPriceFromMillion("price", "0")->pico(), 0);
  const Amount per_token = *TokenPriceFromMillion("price", "3.141593");
  EXPECT_EQ(*Multiply(per_token, 1'000'000), Parse("3.141593"));
}

TEST(TokenPrice, RefusesFinerAndNegativePrices) {
  for (const char* price : {"0.0000001", "-1", "", "free"}) {
    const auto result = TokenPriceFromMillion("price", price);
    ASSERT_FALSE(result) << price;
    EXPECT_EQ(result.error().reason, "INVALID_PRICE");
  }
}

TEST(MinorUnits, FollowIso4217) {
  const std::pair<const char*, int> kCases[] = {{"KES", 2}, {"USD", 2}, {"JPY", 0}, {"TND", 3},
                                                {"XOF", 0}, {"AED", 2}, {"ZWG", 2}, {"BIF", 0}};
  for (const auto& [code, decimals] : kCases) EXPECT_EQ(*MinorUnitDecimals("currency_code", code), decimals) << code;
  for (const char* code : {"", "kes", "XXX", "US", "USDX", "ED ", "D A"}) {
    const auto result = MinorUnitDecimals("currency_code", code);
    ASSERT_FALSE(result) << code;
    EXPECT_EQ(result.error().reason, "UNKNOWN_CURRENCY");
  }
}

TEST(Round, GoesToTheEvenNeighbourFromTheMiddle) {
  struct Case {
    const char* amount;
    int decimals;
    const char* rounded;
  };
  const Case kCases[] = {
      {"0.125", 2, "0.12"},   {"0.135", 2, "0.14"},     {"0.125000000001", 2, "0.13"},
      {"-0.125", 2, "-0.12"}, {"-0.135", 2, "-0.14"},   {"0.5", 0, "0"},
      {"1.5", 0, "2"},        {"2.5", 0, "2"},          {"-0.5", 0, "0"},
      {"-1.5", 0, "-2"},      {"0.0049", 2, "0"},       {"0.005", 2, "0"},
      {"0.015", 2, "0.02"},   {"1.2345", 12, "1.2345"}, {"7", 2, "7"},
  };
  for (const Case& c : kCases) EXPECT_EQ(Round(Parse(c.amount), c.decimals), Parse(c.rounded)) << c.amount;
}

TEST(SecondPriceFromHour, TakesWhatIsExactForASecond) {
  struct Case {
    const char* hour;
    std::int64_t second;  // 10^-12
  };
  const Case kCases[] = {
      {"", 0}, {"0", 0}, {"0.0000000036", 1}, {"0.9", 250'000'000}, {"3.6", 1'000'000'000}, {"18", 5'000'000'000}};
  for (const Case& c : kCases) {
    const auto second = SecondPriceFromHour("price", c.hour);
    ASSERT_TRUE(second) << c.hour << ": " << second.error().message;
    EXPECT_EQ(*second, Amount::FromPico(c.second)) << c.hour;
    EXPECT_EQ(PerHour(*second), *c.hour == '\0' ? "0" : c.hour);
  }
}

TEST(SecondPriceFromHour, NamesTheNearestOfWhatIsNot) {
  const auto ten = SecondPriceFromHour("prices[0].instance_price_per_hour", "10");
  ASSERT_FALSE(ten);
  EXPECT_EQ(ten.error().reason, "INVALID_PRICE");
  for (const char* part : {"prices[0].instance_price_per_hour", "9.9999999972", "10.0000000008"}) {
    EXPECT_NE(ten.error().message.find(part), std::string::npos) << ten.error().message;
  }
  EXPECT_TRUE(SecondPriceFromHour("price", "9.9999999972"));
  EXPECT_TRUE(SecondPriceFromHour("price", "10.0000000008"));
  for (const char* bad : {"-3.6", "1e3", "0.0000000000036", "x"}) {
    EXPECT_EQ(SecondPriceFromHour("price", bad).error().reason, "INVALID_PRICE") << bad;
  }
}

TEST(Round, LeavesAResidueOfAtMostHalfAUnit) {
  std::mt19937_64 random(11);
  const Int128 unit = Parse("0.01").pico();
  for (int i = 0; i < 10'000; ++i) {
    const Amount amount = Amount::FromPico(static_cast<std::int64_t>(random()));
    const Amount rounded = Round(amount, 2);
    const Int128 residue = Subtract(amount, rounded)->pico();
    ASSERT_EQ(rounded.pico() % unit, 0);
    ASSERT_LE((residue < 0 ? -residue : residue) * 2, unit);
    ASSERT_EQ(Round(rounded, 2), rounded);
  }
}

}  // namespace
}  // namespace allod::money_test
