// One tenant's lease in this gateway: what of it is free, what requests have taken, how long it may be used, and what
// is to be said to billing next. Pure: no I/O, no threads, no clock. EscrowFunds does what is said here, and says what
// came of it. Not thread-safe.
//
//   taken from billing  =  free  +  outstanding (of requests that run or wait to be settled)
//
// What of the tenant's hard budgets goes with the lease is in budget_book.h: one adjustment asks for both.
//
// A lease begins with what the first request needs and some more, is kept filled with what about two seconds of demand
// take, gives back what is free when nothing was asked of it for two seconds or others need it, and ends after thirty
// seconds. One adjustment at a time is under way; it stays the same until billing has answered it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "gateway/metering/budget_book.h"
#include "gateway/metering/demand.h"
#include "gateway/metering/lease_terms.h"

namespace allod::gateway::metering {

class LeaseBook {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  // An AdjustLease.
  struct Ask {
    Uuid lease_id;
    std::int64_t epoch = 0;
    Amount need;
    Amount want;
    Amount give_back;
    bool end = false;               // all that remains goes back
    std::optional<PriceKey> terms;  // whose prices are wanted
    std::vector<BudgetBook::Ask> slices;
    std::int64_t budgets_version = 0;  // that is known

    bool operator==(const Ask&) const = default;
  };
  struct Answer {
    Amount added;
    std::chrono::milliseconds admit_for{};
    std::chrono::milliseconds ends_after{};
    std::optional<TokenPrices> prices;  // of the ask's terms
    bool recalled = false;
    std::vector<BudgetBook::Answer> slices;                    // of the ask's, in that order
    std::optional<std::chrono::milliseconds> ask_again_after;  // others were asked to give back what a slice lacks
    std::vector<Uuid> recalled_budgets;
    std::optional<std::int64_t> budgets_version;  // there are other budgets than were known:
    std::vector<BudgetRule> rules;
  };
  // What requests wait for.
  struct Waiting {
    Amount first;  // what the first of them takes
    Amount all;    // as far as prices are known
    // The first's, when their price is not known: then nobody knows what it takes.
    std::optional<PriceKey> unpriced;
    BudgetBook::AllWaiting slices;
  };
  struct Step {
    std::optional<Ask> ask;           // to be said now; counts as sent
    std::optional<SteadyTime> until;  // if there is none: when there may be one although nothing happens before

    bool operator==(const Step&) const = default;
  };
  enum class Mood {
    kOpen,
    kEnding,  // this gateway stops: nothing more is asked for
  };

  // Before a lease is there: the id of the next one.
  void Begin(const Uuid& lease_id) { id_ = lease_id; }
  bool has_id() const { return !id_.is_nil(); }
  const Uuid& id() const { return id_; }
  bool open() const { return epoch_ > 0; }
  // Nothing is known of it at billing, nor asked.
  bool empty() const { return !open() && !asked_; }

  BudgetBook& budgets() { return budgets_; }
  const BudgetBook& budgets() const { return budgets_; }
  // There may be other budgets than are known here: billing is asked soon.
  void DoubtBudgets() { doubts_budgets_ = true; }

  const TokenPrices* PricesOf(const PriceKey& terms) const;

  // Takes it from what is free, if there is so much and the time to admit is not over.
  bool TryTake(Amount amount, SteadyTime now);
  // In place of `held`, which was taken from `lease`: the difference. False as well when that lease is not this one, or
  // is over. What was admitted in time may go on until the lease ends.
  bool TryExchange(const Uuid& lease, Amount held, Amount amount, SteadyTime now);
  // A request for which `held` was taken came to cost `cost`.
  void Settle(const Uuid& lease, Amount held, Amount cost);
  // Others need what is free.
  void Recall(const Uuid& lease);
  bool recalled() const { return recalled_; }
  // Whether the time to admit is not over.
  bool admits(SteadyTime now) const { return open() && now < admit_until_; }
  // Free money is short of what lately was spent: NextStep() may ask for more ahead of need.
  bool is_low(SteadyTime now) const {
    return ((free_ < low_ && now >= no_top_up_before_) || budgets_.is_low()) && !asked_;
  }

  // `waiting` is null if nobody does. Says nothing while an ask is under way.
  Step NextStep(const Waiting* waiting, Mood mood, SteadyTime now);
  // The ask that is under way: to be repeated as it is when nobody knows whether it arrived.
  const std::optional<Ask>& asked() const { return asked_; }
  void OnAdjusted(const Answer& answer, SteadyTime now);
  // Billing changed nothing.
  void OnRefused();
  // Billing knows no such lease any more; what runs is settled all the same.
  void OnGone();

  Amount free() const { return free_; }
  Amount outstanding() const { return outstanding_; }

 private:
  Ask NextAsk() const { return {.lease_id = id_, .epoch = epoch_ + 1}; }
  // What is to be said of the lease alone; nothing counts as sent.
  Step Plan(const Waiting* waiting, Mood mood, SteadyTime now);
  Step Send(Ask ask, SteadyTime now);
  std::optional<Ask> AskFor(const Waiting& waiting, SteadyTime now) const;
  // What is to be kept free: the demand of about two seconds, and some requests.
  Amount Target(SteadyTime now) const;
  bool is_used() const { return free_ > Amount() || outstanding_ > Amount(); }

  Uuid id_;
  std::int64_t epoch_ = 0;  // of the last answer; 0: there is no lease
  Amount free_;
  Amount outstanding_;
  Amount low_;
  SteadyTime admit_until_{};
  SteadyTime ends_{};
  SteadyTime renew_{};
  SteadyTime last_use_{};
  SteadyTime no_top_up_before_{};
  bool recalled_ = false;
  std::optional<Ask> asked_;
  Amount given_;           // by it: not free any more
  SteadyTime asked_at_{};  // when it was sent first
  Demand demand_;
  BudgetBook budgets_;
  bool doubts_budgets_ = false;
  std::vector<std::pair<PriceKey, TokenPrices>> prices_;  // never stale: price books do not change
};

}  // namespace allod::gateway::metering
