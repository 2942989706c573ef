#include "services/billing/decide.h"

#include <gtest/gtest.h>

namespace allod::billing::decide_test {
namespace {

using namespace std::chrono_literals;

const Time kNow = std::chrono::sys_days(std::chrono::year(2026) / 11 / 23) + 18h;
const TenantId kTenant = TenantId::FromName("tenants/ke").value();

ReserveCommand Command() {
  return {.tenant = kTenant,
          .request_id = Uuid::V7(kNow),
          .instance = "tenants/ke/projects/p/instances/i",
          .variant = "models/m/versions/v/variants/q4_k_m",
          .price_book = Uuid::FromName("priceBooks/x"),
          .api_key = "tenants/ke/projects/p/apiKeys/k",
          .prompt_tokens_max = 10,
          .completion_tokens_max = 100,
          .expire_time = kNow + 10min};
}

// Ten for the prompt's tokens and 200 for the completion's, at most.
ReserveState State(std::int64_t limit, std::int64_t posted = 0, std::int64_t held = 0) {
  return {.account = BillingAccount{.tenant = kTenant,
                                    .tenant_name = "tenants/ke",
                                    .currency_code = "KES",
                                    .credit_limit = Amount::FromPico(limit),
                                    .posted = Amount::FromPico(posted),
                                    .held = Amount::FromPico(held)},
          .price_book_exists = true,
          .price = TokenPrice{"KES", "", Amount::FromPico(1), Amount::FromPico(2)}};
}

TEST(DecideReserve, HoldsTheWorstCase) {
  const auto decision = DecideReserve(State(1000), Command(), kNow).value();
  EXPECT_FALSE(decision.replay);
  EXPECT_EQ(decision.reservation.hold.pico(), 210);
  EXPECT_EQ(decision.reservation.prompt_price.pico(), 1);
  EXPECT_EQ(decision.reservation.completion_price.pico(), 2);
  EXPECT_EQ(decision.reservation.currency_code, "KES");
}

// The state after `first` was reserved: its hold of 210 is open.
ReserveState Held(const ReserveCommand& first, std::int64_t limit, std::int64_t others_held = 0) {
  ReserveState state = State(limit);
  state.existing = DecideReserve(State(1000), first, kNow).value().reservation;
  state.account->held = Amount::FromPico(210 + others_held);
  return state;
}

TEST(DecideReserve, ReplacesAnOpenHoldOnNewTerms) {
  const ReserveCommand first = Command();
  ReserveCommand next = first;
  next.revision = 1;
  next.completion_tokens_max = 300;
  next.variant = "models/m/versions/v/variants/f16";
  next.isolation_class = "dedicated";
  const auto decision = DecideReserve(Held(first, 610), next, kNow + 16min - 7min).value();
  EXPECT_FALSE(decision.replay);
  EXPECT_EQ(decision.reservation.hold.pico(), 610);
  EXPECT_EQ(decision.reservation.revision, 1);
  EXPECT_EQ(decision.reservation.isolation_class, "dedicated");
  ASSERT_TRUE(decision.replaced);
  EXPECT_EQ(decision.replaced->hold.pico(), 210);
  EXPECT_EQ(DecideReserve(Held(first, 609), next, kNow).error().reason, "INSUFFICIENT_FUNDS");
  EXPECT_EQ(DecideReserve(Held(first, 709, 100), next, kNow).error().reason, "INSUFFICIENT_FUNDS");
  EXPECT_TRUE(DecideReserve(Held(first, 710, 100), next, kNow));
}

TEST(DecideReserve, ReplacesInOrderAndOnlyWhatIsOpenAndTheSameRequest) {
  const ReserveCommand first = Command();
  const auto reason = [&](auto change, auto change_state) {
    ReserveCommand next = first;
    next.revision = 1;
    change(next);
    ReserveState state = Held(first, 1000);
    change_state(state);
    const auto decision = DecideReserve(state, next, kNow);
    return decision ? std::string() : decision.error().reason;
  };
  const auto as_is = [](auto&) {};
  EXPECT_EQ(reason(as_is, as_is), "");
  EXPECT_EQ(reason(as_is, [](ReserveState& s) { s.existing.reset(); }), "RESERVATION_NOT_FOUND");
  EXPECT_EQ(reason([](ReserveCommand& c) { c.revision = 2; }, as_is), "REVISION_OUT_OF_ORDER");
  EXPECT_EQ(reason([](ReserveCommand& c) { c.instance += "x"; }, as_is), "REQUEST_ID_REUSED");
  EXPECT_EQ(reason([](ReserveCommand& c) { c.api_key += "x"; }, as_is), "REQUEST_ID_REUSED");
  EXPECT_EQ(reason([](ReserveCommand& c) { c.expire_time += 1s; }, as_is), "REQUEST_ID_REUSED");
  for (const HoldState ended : {HoldState::kPosted, HoldState::kVoided, HoldState::kExpired}) {
    EXPECT_EQ(reason(as_is, [&](ReserveState& s) { s.hold = ended; }), "HOLD_ENDED");
  }
  ReserveCommand late = first;
  late.revision = 1;
  EXPECT_EQ(DecideReserve(Held(first, 1000), late, kNow + 10min).error().reason, "HOLD_ENDED");
}

TEST(DecideReserve, AnswersTheNewestRevisionAgainAndNoOlderOne) {
  const ReserveCommand first = Command();
  ReserveCommand next = first;
  next.revision = 1;
  next.completion_tokens_max = 300;
  ReserveState state = Held(first, 1000);
  state.existing = DecideReserve(state, next, kNow).value().reservation;
  EXPECT_TRUE(DecideReserve(state, next, kNow)->replay);
  state.hold = HoldState::kPosted;
  EXPECT_TRUE(DecideReserve(state, next, kNow)->replay) << "also when it was settled";
  EXPECT_EQ(DecideReserve(state, first, kNow).error().reason, "REQUEST_ID_REUSED");
}

struct FundsCase {
  std::int64_t limit, posted, held;
  bool admitted;
};

TEST(DecideReserve, AdmitsUpToTheLimitAndNotAUnitMore) {
  for (const FundsCase& c : {FundsCase{210, 0, 0, true},
                             {209, 0, 0, false},
                             {310, 100, 0, true},
                             {309, 100, 0, false},
                             {310, 0, 100, true},
                             {309, 0, 100, false},
                             {410, 100, 100, true},
                             {409, 100, 100, false},
                             {0, 0, 0, false},
                             {100, 500, 0, false}}) {
    const auto decision = DecideReserve(State(c.limit, c.posted, c.held), Command(), kNow);
    EXPECT_EQ(decision.has_value(), c.admitted) << c.limit << " " << c.posted << " " << c.held;
    if (!decision) {
      EXPECT_EQ(decision.error().code, Code::kResourceExhausted);
      EXPECT_EQ(decision.error().reason, "INSUFFICIENT_FUNDS");
    }
  }
}

TEST(DecideReserve, SaysTheNumbersWhenFundsAreShort) {
  const Error error = DecideReserve(State(100'000'000, 99'000'000, 999'900), Command(), kNow).error();
  for (const char* text : {"tenants/ke", "0.00000000021 KES", "0.0001", "0.000099", "0.0000009999"}) {
    EXPECT_NE(error.message.find(text), std::string::npos) << text << " in " << error.message;
  }
}

TEST(DecideReserve, NeedsAnAccountAndAPrice) {
  ReserveState no_account = State(1000);
  no_account.account.reset();
  EXPECT_EQ(DecideReserve(no_account, Command(), kNow).error().reason, "NO_BILLING_ACCOUNT");
  ReserveState no_price = State(1000);
  no_price.price.reset();
  EXPECT_EQ(DecideReserve(no_price, Command(), kNow).error().reason, "PRICE_NOT_FOUND");
  no_price.price_book_exists = false;
  EXPECT_EQ(DecideReserve(no_price, Command(), kNow).error().reason, "PRICE_NOT_FOUND");
}

TEST(DecideReserve, RefusesCountsAndTimesOutOfBounds) {
  const auto reason = [](auto change) {
    ReserveCommand command = Command();
    change(command);
    const auto decision = DecideReserve(State(1000), command, kNow);
    return decision ? std::string("admitted") : decision.error().reason;
  };
  EXPECT_EQ(reason([](auto& c) { c.prompt_tokens_max = -1; }), "INVALID_TOKEN_COUNT");
  EXPECT_EQ(reason([](auto& c) { c.completion_tokens_max = kTokensMax + 1; }), "INVALID_TOKEN_COUNT");
  EXPECT_EQ(reason([](auto& c) { c.expire_time = kNow; }), "INVALID_EXPIRE_TIME");
  EXPECT_EQ(reason([](auto& c) { c.expire_time = kNow + 24h + 1us; }), "INVALID_EXPIRE_TIME");
  EXPECT_EQ(reason([](auto& c) { c.expire_time = kNow + 24h; }), "admitted");
  EXPECT_EQ(reason([](auto& c) { c.request_id = Uuid::V7(kNow - 16min); }), "INVALID_REQUEST_ID");
  EXPECT_EQ(reason([](auto& c) { c.request_id = Uuid::V7(kNow + 16min); }), "INVALID_REQUEST_ID");
  EXPECT_EQ(reason([](auto& c) { c.request_id = Uuid::V7(kNow - 14min); }), "admitted");
  EXPECT_EQ(reason([](auto& c) { c.request_id = Uuid::FromName("x"); }), "INVALID_REQUEST_ID");
}

TEST(DecideReserve, RepeatsItsAnswerYearsLaterAndWhenFundsHaveGone) {
  const ReserveCommand command = Command();
  ReserveState state = State(0);
  state.existing = DecideReserve(State(1000), command, kNow)->reservation;
  const auto decision = DecideReserve(state, command, kNow + 24h * 3650);
  ASSERT_TRUE(decision) << decision.error().message;
  EXPECT_TRUE(decision->replay);
  EXPECT_EQ(decision->reservation.hold.pico(), 210);
}

TEST(DecideReserve, RefusesTheSameIdForAnythingElse) {
  const ReserveCommand command = Command();
  ReserveState state = State(1000);
  state.existing = DecideReserve(state, command, kNow)->reservation;
  const auto reason = [&](auto change) {
    ReserveCommand other = command;
    change(other);
    const auto decision = DecideReserve(state, other, kNow);
    return decision ? std::string("repeated") : decision.error().reason;
  };
  EXPECT_EQ(reason([](auto&) {}), "repeated");
  EXPECT_EQ(reason([](auto& c) { c.instance += "2"; }), "REQUEST_ID_REUSED");
  EXPECT_EQ(reason([](auto& c) { c.variant += "2"; }), "REQUEST_ID_REUSED");
  EXPECT_EQ(reason([](auto& c) { c.api_key.clear(); }), "REQUEST_ID_REUSED");
  EXPECT_EQ(reason([](auto& c) { c.price_book = Uuid::FromName("priceBooks/y"); }), "REQUEST_ID_REUSED");
  EXPECT_EQ(reason([](auto& c) { --c.prompt_tokens_max; }), "REQUEST_ID_REUSED");
  EXPECT_EQ(reason([](auto& c) { ++c.completion_tokens_max; }), "REQUEST_ID_REUSED");
  EXPECT_EQ(reason([](auto& c) { c.expire_time += 1us; }), "REQUEST_ID_REUSED");
}

SettleState Reserved(HoldState hold = HoldState::kOpen, const ReserveCommand& command = Command()) {
  return {.reservation = DecideReserve(State(1000), command, kNow)->reservation, .hold = hold};
}

SettleCommand Settlement(const SettleState& state, Outcome outcome, std::int64_t prompt, std::int64_t completion) {
  return {.tenant = kTenant,
          .request_id = state.reservation->request_id,
          .outcome = outcome,
          .prompt_tokens = prompt,
          .completion_tokens = completion};
}

struct OutcomeCase {
  const char* says;
  Outcome outcome;
  std::int64_t prompt, completion;
  std::int64_t cost;
  SettleTransfer in_time, late;
  bool billed;
};

TEST(DecideSettle, BillsWhatTheContractSays) {
  using enum SettleTransfer;
  for (const OutcomeCase& c : {
           OutcomeCase{"a whole answer", Outcome::kCompleted, 10, 100, 210, kPost, kLatePost, true},
           {"a short answer", Outcome::kCompleted, 7, 3, 13, kPost, kLatePost, true},
           {"an answer that ended at once", Outcome::kCompleted, 7, 0, 7, kPost, kLatePost, true},
           {"refused before the model read anything", Outcome::kCompleted, 0, 0, 0, kVoid, kNone, false},
           {"the client left before any token", Outcome::kClientCancelled, 7, 0, 0, kVoid, kNone, false},
           {"the client left after one token", Outcome::kClientCancelled, 7, 1, 9, kPost, kLatePost, true},
           {"our fault", Outcome::kFault, 7, 50, 0, kVoid, kNone, false},
           {"the gateway died before any token", Outcome::kGatewayLost, 7, 0, 0, kVoid, kNone, false},
           {"the gateway died after four tokens", Outcome::kGatewayLost, 7, 4, 15, kPost, kLatePost, true},
       }) {
    for (const bool late : {false, true}) {
      const SettleState state = Reserved(late ? HoldState::kExpired : HoldState::kOpen);
      const auto decision =
          DecideSettle(state, Settlement(state, c.outcome, c.prompt, c.completion), kNow + 1s).value();
      EXPECT_EQ(decision.record.cost.pico(), c.cost) << c.says;
      EXPECT_EQ(decision.record.billed, c.billed) << c.says;
      EXPECT_EQ(decision.transfer, late ? c.late : c.in_time) << c.says;
      EXPECT_EQ(decision.record.prompt_tokens, c.prompt) << c.says;
      EXPECT_EQ(decision.record.completion_tokens, c.completion) << c.says;
      EXPECT_EQ(decision.record.admit_time, kNow);
      EXPECT_EQ(decision.record.settle_time, kNow + 1s);
      EXPECT_FALSE(decision.replay);
    }
  }
}

TEST(DecideSettle, RefusesCountsThatAreNone) {
  const SettleState state = Reserved();
  const auto reason = [&](std::int64_t prompt, std::int64_t completion) {
    return DecideSettle(state, Settlement(state, Outcome::kFault, prompt, completion), kNow).error().reason;
  };
  EXPECT_EQ(reason(-1, 0), "INVALID_TOKEN_COUNT");
  EXPECT_EQ(reason(0, -1), "INVALID_TOKEN_COUNT");
}

// A hold for 10 prompt tokens at 1 and 100 completion tokens at 2.
TEST(DecideSettle, RecordsWhatTheHoldDidNotCoverAndBillsWhatItDid) {
  struct Case {
    std::int64_t prompt, completion, excess_prompt, excess_completion, cost;
  };
  for (const HoldState hold : {HoldState::kOpen, HoldState::kExpired}) {
    for (const Case& c : {Case{10, 100, 0, 0, 210}, Case{11, 100, 1, 0, 210}, Case{10, 101, 0, 1, 210},
                          Case{5, 350, 0, 250, 205}, Case{400, 3, 390, 0, 16}}) {
      SettleState state = Reserved();
      state.hold = hold;
      const auto decision = DecideSettle(state, Settlement(state, Outcome::kCompleted, c.prompt, c.completion), kNow);
      ASSERT_TRUE(decision) << decision.error().message;
      EXPECT_EQ(decision->record.prompt_tokens, c.prompt);
      EXPECT_EQ(decision->record.completion_tokens, c.completion);
      EXPECT_EQ(decision->record.excess_prompt_tokens, c.excess_prompt);
      EXPECT_EQ(decision->record.excess_completion_tokens, c.excess_completion);
      EXPECT_EQ(decision->record.cost.pico(), c.cost);
      EXPECT_LE(decision->record.cost, state.reservation->hold);
    }
  }
}

TEST(DecideSettle, RefusesWhatWasNeverReserved) {
  const Error error = DecideSettle({}, {.tenant = kTenant, .request_id = Uuid::V7(kNow)}, kNow).error();
  EXPECT_EQ(error.code, Code::kNotFound);
  EXPECT_EQ(error.reason, "RESERVATION_NOT_FOUND");
}

TEST(DecideSettle, RepeatsItsFirstAnswerAndRefusesAnother) {
  SettleState state = Reserved();
  const SettleCommand command = Settlement(state, Outcome::kCompleted, 7, 3);
  state.record = DecideSettle(state, command, kNow)->record;
  state.hold = HoldState::kPosted;
  const auto again = DecideSettle(state, command, kNow + 24h * 3650).value();
  EXPECT_TRUE(again.replay);
  EXPECT_EQ(again.record.settle_time, kNow);
  for (const SettleCommand& other :
       {Settlement(state, Outcome::kFault, 7, 3), Settlement(state, Outcome::kCompleted, 8, 3),
        Settlement(state, Outcome::kCompleted, 7, 4)}) {
    EXPECT_EQ(DecideSettle(state, other, kNow).error().reason, "REQUEST_ID_REUSED");
  }
}

TEST(DecideSettle, ReportsBooksThatContradictThemselves) {
  for (const HoldState hold : {HoldState::kPosted, HoldState::kVoided}) {
    const SettleState state = Reserved(hold);
    EXPECT_EQ(DecideSettle(state, Settlement(state, Outcome::kCompleted, 1, 1), kNow).error().code, Code::kInternal);
  }
}

}  // namespace
}  // namespace allod::billing::decide_test
