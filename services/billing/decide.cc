#include "services/billing/decide.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "services/billing/refusals.h"

namespace allod::billing {
namespace {

bool SamePayload(const Reservation& r, const ReserveCommand& c) {
  return r.instance == c.instance && r.variant == c.variant && r.price_book == c.price_book && r.api_key == c.api_key &&
         r.prompt_tokens_max == c.prompt_tokens_max && r.completion_tokens_max == c.completion_tokens_max &&
         r.expire_time == c.expire_time && r.isolation_class == c.isolation_class && r.revision == c.revision;
}

bool SamePayload(const UsageRecord& u, const SettleCommand& c) {
  return u.outcome == c.outcome && u.prompt_tokens == c.prompt_tokens && u.completion_tokens == c.completion_tokens;
}

// Only for a new reservation: a replay may come at any time.
Status CheckTimes(const ReserveCommand& command, Time now) {
  ALLOD_TRY(const Time admitted, TimeOfRequestId(command.request_id));
  if (admitted < now - kRequestIdSkewMax || admitted > now + kRequestIdSkewMax) {
    return InvalidArgument(
        "INVALID_REQUEST_ID",
        fmt::format("request_id: the time in {} is more than {} minutes from the server's clock; make "
                    "the id when the request is admitted and check the clocks",
                    command.request_id.ToString(), kRequestIdSkewMax.count()));
  }
  if (command.expire_time <= now || command.expire_time > now + kReservationLifetimeMax) {
    return InvalidArgument("INVALID_EXPIRE_TIME", fmt::format("expire_time: must be in the future and within {} hours",
                                                              kReservationLifetimeMax.count()));
  }
  return {};
}

// What makes a command another revision of a reservation that exists.
Status CheckReplacement(const ReserveState& state, const ReserveCommand& command, Time now) {
  if (!state.existing) {
    return Fail(Code::kNotFound, "RESERVATION_NOT_FOUND",
                fmt::format("request_id: {} was never reserved for this tenant, so its hold cannot be replaced",
                            command.request_id.ToString()));
  }
  const Reservation& held = *state.existing;
  if (command.revision != held.revision + 1 || command.revision > kRevisionsMax) {
    return FailedPrecondition(
        "REVISION_OUT_OF_ORDER",
        fmt::format("revision: {} does not follow {}, the newest of request {} (at most {})", command.revision,
                    held.revision, command.request_id.ToString(), kRevisionsMax));
  }
  if (command.instance != held.instance || command.api_key != held.api_key || command.expire_time != held.expire_time) {
    return RequestIdReused(command.request_id, "reservation");
  }
  if (state.hold != HoldState::kOpen || held.expire_time <= now) {
    return FailedPrecondition("HOLD_ENDED", fmt::format("request_id: the hold of {} has ended, so it cannot be "
                                                        "replaced; a new request needs a new id",
                                                        command.request_id.ToString()));
  }
  return {};
}

}  // namespace

Result<ReserveDecision> DecideReserve(const ReserveState& state, const ReserveCommand& command, Time now) {
  const bool replaces = command.revision > 0 && !(state.existing && state.existing->revision == command.revision);
  if (state.existing && !replaces) {
    if (!SamePayload(*state.existing, command)) return RequestIdReused(command.request_id, "reservation");
    return ReserveDecision{.reservation = *state.existing, .replay = true};
  }
  if (state.was_leased) return RequestIdReused(command.request_id, "request");
  ALLOD_CHECK_OK(CheckTokens("prompt_tokens_max", command.prompt_tokens_max));
  ALLOD_CHECK_OK(CheckTokens("completion_tokens_max", command.completion_tokens_max));
  ALLOD_CHECK_OK(replaces ? CheckReplacement(state, command, now) : CheckTimes(command, now));
  if (!state.account) return NoBillingAccount();
  if (!state.price) {
    return PriceNotFound({command.price_book, command.variant, command.isolation_class}, state.price_book_exists,
                         state.account->currency_code);
  }
  ALLOD_TRY(const Amount hold, Cost(state.price->prompt, command.prompt_tokens_max, state.price->completion,
                                    command.completion_tokens_max));
  ALLOD_CHECK_OK(CheckFunds(*state.account, hold, replaces ? state.existing->hold : Amount()));
  return ReserveDecision{.reservation = {.tenant = command.tenant,
                                         .request_id = command.request_id,
                                         .revision = command.revision,
                                         .instance = command.instance,
                                         .variant = command.variant,
                                         .price_book = command.price_book,
                                         .api_key = command.api_key,
                                         .prompt_tokens_max = command.prompt_tokens_max,
                                         .completion_tokens_max = command.completion_tokens_max,
                                         .currency_code = state.account->currency_code,
                                         .prompt_price = state.price->prompt,
                                         .completion_price = state.price->completion,
                                         .hold = hold,
                                         .expire_time = command.expire_time,
                                         .isolation_class = command.isolation_class},
                         .replaced = replaces ? state.existing : std::nullopt};
}

bool IsBilled(Outcome outcome, std::int64_t prompt_tokens, std::int64_t completion_tokens) {
  switch (outcome) {
    case Outcome::kFault:
      return false;
    case Outcome::kClientCancelled:
    case Outcome::kGatewayLost:
      return completion_tokens > 0;
    case Outcome::kCompleted:
      return prompt_tokens > 0 || completion_tokens > 0;
  }
  std::abort();
}

Result<SettleDecision> DecideSettle(const SettleState& state, const SettleCommand& command, Time now) {
  if (state.record) {
    if (!SamePayload(*state.record, command)) return RequestIdReused(command.request_id, "settlement");
    return SettleDecision{.record = *state.record, .replay = true};
  }
  if (!state.reservation) {
    return Fail(Code::kNotFound, "RESERVATION_NOT_FOUND",
                fmt::format("request_id: {} was never reserved for this tenant", command.request_id.ToString()));
  }
  const Reservation& reservation = *state.reservation;
  ALLOD_CHECK_OK(CheckTokens("prompt_tokens", command.prompt_tokens));
  ALLOD_CHECK_OK(CheckTokens("completion_tokens", command.completion_tokens));
  if (state.hold == HoldState::kPosted || state.hold == HoldState::kVoided) {
    return Internal(fmt::format("request {} has a settled hold but no usage record", command.request_id.ToString()));
  }
  ALLOD_TRY(const Time admit_time, TimeOfRequestId(command.request_id));
  const bool billed = IsBilled(command.outcome, command.prompt_tokens, command.completion_tokens);
  Amount cost;
  if (billed) {
    ALLOD_TRY(cost, Cost(reservation.prompt_price, std::min(command.prompt_tokens, reservation.prompt_tokens_max),
                         reservation.completion_price,
                         std::min(command.completion_tokens, reservation.completion_tokens_max)));
  }
  const bool late = state.hold == HoldState::kExpired;
  const bool free = cost == Amount();
  return SettleDecision{
      .record = {.tenant = command.tenant,
                 .request_id = command.request_id,
                 .instance = reservation.instance,
                 .variant = reservation.variant,
                 .price_book = reservation.price_book,
                 .api_key = reservation.api_key,
                 .outcome = command.outcome,
                 .prompt_tokens = command.prompt_tokens,
                 .completion_tokens = command.completion_tokens,
                 .currency_code = reservation.currency_code,
                 .prompt_price = reservation.prompt_price,
                 .completion_price = reservation.completion_price,
                 .billed = billed,
                 .cost = cost,
                 .admit_time = admit_time,
                 .settle_time = std::chrono::floor<std::chrono::microseconds>(now),
                 .isolation_class = reservation.isolation_class,
                 .revision = reservation.revision,
                 .excess_prompt_tokens = Beyond(command.prompt_tokens, reservation.prompt_tokens_max),
                 .excess_completion_tokens = Beyond(command.completion_tokens, reservation.completion_tokens_max)},
      .transfer = late ? (free ? SettleTransfer::kNone : SettleTransfer::kLatePost)
                       : (free ? SettleTransfer::kVoid : SettleTransfer::kPost)};
}

}  // namespace allod::billing
