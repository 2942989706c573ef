// Charges as lines of an invoice: rounded once, never below nothing as a whole.
#include "services/billing/charge.h"

#include <gtest/gtest.h>

#include <random>

#include "services/billing/charge_lines.h"

namespace allod::billing::charge_test {
namespace {

const InvoicePeriod kOctober = ParsePeriod("2026-10", std::chrono::sys_days(std::chrono::year(2026) / 11 / 2)).value();

Amount Kes(const char* text) { return Amount::Parse("amount", text).value(); }

Charge Off(const char* amount, const char* term = "", ChargeKind kind = ChargeKind::kDiscount) {
  Charge out{.terms = {.kind = kind, .term = term}, .month = kOctober.start, .unit_price = Kes(amount)};
  out.exact = out.unit_price;
  if (*term == 0) out.terms.id = Uuid::FromName(amount);
  return out;
}

Charge Time(std::int64_t seconds, const char* hour_price) {
  return InstanceTime(kOctober.start, "tenants/ke/projects/p/instances/i", "models/m/versions/v/variants/q", "pooled",
                      Uuid::FromName("b"), seconds, Kes(hour_price))
      .value();
}

TEST(ExactOf, RoundsHalfToEvenToTheTwelfthDecimal) {
  struct Row {
    std::int64_t quantity, price, per, exact;
  };
  for (const Row& row : {Row{3600, 7, 3600, 7}, Row{1, 3600, 3600, 1}, Row{1, 1800, 3600, 0}, Row{1, 5400, 3600, 2},
                         Row{1, 1801, 3600, 1}, Row{1, -1800, 3600, 0}, Row{1, -5400, 3600, -2}, Row{5, -3, 1, -15}}) {
    EXPECT_EQ(ExactOf(row.quantity, Amount::FromPico(row.price), row.per).value(), Amount::FromPico(row.exact))
        << row.quantity << " " << row.price;
  }
  EXPECT_EQ(ExactOf(INT64_MAX, Amount::FromPico(Int128{1} << 100), 1).error().reason, "AMOUNT_OUT_OF_RANGE");
}

TEST(AddChargeLines, WhatAsksComesFirstAndEachIsRoundedOnce) {
  IssuedInvoice invoice;
  ASSERT_TRUE(AddChargeLines({Off("-1.005", "discount"), Time(5400, "2.01")}, {}, 2, false, invoice));
  ASSERT_EQ(invoice.lines.size(), 2U);
  EXPECT_EQ(invoice.lines[0].charge->kind, ChargeKind::kInstanceTime);
  EXPECT_EQ(invoice.lines[0].exact, Kes("3.015"));
  EXPECT_EQ(invoice.lines[0].amount, Kes("3.02"));
  EXPECT_EQ(invoice.lines[1].number, 2);
  EXPECT_EQ(invoice.lines[1].amount, Kes("-1"));
  EXPECT_EQ(invoice.residue, Kes("-0.01"));
  const ChargeSums sums = SumCharges(invoice).value();
  EXPECT_EQ(sums.charge, Amount()) << "time is owed since it passed";
  EXPECT_EQ(sums.discount, Kes("1.005"));
}

TEST(AddChargeLines, OfLinesThatWaitWhatTermsTakeOffWaitsToo) {
  const auto add = [](bool lines_left) {
    IssuedInvoice invoice;
    invoice.lines.push_back({.number = 1, .exact = Kes("6"), .amount = Kes("6")});
    // All of a month of 7, of which 1 has no room.
    EXPECT_TRUE(AddChargeLines({Off("-7", "discount")}, {}, 2, lines_left, invoice));
    return invoice;
  };
  const IssuedInvoice part = add(true);
  ASSERT_EQ(part.lines.size(), 2U);
  EXPECT_EQ(part.lines[1].exact, Kes("-6")) << "the rest stays open, and takes off in the next one";
  EXPECT_EQ(part.lines[1].unit_price, Kes("-6"));
  EXPECT_EQ(part.lines[1].amount, Kes("-6"));
  EXPECT_EQ(part.residue, Amount());
  const IssuedInvoice whole = add(false);
  EXPECT_EQ(whole.lines[1].exact, Kes("-7"));
  EXPECT_EQ(whole.lines[1].amount, Kes("-6"));
  EXPECT_EQ(whole.residue, Kes("-1"));
  // A second one finds nothing to take off.
  IssuedInvoice two;
  two.lines.push_back({.number = 1, .exact = Kes("6"), .amount = Kes("6")});
  ASSERT_TRUE(AddChargeLines({Off("-7", "discount"), Off("-1", "free_amount")}, {}, 2, true, two));
  EXPECT_EQ(two.lines.size(), 2U);
}

TEST(AddChargeLines, NothingGoesBelowZero) {
  struct Row {
    const char* name;
    std::vector<Charge> charges;
    std::vector<const char*> amounts;
  };
  for (const Row& row : {Row{"of terms as much as is left", {Time(3600, "1"), Off("-1.004", "a")}, {"1", "-1"}},
                         Row{"... and no more", {Time(3600, "1"), Off("-3", "a"), Off("-1", "b")}, {"1", "-1", "0"}},
                         Row{"a single one waits", {Time(3600, "1"), Off("-1.01")}, {"1"}},
                         Row{"... and lets smaller ones by", {Time(3600, "1"), Off("-1.01"), Off("-1")}, {"1", "-1"}},
                         Row{"nothing to take from", {Off("-1")}, {}}}) {
    IssuedInvoice invoice;
    ASSERT_TRUE(AddChargeLines(row.charges, {}, 2, false, invoice)) << row.name;
    ASSERT_EQ(invoice.lines.size(), row.amounts.size()) << row.name;
    for (std::size_t i = 0; i < row.amounts.size(); ++i) {
      EXPECT_EQ(invoice.lines[i].amount, Kes(row.amounts[i])) << row.name;
    }
  }
}

TEST(AddChargeLines, WhateverTheyAreInWhateverOrder) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 300; ++round) {
    std::vector<Charge> charges;
    for (std::uint64_t i = 0; i < 1 + random() % 12; ++i) {
      if (random() % 2 == 0) {
        charges.push_back(Time(1 + static_cast<std::int64_t>(random() % 100'000), "0.37"));
        charges.back().instance += std::to_string(i);
      } else {
        const std::string amount = "-" + std::to_string(random() % 20) + "." + std::to_string(1 + random() % 999);
        charges.push_back(Off(amount.c_str(), random() % 2 == 0 ? std::to_string(i).c_str() : ""));
      }
    }
    IssuedInvoice first, second;
    ASSERT_TRUE(AddChargeLines(charges, {}, 2, false, first));
    std::ranges::shuffle(charges, random);
    ASSERT_TRUE(AddChargeLines(charges, {}, 2, false, second));
    ASSERT_EQ(first.lines.size(), second.lines.size());
    Amount net, exact;
    for (std::size_t i = 0; i < first.lines.size(); ++i) {
      EXPECT_EQ(first.lines[i].amount, second.lines[i].amount);
      net = Add(net, first.lines[i].amount).value();
      exact = Add(exact, first.lines[i].exact).value();
      EXPECT_GE(net, Amount());
    }
    EXPECT_EQ(Add(net, first.residue).value(), exact);
  }
}

TEST(AddChargeLines, WhatHasNoRoomStaysOpenButForTerms) {
  IssuedInvoice invoice;
  invoice.lines.resize(kIssuedLinesMax);
  invoice.lines.back().amount = Kes("5");
  ASSERT_TRUE(AddChargeLines({Time(3600, "1"), Off("-1", "discount")}, {}, 2, false, invoice));
  ASSERT_EQ(invoice.lines.size(), kIssuedLinesMax + 1);
  EXPECT_EQ(invoice.lines.back().charge->term, "discount");
}

}  // namespace
}  // namespace allod::billing::charge_test
