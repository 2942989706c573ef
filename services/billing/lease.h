// Leases of money: how a gateway admits requests by itself. It moves a slice of what a tenant may still spend into a
// lease, takes worst cases of requests from it, and settles them in batches (leased_usage.h).
//
// Pure functions of a snapshot, a command and the time, which is the database's. docs/billing-contract.md says what
// this is to customers.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "services/billing/budget_slices.h"
#include "services/billing/domain.h"

namespace allod::billing {

// After an adjustment requests may be admitted for so long; and so long after it the lease ends by itself. What lies
// between is the time that a request admitted last may take, and its settlement after it.
inline constexpr std::chrono::minutes kLeaseAdmitFor{2};
inline constexpr std::chrono::minutes kLeaseEndsAfter{10};
// When to ask again for what other leases were asked to give back.
inline constexpr std::chrono::milliseconds kRecallTime{20};
inline constexpr std::size_t kLeaseTermsMax = 16;
inline constexpr std::size_t kCurrentLeasesMax = 10'000;
inline constexpr int kRecallsMax = 100;  // leases that one refusal recalls

// `remaining` is held on `receivable`: what is free at the gateway, and the worst cases of its requests.
struct Lease {
  TenantId tenant;
  Uuid id;
  Uuid gateway;
  std::int64_t epoch = 0;
  Amount remaining;
  Time create_time;       // by its gateway's clock, which is near to billing's
  Time expire_time;       // by the database's clock
  bool ended = false;     // nothing remains; for good
  bool recalled = false;  // the next answer says so
  // Of the request that made this epoch, and what was added then.
  std::string payload_sha256;
  Amount added;
};

struct AdjustLeaseCommand {
  TenantId tenant;
  Uuid lease_id;
  Uuid gateway;
  std::int64_t epoch = 1;
  Amount need;  // 0 <= need <= want
  Amount want;
  Amount give_back;  // before anything is added
  bool end = false;  // all that remains is given back; need, want and give_back are 0
  std::vector<PriceKey> terms;
  Time send_time;  // by the gateway's clock
  std::vector<SliceAsk> slices{};
  std::int64_t budgets_version = 0;  // that the gateway knows
};

// Whether the gateway's clock is near enough to billing's: the ids of its requests say when they were admitted, and so
// in which month they are billed. Asked before anything is added, so that nothing runs by a clock that is wrong.
// FAILED_PRECONDITION / CLOCK_SKEW.
Status CheckClock(const AdjustLeaseCommand& command, Time now);

// Of everything but the terms and the time, which change nothing.
std::string PayloadSha256(const AdjustLeaseCommand& command);

struct AdjustLeaseState {
  Time now;  // of the database, taken under the lock
  std::optional<BillingAccount> account;
  std::optional<Lease> lease;
  std::vector<KeyPrice> prices;  // of the command's terms
};

struct AdjustLeaseDecision {
  Lease lease;      // as it is afterwards
  Amount returned;  // then `lease.added`
  bool replay = false;
};

// What is added of `want`: a quarter of what may still be spent once `freed` was given back, never less than `need`;
// so slices shrink as the limit comes near. RESOURCE_EXHAUSTED / INSUFFICIENT_FUNDS when `need` is not there.
Result<Amount> Grant(const BillingAccount& account, Amount freed, Amount need, Amount want);

// FAILED_PRECONDITION / NO_BILLING_ACCOUNT, PRICE_NOT_FOUND, LEASE_ENDED, EPOCH_OUT_OF_ORDER, GIVE_BACK_TOO_LARGE;
// RESOURCE_EXHAUSTED / INSUFFICIENT_FUNDS; ALREADY_EXISTS / EPOCH_REUSED. What is refused changes nothing.
Result<AdjustLeaseDecision> DecideAdjustLease(const AdjustLeaseState& state, const AdjustLeaseCommand& command);

// The answer to an adjustment.
struct AdjustedLease {
  Lease lease;
  std::string currency_code;
  std::vector<TokenPrice> prices;  // of the terms
  bool recalled = false;           // others need what is free in it
  // From when the request was sent: for a repeated one less is left.
  std::chrono::microseconds admit_for{0};
  std::chrono::microseconds ends_after{0};
  // What became of the command's slices, in that order.
  std::vector<SliceDecision> slices{};
  std::optional<std::chrono::milliseconds> ask_again_after{};  // of those that are short
  std::vector<SliceKey> recalled_slices{};
  std::int64_t budgets_version = 0;
  std::vector<HardBudget> budgets{};  // all, if the gateway knows another version
};
AdjustedLease AnswerOf(const AdjustLeaseState& state, const AdjustLeaseDecision& decision);

// A lease whose gateway should give back what is free in it.
struct LeaseRecall {
  Uuid gateway;
  Uuid lease;
  Uuid budget{};  // what is free of this one, if it is not nil
  auto operator<=>(const LeaseRecall&) const = default;
};

}  // namespace allod::billing
