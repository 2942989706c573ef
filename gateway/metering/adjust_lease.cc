#include "gateway/metering/adjust_lease.h"

#include <algorithm>
#include <string>

#include "services/common/rpc/timestamp.h"

namespace allod::gateway::metering {
namespace {

using std::chrono::milliseconds;

// 10^8 currency units for one token, 10^20 in all: sums and products stay far within 128 bits.
constexpr Amount kPriceMax = Amount::FromPico(Int128{10'000'000'000} * 10'000'000'000);
constexpr Amount kAmountMax = Amount::FromPico(Int128{10'000'000'000'000'000} * 10'000'000'000'000'000);
constexpr std::int64_t kTokensMax = 1'000'000'000;  // more of either kind billing takes of no request

Result<Amount> ParseBounded(std::string_view field, const std::string& text, Amount max) {
  if (text.empty()) return Amount();
  ALLOD_TRY(const Amount out, Amount::Parse(field, text));
  if (out < Amount() || out > max)
    return Fail(Code::kOutOfRange, "INVALID_ANSWER", std::string(field) + " is out of range");
  return out;
}

billing::v1::BudgetSlice ToProto(const SliceKey& key) {
  billing::v1::BudgetSlice out;
  out.set_budget_uid(key.budget.ToString());
  *out.mutable_start_time() = ToTimestamp(key.start);
  return out;
}

Result<BudgetRule> RuleFrom(const billing::v1::HardBudget& budget) {
  BudgetRule out{.id = budget.budget_id(),
                 .project = budget.project(),
                 .api_key = budget.api_key(),
                 .instance = budget.instance()};
  ALLOD_TRY(out.start, TimeFrom("start_time", budget.start_time()));
  ALLOD_TRY(out.end, TimeFrom("end_time", budget.end_time()));
  ALLOD_TRY(out.uid, Uuid::Parse(budget.budget_uid()));
  switch (budget.period()) {
    case billing::v1::Budget::PERIOD_MONTH:
      out.period = BudgetRule::Period::kMonth;
      return out;
    case billing::v1::Budget::PERIOD_RANGE:
      out.period = BudgetRule::Period::kRange;
      return out;
    case billing::v1::Budget::PERIOD_TOTAL:
      out.period = BudgetRule::Period::kTotal;
      return out;
    default:
      return Fail(Code::kInternal, "INVALID_ANSWER", "a budget's period is none");
  }
}

milliseconds ToMilliseconds(const google::protobuf::Duration& duration) {
  return milliseconds(std::clamp<std::int64_t>(duration.seconds(), 0, 1'000'000) * 1000 + duration.nanos() / 1'000'000);
}

Status ReadSlices(const LeaseBook::Ask& ask, const billing::v1::AdjustLeaseResponse& response, LeaseBook::Answer& out) {
  // A billing of before knows of none.
  const bool is_of_ask = response.slices_size() == static_cast<int>(ask.slices.size());
  for (std::size_t i = 0; is_of_ask && i < ask.slices.size(); ++i) {
    const auto& row = response.slices(static_cast<int>(i));
    BudgetBook::Answer& slice = out.slices.emplace_back();
    slice.key = ask.slices[i].key;
    slice.exists = row.exists();
    slice.is_short = row.is_short();
    ALLOD_TRY(slice.added, ParseBounded("slices.added", row.added(), ask.slices[i].want));
  }
  if (response.has_ask_again_after()) out.ask_again_after = ToMilliseconds(response.ask_again_after());
  for (const auto& slice : response.recalled_slices()) {
    ALLOD_TRY(out.recalled_budgets.emplace_back(), Uuid::Parse(slice.budget_uid()));
  }
  if (response.budgets_version() == ask.budgets_version) return {};
  out.budgets_version = response.budgets_version();
  for (const auto& budget : response.budgets()) {
    ALLOD_TRY(out.rules.emplace_back(), RuleFrom(budget));
  }
  return {};
}

}  // namespace

billing::v1::AdjustLeaseRequest ToRequest(const LeaseBook::Ask& ask) {
  billing::v1::AdjustLeaseRequest out;
  out.set_lease_id(ask.lease_id.ToString());
  out.set_epoch(ask.epoch);
  out.set_need(ask.need.ToString());
  out.set_want(ask.want.ToString());
  out.set_give_back(ask.give_back.ToString());
  out.set_end(ask.end);
  out.set_budgets_version(ask.budgets_version);
  for (const BudgetBook::Ask& slice : ask.slices) {
    auto& row = *out.add_slices();
    *row.mutable_slice() = ToProto(slice.key);
    row.set_need(slice.need.ToString());
    row.set_want(slice.want.ToString());
    row.set_give_back(slice.give_back.ToString());
  }
  if (ask.terms) {
    auto& terms = *out.add_terms();
    terms.set_price_book(ask.terms->price_book);
    terms.set_variant(ask.terms->variant);
    terms.set_isolation_class(ask.terms->isolation_class);
  }
  return out;
}

Result<LeaseBook::Answer> AnswerFrom(const LeaseBook::Ask& ask, const billing::v1::AdjustLeaseResponse& response) {
  LeaseBook::Answer out;
  ALLOD_TRY(out.added, ParseBounded("added", response.added(), ask.want));
  out.admit_for = ToMilliseconds(response.admit_for());
  out.ends_after = ToMilliseconds(response.ends_after());
  out.recalled = response.recalled();
  ALLOD_CHECK_OK(ReadSlices(ask, response, out));
  if (!ask.terms) return out;
  if (response.prices_size() != 1) return Fail(Code::kInternal, "INVALID_ANSWER", "the price is missing");
  ALLOD_TRY(const Amount prompt, ParseBounded("prompt", response.prices(0).prompt(), kPriceMax));
  ALLOD_TRY(const Amount completion, ParseBounded("completion", response.prices(0).completion(), kPriceMax));
  out.prices = TokenPrices{prompt, completion};
  return out;
}

AdjustError MeaningOf(const Error& error) {
  if (error.reason == "INSUFFICIENT_FUNDS") return AdjustError::kShort;
  if (error.reason == "LEASE_ENDED" || error.reason == "EPOCH_OUT_OF_ORDER" || error.reason == "EPOCH_REUSED" ||
      error.reason == "GIVE_BACK_TOO_LARGE") {
    return AdjustError::kGone;
  }
  switch (error.code) {
    case Code::kResourceExhausted:
    case Code::kAborted:
      return AdjustError::kNoRoom;
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
    case Code::kCancelled:
    case Code::kUnknown:
    case Code::kInternal:
    case Code::kDataLoss:
      return AdjustError::kNobodyKnows;
    default:
      return AdjustError::kNothingDone;
  }
}

Result<Amount> CostToHold(const TokenPrices& prices, const TokenBounds& bounds) {
  if (bounds.prompt > kTokensMax || bounds.completion > kTokensMax || bounds.prompt < 0 || bounds.completion < 0) {
    return InvalidArgument("INVALID_TOKEN_COUNT", "the request may use more tokens than money can be held for");
  }
  ALLOD_TRY(const Amount out, CostOf(prices, bounds));
  if (out > kAmountMax) return Fail(Code::kOutOfRange, "AMOUNT_OUT_OF_RANGE", "the request could cost too much");
  return out;
}

}  // namespace allod::gateway::metering
