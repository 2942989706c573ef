#include "services/billing/lease.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/billing/refusals.h"
#include "services/common/digest.h"

namespace allod::billing {
namespace {

std::unexpected<Error> LeaseEnded(Uuid lease) {
  return FailedPrecondition("LEASE_ENDED",
                            fmt::format("lease_id: {} has ended; make another one with a new id", lease.ToString()));
}

std::unexpected<Error> EpochReused(const AdjustLeaseCommand& command, std::string_view what) {
  return Fail(Code::kAlreadyExists, "EPOCH_REUSED",
              fmt::format("epoch: {} of lease {} was already {}; make another lease with a new id", command.epoch,
                          command.lease_id.ToString(), what));
}

// A request that was carried out before, sent again.
Result<AdjustLeaseDecision> Repeat(const Lease& lease, const AdjustLeaseCommand& command, bool is_over) {
  if (lease.payload_sha256 != PayloadSha256(command)) return EpochReused(command, "another change");
  if (is_over && !command.end) return LeaseEnded(command.lease_id);
  return AdjustLeaseDecision{.lease = lease, .replay = true};
}

Status CheckPrices(const AdjustLeaseState& state, const AdjustLeaseCommand& command) {
  for (std::size_t i = 0; i < command.terms.size(); ++i) {
    const KeyPrice& found = state.prices.at(i);
    if (!found.price) return PriceNotFound(command.terms[i], found.book_exists, state.account->currency_code);
  }
  return {};
}

}  // namespace

Status CheckClock(const AdjustLeaseCommand& command, Time now) {
  if (command.end) return {};  // it gives back whatever time it is
  if (command.send_time >= now - kRequestIdSkewMax && command.send_time <= now + kRequestIdSkewMax) return {};
  return FailedPrecondition(
      "CLOCK_SKEW", fmt::format("send_time: the gateway's clock says {} and billing's {}, more than {} minutes apart; "
                                "nothing is admitted until the one that is wrong is set",
                                Instant(command.send_time), Instant(now), kRequestIdSkewMax.count()));
}

std::string PayloadSha256(const AdjustLeaseCommand& command) {
  std::string text =
      fmt::format("AdjustLease\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}", command.tenant.ToString(), command.lease_id.ToString(),
                  command.gateway.ToString(), command.epoch, command.need.ToPicoString(), command.want.ToPicoString(),
                  command.give_back.ToPicoString(), command.end);
  for (const SliceAsk& slice : command.slices) {
    text += fmt::format("\n{} {} {} {} {}", slice.key.budget.ToString(), slice.key.start.time_since_epoch().count(),
                        slice.need.ToPicoString(), slice.want.ToPicoString(), slice.give_back.ToPicoString());
  }
  return Sha256Hex(text);
}

Result<Amount> Grant(const BillingAccount& account, Amount freed, Amount need, Amount want) {
  if (need > Amount()) ALLOD_CHECK_OK(CheckFunds(account, need, freed));
  ALLOD_TRY(const Amount available, Available(account, freed));
  return std::min(want, std::max(need, Amount::FromPico(available.pico() / 4)));
}

Result<AdjustLeaseDecision> DecideAdjustLease(const AdjustLeaseState& state, const AdjustLeaseCommand& command) {
  if (!state.account) return NoBillingAccount();
  ALLOD_CHECK_OK(CheckPrices(state, command));
  const bool is_over = state.lease && (state.lease->ended || state.lease->expire_time <= state.now);
  if (state.lease && state.lease->epoch == command.epoch) return Repeat(*state.lease, command, is_over);
  // One that is not there although it should be was lost with the database's last moments, say: another one helps.
  if (is_over || (!state.lease && (command.epoch > 1 || command.end))) return LeaseEnded(command.lease_id);
  Lease lease = state.lease.value_or(Lease{.tenant = command.tenant,
                                           .id = command.lease_id,
                                           .gateway = command.gateway,
                                           .epoch = 0,
                                           .create_time = FloorToMicros(command.send_time)});
  if (lease.gateway != command.gateway) return EpochReused(command, "of another gateway");
  if (command.epoch != lease.epoch + 1) {
    return FailedPrecondition("EPOCH_OUT_OF_ORDER",
                              fmt::format("epoch: {} does not follow {}, the last one of lease {}", command.epoch,
                                          lease.epoch, lease.id.ToString()));
  }
  const Amount returned = command.end ? lease.remaining : command.give_back;
  if (returned > lease.remaining) {
    return FailedPrecondition("GIVE_BACK_TOO_LARGE",
                              fmt::format("give_back: {} is more than {}, which is all that lease {} has",
                                          returned.ToString(), lease.remaining.ToString(), lease.id.ToString()));
  }
  ALLOD_TRY(lease.added, Grant(*state.account, returned, command.need, command.want));
  ALLOD_TRY(const Amount kept, Subtract(lease.remaining, returned));
  ALLOD_TRY(lease.remaining, Add(kept, lease.added));
  lease.epoch = command.epoch;
  lease.ended = command.end;
  lease.recalled = false;
  lease.payload_sha256 = PayloadSha256(command);
  lease.expire_time = FloorToMicros(state.now) + kLeaseEndsAfter;
  return AdjustLeaseDecision{.lease = std::move(lease), .returned = returned};
}

AdjustedLease AnswerOf(const AdjustLeaseState& state, const AdjustLeaseDecision& decision) {
  using std::chrono::microseconds;
  AdjustedLease out{.lease = decision.lease, .currency_code = state.account->currency_code};
  for (const KeyPrice& price : state.prices) out.prices.push_back(*price.price);
  out.recalled = state.lease && state.lease->recalled;
  out.budgets_version = state.account->budgets_version;
  if (decision.lease.ended) return out;
  out.ends_after = std::max(microseconds(0), std::chrono::floor<microseconds>(decision.lease.expire_time - state.now));
  out.admit_for = std::max(microseconds(0), out.ends_after - microseconds(kLeaseEndsAfter - kLeaseAdmitFor));
  return out;
}

}  // namespace allod::billing
