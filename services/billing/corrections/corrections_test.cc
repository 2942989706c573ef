// What a wrong price and a service level that was not kept give back, as tables.
#include "services/billing/corrections/corrections.h"

#include <gtest/gtest.h>

namespace allod::billing::corrections::corrections_test {
namespace {

const Time kNow = std::chrono::sys_days(std::chrono::year(2026) / 11 / 15);
const InvoicePeriod kOctober = ParsePeriod("2026-10", kNow).value();
const Time kNovember = kOctober.end;
const Uuid kOld = Uuid::FromName("old");
const Uuid kNew = Uuid::FromName("new");

Amount Kes(const std::string& text) { return Amount::Parse("amount", text).value(); }

IssuedLine Line(std::int32_t number, std::int64_t tokens, const char* per_token, const char* instance = "i",
                Meter meter = Meter::kPrompt, Uuid book = kOld) {
  IssuedLine out{.number = number,
                 .month = kOctober.start,
                 .instance = std::string("tenants/ke/projects/p/instances/") + instance,
                 .variant = "models/m/versions/v/variants/q4",
                 .price_book = book,
                 .isolation_class = "pooled",
                 .meter = meter,
                 .quantity = tokens,
                 .unit_price = Kes(per_token)};
  out.exact = Multiply(out.unit_price, tokens).value();
  out.amount = Round(out.exact, 2);
  return out;
}

CreditState State(std::vector<IssuedLine> lines) {
  CreditState out;
  out.invoice = {.id = "2026-10", .period = kOctober, .number = "KE-000001", .currency_code = "KES"};
  out.invoice.lines = std::move(lines);
  for (const IssuedLine& line : out.invoice.lines) out.invoice.net = Add(out.invoice.net, line.amount).value();
  return out;
}

std::vector<TokenPrice> Prices(const char* prompt, const char* completion) {
  return {{.currency_code = "KES", .prompt = Kes(prompt), .completion = Kes(completion)}};
}

Result<Plan> Rerate(const CreditState& state, const std::vector<TokenPrice>& prices) {
  return DecideRerate(state, {.period = kOctober, .old_book = kOld, .new_book = kNew, .reason = "r"}, prices,
                      kNovember);
}

TEST(DecideRerate, WhatWasTooMuchIsCreditedAndWhatWasTooLittleIsCharged) {
  const CreditState state = State({Line(1, 1'000, "0.05005"), Line(2, 1'000, "0.1", "i", Meter::kCompletion),
                                   Line(3, 1'000, "0.05", "j", Meter::kPrompt, kNew)});
  const auto plan = Rerate(state, Prices("0.04", "0.100005"));
  ASSERT_TRUE(plan) << plan.error().message;
  ASSERT_EQ(plan->lines.size(), 2U) << "the third is of another book";
  ASSERT_EQ(plan->credits.size(), 1U);
  EXPECT_EQ(plan->credits[0].number, 1);
  EXPECT_EQ(plan->credits[0].amount, Kes("10.05")) << "50.05 as it was rounded, less 40";
  ASSERT_EQ(plan->charges.size(), 1U);
  EXPECT_EQ(plan->charges[0].exact, Kes("0.005"));
  EXPECT_EQ(plan->charges[0].month, kNovember);
  EXPECT_EQ(plan->charges[0].terms.detail, "KE-000001 2");
}

TEST(DecideRerate, GivesBackNoMoreThanIsLeft) {
  CreditState state = State({Line(1, 1'000, "0.05")});
  state.credited[1] = Kes("45");
  EXPECT_EQ(Rerate(state, Prices("0.04", "0"))->credits[0].amount, Kes("5"));
  state.credited[1] = Kes("50");
  EXPECT_EQ(Rerate(state, Prices("0.04", "0")).error().reason, "NOTHING_TO_RERATE");
}

TEST(DecideRerate, ChargesMoreOnlyForWhatWasNotGivenBack) {
  CreditState state = State({Line(1, 1'000, "0.05")});
  EXPECT_EQ(Rerate(state, Prices("0.06", "0"))->charges.at(0).exact, Kes("10"));
  state.credited[1] = Kes("12.5");
  EXPECT_EQ(Rerate(state, Prices("0.06", "0"))->charges.at(0).exact, Kes("7.5")) << "three quarters are left";
  EXPECT_EQ(Rerate(state, Prices("0.06", "0"))->charges.at(0).unit_price, Kes("7.5"));
  state.credited[1] = Kes("50");
  EXPECT_EQ(Rerate(state, Prices("0.06", "0")).error().reason, "NOTHING_TO_RERATE") << "it was given back as a whole";
  // So little that it was rounded to nothing: it is charged all the same.
  EXPECT_EQ(Rerate(State({Line(1, 1, "0.001")}), Prices("0.003", "0"))->charges.at(0).exact, Kes("0.002"));
}

TEST(DecideRerate, SaysWhyNot) {
  const CreditState state = State({Line(1, 1'000, "0.05")});
  EXPECT_EQ(Rerate(state, Prices("0.05", "0")).error().reason, "NOTHING_TO_RERATE");
  EXPECT_EQ(Rerate(State({Line(1, 1, "1", "i", Meter::kPrompt, kNew)}), Prices("2", "2")).error().reason,
            "NOTHING_TO_RERATE");
  EXPECT_EQ(Rerate(state, {{.currency_code = "TZS"}}).error().reason, "INVALID_RERATING");
  EXPECT_EQ(DecideRerate(state, {.old_book = kOld, .new_book = kOld}, {}, kNovember).error().reason,
            "INVALID_RERATING");
}

InstanceRequests Of(const char* instance, std::int64_t requests, std::int64_t faults) {
  return {std::string("tenants/ke/projects/p/instances/") + instance, requests, faults};
}

TEST(DecideServiceLevel, ComparesWholeNumbersAndTakesTheLowestStep) {
  const std::vector<terms::ServiceLevelStep> steps = {{9'950, 1'000}, {9'900, 2'500}};
  struct Row {
    std::int64_t requests, faults;
    const char* credited;
  };
  for (const Row& row : {Row{1'000, 5, ""}, Row{1'000, 6, "5"}, Row{1'000, 10, "5"}, Row{1'000, 11, "12.5"},
                         Row{1, 1, "12.5"}, Row{0, 0, ""}, Row{4'000'000'000'000'000'000, 20'000'000'000'000'000, ""},
                         Row{4'000'000'000'000'000'000, 20'000'000'000'000'001, "5"}}) {
    const auto credits =
        DecideServiceLevel(State({Line(1, 1'000, "0.05")}), steps, {Of("i", row.requests, row.faults)}).value();
    ASSERT_EQ(credits.size(), *row.credited == 0 ? 0U : 1U) << row.requests << " " << row.faults;
    if (!credits.empty()) {
      EXPECT_EQ(credits[0].lines[0].amount, Kes(row.credited)) << row.faults;
    }
  }
}

TEST(DecideServiceLevel, IsOfTheInstancesOwnLinesOfTheMonth) {
  IssuedLine late = Line(2, 1'000, "0.05");
  late.month = kOctober.start - std::chrono::days(30);
  IssuedLine time = Line(3, 3'600, "1");
  time.exact = time.amount = Kes("7");
  time.charge = ChargeTerms{.kind = ChargeKind::kInstanceTime};
  IssuedLine rerated = time;
  rerated.number = 4;
  rerated.charge->kind = ChargeKind::kRerating;
  CreditState state = State({Line(1, 1'000, "0.05"), late, time, rerated, Line(5, 1'000, "0.05", "j")});
  state.credited[1] = Kes("49");
  const auto credits =
      DecideServiceLevel(state, {{10'000, 1'000}}, {Of("j", 10, 0), Of("i", 10, 1), Of("gone", 10, 10)}).value();
  ASSERT_EQ(credits.size(), 1U);
  ASSERT_EQ(credits[0].lines.size(), 2U);
  EXPECT_EQ(credits[0].lines[0].amount, Kes("1")) << "what is left of it";
  EXPECT_EQ(credits[0].lines[1].number, 3);
  EXPECT_EQ(credits[0].lines[1].amount, Kes("0.7"));
  EXPECT_EQ(ReasonOf(credits), "Availability below what was agreed: i: 1 of 10 requests failed");
}

TEST(ReasonOf, FitsOnACreditNote) {
  std::vector<ServiceLevelCredit> credits(500);
  for (auto& credit : credits) credit.of = Of("instance-with-a-long-name", 1'000'000'000, 1'000'000);
  const std::string reason = ReasonOf(credits);
  EXPECT_LE(reason.size(), 400U);
  EXPECT_NE(reason.find(" more"), std::string::npos);
}

}  // namespace
}  // namespace allod::billing::corrections::corrections_test
