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
  http::Awaitable<Status> Reserve(const billing::v1::ReserveRequest& request, http::ResponseWriter&) override {
    asked.push_back(request);
    if (answers.empty()) co_return Status();
    Status answer = answers.front();
    answers.pop_front();
    co_return answer;
  }

  std::deque<Status> answers;
  std::vector<billing::v1::ReserveRequest> asked;
};

const HoldTerms kSmall{"v/q4", "priceBooks/a", "pooled", {100, 50}};
const HoldTerms kLarge{"v/q4", "priceBooks/a", "pooled", {200, 50}};

Status Failed(Code code, const char* reason) { return Fail(code, reason, "why"); }

class HoldTest : public testing::Test {
 protected:
  void SetUp() override {
    auto journal = metering::Journal::Open(directory_.path(), 8, billing::v1::OUTCOME_GATEWAY_LOST);
    ASSERT_TRUE(journal) << journal.error().message;
    journal_ = *std::move(journal);
    // Nobody listens there: what is to be settled stays.
    settler_.emplace(*journal_, MakeChannel("unix:" + (directory_ / "nobody.sock").string()), std::chrono::seconds(7));
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

  TempDir directory_;
  std::unique_ptr<metering::Journal> journal_;
  std::optional<metering::Settler> settler_;
  FakeFunds funds_;
  http::FakeResponseWriter out_;
};

TEST_F(HoldTest, IsReplacedOnTermsThatItDoesNotCover) {
  metering::MeteredRequest metered = Admit();
  Hold hold(funds_, {}, metered, out_);
  EXPECT_TRUE(Make(hold, kSmall));
  EXPECT_TRUE(hold.Covers(kSmall));
  EXPECT_FALSE(hold.Covers(kLarge));
  EXPECT_TRUE(Replace(hold, kLarge));
  EXPECT_TRUE(hold.Covers(kLarge));
  ASSERT_EQ(funds_.asked.size(), 2U);
  EXPECT_EQ(funds_.asked[0].revision(), 0);
  EXPECT_EQ(funds_.asked[1].revision(), 1);
  EXPECT_EQ(funds_.asked[1].prompt_tokens_max(), 200);
}

TEST_F(HoldTest, AReplacementThatIsRefusedLeavesTheHoldAsItWas) {
  metering::MeteredRequest metered = Admit();
  Hold hold(funds_, {}, metered, out_);
  EXPECT_TRUE(Make(hold, kSmall));
  funds_.answers = {Failed(Code::kResourceExhausted, "INSUFFICIENT_FUNDS")};
  EXPECT_EQ(Replace(hold, kLarge).error().reason, "INSUFFICIENT_FUNDS");
  EXPECT_FALSE(hold.Covers(kLarge));
  EXPECT_EQ(journal_->used_count(), 1) << "it is settled";
}

TEST_F(HoldTest, OfAnInstanceThatNeverRestsAreReplacedSoOftenOnly) {
  metering::MeteredRequest metered = Admit();
  Hold hold(funds_, {}, metered, out_);
  EXPECT_TRUE(Make(hold, kSmall));
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(Replace(hold, kLarge));
  EXPECT_EQ(Replace(hold, kSmall).error().reason, "INSTANCE_CHANGING");
  EXPECT_EQ(funds_.asked.size(), 9U);
}

TEST_F(HoldTest, OnlyWhatIsInDoubtIsSettledWithoutAHold) {
  struct Case {
    Status answer;
    const char* reason;
    int slots;  // that wait for a settlement
  };
  for (const Case& c : {
           Case{Failed(Code::kResourceExhausted, "INSUFFICIENT_FUNDS"), "INSUFFICIENT_FUNDS", 0},
           Case{Failed(Code::kFailedPrecondition, "NO_BILLING_ACCOUNT"), "NO_BILLING_ACCOUNT", 0},
           Case{Failed(Code::kResourceExhausted, "TOO_MANY_CALLS"), "BILLING_BUSY", 0},
           Case{Failed(Code::kInvalidArgument, "INVALID_EXPIRE_TIME"), "BILLING_FAILED", 0},
           Case{std::unexpected(metering::InDoubt()), "BILLING_UNAVAILABLE", 1},
       }) {
    metering::MeteredRequest metered = Admit();
    Hold hold(funds_, {}, metered, out_);
    funds_.answers = {c.answer};
    EXPECT_EQ(Make(hold, kSmall).error().reason, c.reason);
    EXPECT_EQ(journal_->used_count(), c.slots) << c.reason;
    metered.Drop();
  }
}

}  // namespace
}  // namespace allod::gateway::serving::hold_test
