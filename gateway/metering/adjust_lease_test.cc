#include "gateway/metering/adjust_lease.h"

#include <gtest/gtest.h>

namespace allod::gateway::metering::adjust_lease_test {
namespace {

const PriceKey kTerms{"models/m/versions/v/variants/q4", "books/b", "pooled"};

LeaseBook::Ask Ask() {
  return {.lease_id = Uuid::V7(),
          .epoch = 3,
          .need = Amount::FromPico(5),
          .want = Amount::FromPico(Int128{2'000'000'000'000}),
          .terms = kTerms};
}
billing::v1::AdjustLeaseResponse Response() {
  billing::v1::AdjustLeaseResponse out;
  out.set_added("1.5");
  out.mutable_admit_for()->set_seconds(120);
  out.mutable_ends_after()->set_seconds(600);
  auto& price = *out.add_prices();
  price.set_prompt("0.000001");
  price.set_completion("0.000002");
  return out;
}

TEST(AdjustLease, IsAskedAsTheBookSays) {
  const LeaseBook::Ask ask = Ask();
  const auto request = ToRequest(ask);
  EXPECT_EQ(request.lease_id(), ask.lease_id.ToString());
  EXPECT_EQ(request.epoch(), 3);
  EXPECT_EQ(request.need(), "0.000000000005");
  EXPECT_EQ(request.want(), "2");
  EXPECT_FALSE(request.end());
  ASSERT_EQ(request.terms_size(), 1);
  EXPECT_EQ(request.terms(0).variant(), kTerms.variant);
}

TEST(AdjustLease, AnAnswerIsBounded) {
  const auto answer = AnswerFrom(Ask(), Response());
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->added.ToString(), "1.5");
  EXPECT_EQ(answer->admit_for, std::chrono::minutes(2));
  EXPECT_EQ(answer->prices->completion, Amount::FromPico(2'000'000));
  const auto refused = [](auto change) {
    auto response = Response();
    change(response);
    return !AnswerFrom(Ask(), response);
  };
  EXPECT_TRUE(refused([](auto& r) { r.set_added("2.000000000001"); })) << "more than was wanted";
  EXPECT_TRUE(refused([](auto& r) { r.set_added("-1"); }));
  EXPECT_TRUE(refused([](auto& r) { r.set_added("much"); }));
  EXPECT_TRUE(refused([](auto& r) { r.clear_prices(); }));
  EXPECT_TRUE(refused([](auto& r) { r.mutable_prices(0)->set_prompt("100000000.000000000001"); }));
  EXPECT_TRUE(refused([](auto& r) { r.mutable_prices(0)->set_completion("-0.1"); }));
}

TEST(AdjustLease, WhatAnErrorLeavesUndone) {
  const auto meaning = [](Code code, const char* reason) { return MeaningOf({code, reason, "m"}); };
  EXPECT_EQ(meaning(Code::kResourceExhausted, "INSUFFICIENT_FUNDS"), AdjustError::kShort);
  EXPECT_EQ(meaning(Code::kResourceExhausted, "TOO_MANY_CALLS"), AdjustError::kNoRoom);
  EXPECT_EQ(meaning(Code::kAborted, "LOCK_TIMEOUT"), AdjustError::kNoRoom);
  EXPECT_EQ(meaning(Code::kFailedPrecondition, "LEASE_ENDED"), AdjustError::kGone);
  EXPECT_EQ(meaning(Code::kAlreadyExists, "EPOCH_REUSED"), AdjustError::kGone);
  EXPECT_EQ(meaning(Code::kUnavailable, "RPC_FAILED"), AdjustError::kNobodyKnows);
  EXPECT_EQ(meaning(Code::kDeadlineExceeded, "RPC_FAILED"), AdjustError::kNobodyKnows);
  EXPECT_EQ(meaning(Code::kFailedPrecondition, "NO_BILLING_ACCOUNT"), AdjustError::kNothingDone);
}

TEST(AdjustLease, WhatIsHeldIsBounded) {
  const TokenPrices prices{Amount::FromPico(1), Amount::FromPico(2)};
  EXPECT_EQ(CostToHold(prices, {10, 20})->pico(), Int128{50});
  EXPECT_EQ(CostToHold(prices, {1'000'000'001, 0}).error().reason, "INVALID_TOKEN_COUNT");
  EXPECT_EQ(CostToHold(prices, {0, -1}).error().reason, "INVALID_TOKEN_COUNT");
  const TokenPrices dear{Amount::FromPico(Int128{10'000'000'000'000'000} * 10'000'000'000'000), Amount()};
  EXPECT_EQ(CostToHold(dear, {1'000'000'000, 0}).error().reason, "AMOUNT_OUT_OF_RANGE");
}

}  // namespace
}  // namespace allod::gateway::metering::adjust_lease_test
