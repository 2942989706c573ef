#include "gateway/metering/adjust_lease.h"

#include <algorithm>
#include <string>

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

milliseconds ToMilliseconds(const google::protobuf::Duration& duration) {
  return milliseconds(std::clamp<std::int64_t>(duration.seconds(), 0, 1'000'000) * 1000 + duration.nanos() / 1'000'000);
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
