#include "services/billing/leased_usage.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/billing/decide.h"
#include "services/billing/refusals.h"

namespace allod::billing {
namespace {

// The bounds are not kept: what is recorded of them is what went beyond.
bool IsSame(const UsageRecord& r, const LeasedUsage& u) {
  return r.lease == u.lease_id && r.instance == u.instance && r.api_key == u.api_key && r.variant == u.terms.variant &&
         r.price_book == u.terms.price_book && r.isolation_class == u.terms.isolation_class && r.outcome == u.outcome &&
         r.prompt_tokens == u.prompt_tokens && r.completion_tokens == u.completion_tokens &&
         r.excess_prompt_tokens == Beyond(u.prompt_tokens, u.prompt_tokens_max) &&
         r.excess_completion_tokens == Beyond(u.completion_tokens, u.completion_tokens_max);
}

Status CheckCounts(const LeasedUsage& usage) {
  ALLOD_CHECK_OK(CheckTokens("prompt_tokens_max", usage.prompt_tokens_max));
  ALLOD_CHECK_OK(CheckTokens("completion_tokens_max", usage.completion_tokens_max));
  ALLOD_CHECK_OK(CheckTokens("prompt_tokens", usage.prompt_tokens));
  return CheckTokens("completion_tokens", usage.completion_tokens);
}

// Takes the cost from what remains of the lease, if it is to come from there.
LeasedTransfer TakeFrom(Lease* lease, Amount cost) {
  if (cost == Amount()) return LeasedTransfer::kNone;
  if (lease == nullptr || lease->ended) return LeasedTransfer::kLatePost;
  if (lease->remaining < cost) return LeasedTransfer::kShortPost;
  lease->remaining = Subtract(lease->remaining, cost).value();
  return LeasedTransfer::kPost;
}

// When it was admitted, which says in which month it is billed. A clock that was wrong books nothing: what is refused
// waits in its gateway's journal, and what is of the future is taken when its time has come.
Result<Time> AdmitTime(const LeasedUsage& usage, const Lease* lease, Time now) {
  ALLOD_TRY(const Time admitted, TimeOfRequestId(usage.request_id));
  const auto refuse = [&](const std::string& why) {
    return InvalidArgument("INVALID_REQUEST_ID", fmt::format("request_id: the time in {} is {}, {}; check the clock of "
                                                             "the gateway",
                                                             usage.request_id.ToString(), Instant(admitted), why));
  };
  if (!HasPeriod(admitted)) return refuse("and no invoice is of that time");
  if (admitted > now + kRequestIdSkewMax) {
    return refuse(fmt::format("more than {} minutes after billing's, {}", kRequestIdSkewMax.count(), Instant(now)));
  }
  if (lease != nullptr && admitted < lease->create_time - kRequestIdSkewMax) {
    return refuse(fmt::format("more than {} minutes before its lease was made, {}", kRequestIdSkewMax.count(),
                              Instant(lease->create_time)));
  }
  return admitted;
}

Result<LeasedDecision> DecideOne(SettleBatchState& state, TenantId tenant, const LeasedUsage& usage, Time now) {
  if (state.reserved.contains(usage.request_id)) {
    return FailedPrecondition(
        "REQUEST_RESERVED",
        fmt::format("request_id: {} was admitted with Reserve; settle it with Settle", usage.request_id.ToString()));
  }
  if (const auto recorded = state.records.find(usage.request_id); recorded != state.records.end()) {
    if (!IsSame(recorded->second, usage)) return RequestIdReused(usage.request_id, "settlement");
    return LeasedDecision{.record = recorded->second, .replay = true};
  }
  if (!state.currency_code) return NoBillingAccount();
  ALLOD_CHECK_OK(CheckCounts(usage));
  const auto lease = state.leases.find(usage.lease_id);
  const bool is_lease_known = lease != state.leases.end();
  ALLOD_TRY(const Time admit_time, AdmitTime(usage, is_lease_known ? &lease->second : nullptr, now));
  const KeyPrice& found = state.prices[usage.terms];
  if (!found.price) return PriceNotFound(usage.terms, found.book_exists, *state.currency_code);
  const bool billed = IsBilled(usage.outcome, usage.prompt_tokens, usage.completion_tokens);
  Amount cost;
  if (billed) {
    ALLOD_TRY(cost, Cost(found.price->prompt, std::min(usage.prompt_tokens, usage.prompt_tokens_max),
                         found.price->completion, std::min(usage.completion_tokens, usage.completion_tokens_max)));
  }
  LeasedDecision out{
      .record = {.tenant = tenant,
                 .request_id = usage.request_id,
                 .instance = usage.instance,
                 .variant = usage.terms.variant,
                 .price_book = usage.terms.price_book,
                 .api_key = usage.api_key,
                 .outcome = usage.outcome,
                 .prompt_tokens = usage.prompt_tokens,
                 .completion_tokens = usage.completion_tokens,
                 .currency_code = *state.currency_code,
                 .prompt_price = found.price->prompt,
                 .completion_price = found.price->completion,
                 .billed = billed,
                 .cost = cost,
                 .admit_time = admit_time,
                 .settle_time = FloorToMicros(now),
                 .isolation_class = usage.terms.isolation_class,
                 .lease = usage.lease_id,
                 .excess_prompt_tokens = Beyond(usage.prompt_tokens, usage.prompt_tokens_max),
                 .excess_completion_tokens = Beyond(usage.completion_tokens, usage.completion_tokens_max)},
      .transfer = TakeFrom(is_lease_known ? &lease->second : nullptr, cost),
      .is_lease_known = is_lease_known};
  state.records[usage.request_id] = out.record;
  return out;
}

}  // namespace

std::vector<Result<LeasedDecision>> DecideSettleBatch(SettleBatchState state, const SettleBatchCommand& command,
                                                      Time now) {
  std::vector<Result<LeasedDecision>> out;
  out.reserve(command.usage.size());
  for (const LeasedUsage& usage : command.usage) out.push_back(DecideOne(state, command.tenant, usage, now));
  return out;
}

}  // namespace allod::billing
