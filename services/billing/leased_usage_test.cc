#include "services/billing/leased_usage.h"

#include <gtest/gtest.h>

namespace allod::billing::leased_usage_test {
namespace {

using namespace std::chrono_literals;

const Time kNow = std::chrono::sys_days(std::chrono::year(2026) / 11 / 28);
const TenantId kTenant = TenantId::FromName("tenants/ke").value();
const Uuid kLease = Uuid::FromName("leases/one");
const PriceKey kTerms{.price_book = Uuid::FromName("priceBooks/one"), .variant = "models/m/versions/v/variants/q4"};
Amount Pico(std::int64_t pico) { return Amount::FromPico(pico); }

LeasedUsage Usage(std::int64_t completion, Outcome outcome = Outcome::kCompleted) {
  return {.request_id = Uuid::V7(kNow),
          .lease_id = kLease,
          .instance = "tenants/ke/projects/p/instances/i",
          .terms = kTerms,
          .prompt_tokens_max = 10,
          .completion_tokens_max = 100,
          .outcome = outcome,
          .prompt_tokens = 10,
          .completion_tokens = completion};
}

// One token costs 1; the lease has `remaining`.
SettleBatchState State(std::int64_t remaining) {
  return {.currency_code = "KES",
          .leases = {{kLease, Lease{.id = kLease, .epoch = 1, .remaining = Pico(remaining)}}},
          .prices = {{kTerms, {.book_exists = true, .price = TokenPrice{"KES", "", Pico(1), Pico(1)}}}}};
}

LeasedDecision Decide(const SettleBatchState& state, const LeasedUsage& usage) {
  return DecideSettleBatch(state, {kTenant, {usage}}, kNow).at(0).value();
}

TEST(DecideSettleBatch, PaysFromWhereTheMoneyIs) {
  struct Case {
    const char* what;
    std::int64_t remaining;
    bool known, ended;
    Outcome outcome;
    std::int64_t completion;
    std::int64_t cost;
    LeasedTransfer transfer;
  };
  using enum Outcome;
  for (const Case& c : std::vector<Case>{
           {"from the lease", 60, true, false, kCompleted, 50, 60, LeasedTransfer::kPost},
           {"never more than was taken from it", 200, true, false, kCompleted, 150, 110, LeasedTransfer::kPost},
           {"the lease does not have it", 59, true, false, kCompleted, 50, 60, LeasedTransfer::kShortPost},
           {"the lease has ended", 0, true, true, kCompleted, 50, 60, LeasedTransfer::kLatePost},
           {"the lease is not known", 60, false, false, kGatewayLost, 50, 60, LeasedTransfer::kLatePost},
           {"our fault", 60, true, false, kFault, 50, 0, LeasedTransfer::kNone},
           {"nothing arrived", 60, true, false, kClientCancelled, 0, 0, LeasedTransfer::kNone},
           {"nothing arrived, and the lease has ended", 0, true, true, kGatewayLost, 0, 0, LeasedTransfer::kNone},
           {"an empty answer", 60, true, false, kCompleted, 0, 10, LeasedTransfer::kPost},
       }) {
    SettleBatchState state = State(c.remaining);
    state.leases.at(kLease).ended = c.ended;
    if (!c.known) state.leases.clear();
    const LeasedDecision decision = Decide(state, Usage(c.completion, c.outcome));
    EXPECT_EQ(decision.record.cost, Pico(c.cost)) << c.what;
    EXPECT_EQ(decision.transfer, c.transfer) << c.what;
    EXPECT_EQ(decision.is_lease_known, c.known) << c.what;
    EXPECT_EQ(decision.record.lease, kLease) << c.what;
    EXPECT_EQ(decision.record.completion_tokens, c.completion) << c.what;
    EXPECT_EQ(decision.record.admit_time, kNow) << c.what;
  }
}

TEST(DecideSettleBatch, BillsNothingThatWasRefusedBeforeTheModelReadIt) {
  LeasedUsage refused = Usage(0);
  refused.prompt_tokens = 0;
  const LeasedDecision decision = Decide(State(60), refused);
  EXPECT_FALSE(decision.record.billed);
  EXPECT_EQ(decision.record.cost, Amount());
  EXPECT_EQ(decision.transfer, LeasedTransfer::kNone);
  EXPECT_TRUE(Decide(State(60), Usage(0)).record.billed) << "the model read it, and answered with nothing";
}

TEST(DecideSettleBatch, TakesFromTheLeaseInTheOrderOfTheBatch) {
  const auto decided = DecideSettleBatch(State(100), {kTenant, {Usage(70), Usage(70), Usage(10), Usage(0)}}, kNow);
  std::vector<LeasedTransfer> transfers;
  for (const auto& decision : decided) transfers.push_back(decision->transfer);
  using enum LeasedTransfer;
  EXPECT_EQ(transfers, (std::vector<LeasedTransfer>{kPost, kShortPost, kPost, kShortPost}));
}

TEST(DecideSettleBatch, KnowsItsOwnItemsAgain) {
  const LeasedUsage usage = Usage(5);
  LeasedUsage other = usage;
  other.completion_tokens = 6;
  const auto decided = DecideSettleBatch(State(100), {kTenant, {usage, usage, other}}, kNow);
  EXPECT_FALSE(decided[0]->replay);
  EXPECT_TRUE(decided[1]->replay);
  EXPECT_EQ(decided[1]->record.cost, Pico(15));
  EXPECT_EQ(decided[2].error().reason, "REQUEST_ID_REUSED");
}

}  // namespace
}  // namespace allod::billing::leased_usage_test
