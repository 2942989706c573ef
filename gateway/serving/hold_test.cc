#include "gateway/serving/hold.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <vector>

#include "gateway/http/fake_response_writer.h"
#include "gateway/metering/funds_errors.h"
#include "services/common/rpc/client.h"
#include "tests/support/temp_dir.h"

namespace allod::gateway::serving::hold_test {
namespace {

// Gives the answers in turn, then money.
class FakeFunds final : public metering::FundsSource {
 public:
  http::Awaitable<Result<metering::Funds>> Take(const metering::FundsRequest& request, const metering::Funds* held,
                                                http::ResponseWriter&) override {
    asked.push_back(request);
    had.push_back(held != nullptr);
    if (!answers.empty()) {
      const Error answer = answers.front();
      answers.pop_front();
      co_return std::unexpected(answer);
    }
    co_return metering::Funds{kLease, kPrices, metering::CostOf(kPrices, request.bounds).value()};
  }

  static inline const Uuid kLease = Uuid::V7();
  static constexpr metering::TokenPrices kPrices{Amount::FromPico(1), Amount::FromPico(2)};
  std::deque<Error> answers;
  std::vector<metering::FundsRequest> asked;
  std::vector<bool> had;
};

const HoldTerms kSmall{{"v/q4", "priceBooks/a", "pooled"}, {100, 50}};
const HoldTerms kLarge{{"v/q4", "priceBooks/a", "pooled"}, {200, 50}};
const HoldTerms kLong{{"v/q4", "priceBooks/a", "pooled"}, {100, 2000}};
const Hold::Owner kOwner{"the request", "tenants/ke", "tenants/ke/projects/p/apiKeys/a1"};

class HoldTest : public testing::Test {
 protected:
  void SetUp() override {
    auto journal = metering::Journal::Open(directory_.path(), 8, billing::v1::OUTCOME_GATEWAY_LOST);
    ASSERT_TRUE(journal) << journal.error().message;
    journal_ = *std::move(journal);
    // Nobody listens there: what is to be settled stays.
    settler_.emplace(*journal_, MakeChannel("unix:" + (directory_ / "nobody.sock").string()), std::chrono::seconds(7),
                     metering::Settler::Events());
  }

  metering::MeteredRequest Admit() {
    return *metering::MeteredRequest::Admit(
        *journal_, *settler_, {Uuid::V7(), "tenants/ke", "tenants/ke/projects/p/instances/i", {}}, "chat");
  }
  Status Make(Hold& hold, const HoldTerms& terms) { return Ask(hold, &Hold::Make, terms); }
  Status Replace(Hold& hold, const HoldTerms& terms) { return Ask(hold, &Hold::Replace, terms); }
  static Status Ask(Hold& hold, http::Awaitable<Status> (Hold::*ask)(HoldTerms), HoldTerms terms) {
    Status out;
    http::RunToEnd([&]() -> http::Awaitable<void> { out = co_await (hold.*ask)(std::move(terms)); });
    return out;
  }

  static Status Extend(Hold& hold, std::int64_t completion) {
    Status out;
    http::RunToEnd([&]() -> http::Awaitable<void> { out = co_await hold.Extend(completion); });
    return out;
  }
  // Of the only request.
  metering::LeaseTerms SlotTerms() const { return journal_->Read(0).terms.value(); }

  TempDir directory_;
  std::unique_ptr<metering::Journal> journal_;
  std::optional<metering::Settler> settler_;
  FakeFunds funds_;
  http::FakeResponseWriter out_;
};

TEST_F(HoldTest, IsReplacedOnTermsThatItDoesNotCover) {
  metering::MeteredRequest metered = Admit();
  Hold hold(funds_, kOwner, metered, out_);
  EXPECT_TRUE(Make(hold, kSmall));
  EXPECT_TRUE(hold.Covers(kSmall));
  EXPECT_FALSE(hold.Covers(kLarge));
  EXPECT_TRUE(Replace(hold, kLarge));
  EXPECT_TRUE(hold.Covers(kLarge));
  ASSERT_EQ(funds_.asked.size(), 2U);
  EXPECT_EQ(funds_.had, (std::vector<bool>{false, true})) << "in place of what it had";
  EXPECT_EQ(funds_.asked[1].bounds.prompt, 200);
  EXPECT_EQ(SlotTerms().bounds, (TokenBounds{200, 50})) << "in the journal, before anything runs";
  EXPECT_EQ(SlotTerms().lease_id, FakeFunds::kLease);
  EXPECT_EQ(SlotTerms().api_key, kOwner.api_key);
}

TEST_F(HoldTest, AReplacementThatIsRefusedLeavesTheHoldAsItWas) {
  metering::MeteredRequest metered = Admit();
  Hold hold(funds_, kOwner, metered, out_);
  EXPECT_TRUE(Make(hold, kSmall));
  funds_.answers = {{Code::kResourceExhausted, "INSUFFICIENT_FUNDS", "why"}};
  EXPECT_EQ(Replace(hold, kLarge).error().reason, "INSUFFICIENT_FUNDS");
  EXPECT_FALSE(hold.Covers(kLarge));
  EXPECT_EQ(SlotTerms().bounds, kSmall.bounds);
  metered.Finish(billing::v1::OUTCOME_FAULT);
  EXPECT_EQ(journal_->used_count(), 1) << "it is settled";
}

TEST_F(HoldTest, OfAnInstanceThatNeverRestsAreReplacedSoOftenOnly) {
  metering::MeteredRequest metered = Admit();
  Hold hold(funds_, kOwner, metered, out_);
  EXPECT_TRUE(Make(hold, kSmall));
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(Replace(hold, kLarge));
  EXPECT_EQ(Replace(hold, kSmall).error().reason, "INSTANCE_CHANGING");
  EXPECT_EQ(funds_.asked.size(), 9U);
}

TEST_F(HoldTest, WithoutMoneyNothingIsSettled) {
  struct Case {
    Error answer;
    const char* reason;
  };
  for (const Case& c : {
           Case{{Code::kResourceExhausted, "INSUFFICIENT_FUNDS", "why"}, "INSUFFICIENT_FUNDS"},
           Case{{Code::kFailedPrecondition, "NO_BILLING_ACCOUNT", "why"}, "NO_BILLING_ACCOUNT"},
           Case{{Code::kResourceExhausted, "TOO_MANY_CALLS", "why"}, "BILLING_BUSY"},
           Case{{Code::kInvalidArgument, "INVALID_TOKEN_COUNT", "why"}, "BILLING_FAILED"},
           Case{metering::FundsUnavailable(), "BILLING_UNAVAILABLE"},
       }) {
    metering::MeteredRequest metered = Admit();
    Hold hold(funds_, kOwner, metered, out_);
    funds_.answers = {c.answer};
    EXPECT_EQ(Make(hold, kSmall).error().reason, c.reason);
    metered.Finish(billing::v1::OUTCOME_FAULT);
    EXPECT_EQ(journal_->used_count(), 0) << c.reason;
  }
}

TEST_F(HoldTest, IsForWhomBillingTakesUsageOf) {
  struct Case {
    const char* name;
    const char* reason;
  };
  for (const Case& c :
       {Case{"", ""}, Case{"tenants/ke/projects/p/apiKeys/a1", ""}, Case{"tenants/ke/projects/p/workloadRules/w", ""},
        Case{"tenants/tz/projects/p/apiKeys/a1", "BILLING_FAILED"}, Case{"tenants/ke/sessions/s", "BILLING_FAILED"},
        Case{"a1", "BILLING_FAILED"}}) {
    metering::MeteredRequest metered = Admit();
    Hold hold(funds_, {"the request", "tenants/ke", c.name}, metered, out_);
    const Status made = Make(hold, kSmall);
    EXPECT_EQ(made ? "" : made.error().reason, c.reason) << c.name;
  }
  EXPECT_EQ(funds_.asked.size(), 3U);
}

TEST_F(HoldTest, OfALongAnswerIsForItsBeginningAndGrows) {
  metering::MeteredRequest metered = Admit();
  Hold hold(funds_, kOwner, metered, out_);
  EXPECT_TRUE(Make(hold, kLong));
  EXPECT_EQ(hold.bounds().completion, 2000) << "what the worker is told";
  EXPECT_EQ(hold.completion_held(), 512);
  EXPECT_EQ(SlotTerms().bounds, (TokenBounds{100, 512}));
  EXPECT_TRUE(Extend(hold, 513));
  EXPECT_EQ(hold.completion_held(), 1025);
  EXPECT_EQ(SlotTerms().bounds.completion, 1025) << "before they are handed over";
  EXPECT_TRUE(Extend(hold, 1026));
  EXPECT_TRUE(Extend(hold, 1900));
  EXPECT_EQ(hold.completion_held(), 2000) << "no more than it may have";
  EXPECT_EQ(funds_.asked.size(), 4U);
  EXPECT_TRUE(funds_.asked[1].running && funds_.asked[1].at_once);
  EXPECT_TRUE(Extend(hold, 5000)) << "what a worker says beyond is not held for";
  EXPECT_EQ(funds_.asked.size(), 4U);
}

TEST_F(HoldTest, NearTheEndOfTheMoneyItGrowsByWhatIsNeeded) {
  metering::MeteredRequest metered = Admit();
  Hold hold(funds_, kOwner, metered, out_);
  EXPECT_TRUE(Make(hold, kLong));
  funds_.answers = {metering::FundsUnavailable()};
  EXPECT_TRUE(Extend(hold, 513));
  EXPECT_EQ(hold.completion_held(), 513);
  EXPECT_FALSE(funds_.asked.back().at_once);
  funds_.answers = {metering::FundsUnavailable(), {Code::kResourceExhausted, "INSUFFICIENT_FUNDS", "why"}};
  EXPECT_EQ(Extend(hold, 514).error().reason, "INSUFFICIENT_FUNDS");
  EXPECT_EQ(SlotTerms().bounds.completion, 513);
}

}  // namespace
}  // namespace allod::gateway::serving::hold_test
