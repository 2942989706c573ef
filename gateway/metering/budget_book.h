// The hard budgets of one tenant, and what this gateway has of each: slices, which belong to its lease as the free
// money does (lease_book.h). A request is admitted only when the lease, and the slice of every budget in which it
// counts, has its worst case; what it did not cost goes back into all of them. Pure: no I/O, no threads, no clock. Not
// thread-safe.
//
//   granted by billing  =  free  +  outstanding (of requests that run or wait to be settled)
//
// Which requests count is decided here and at billing alike: by the project and the name of the instance, the key, and
// the time in the request's id. A request goes on in the period in which it was admitted, whatever month it is.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gateway/metering/demand.h"
#include "services/common/clock.h"
#include "services/common/ids.h"
#include "services/common/money.h"

namespace allod::gateway::metering {

// Who spends. `request` is nil for one that counts in no budget whatever.
struct Spender {
  Uuid request;  // a UUIDv7: its time says in which period it counts
  std::string api_key;
  std::string instance;

  bool operator==(const Spender&) const = default;
};

struct BudgetRule {
  enum class Period { kMonth, kRange, kTotal };
  Uuid uid;
  std::string id;  // as its tenant calls it
  std::string project;
  std::string api_key;
  std::string instance;
  Period period = Period::kMonth;
  Time start;
  Time end;

  bool operator==(const BudgetRule&) const = default;
};

struct SliceKey {
  Uuid budget;
  Time start;  // of its period
  auto operator<=>(const SliceKey&) const = default;
};

class BudgetBook {
 public:
  using SteadyTime = Demand::SteadyTime;
  static constexpr std::size_t kAsksMax = 64;

  // A part of an AdjustLease.
  struct Ask {
    SliceKey key;
    Amount need;
    Amount want;
    Amount give_back;
    bool operator==(const Ask&) const = default;
  };
  struct Answer {
    SliceKey key;
    bool exists = false;
    Amount added;
    bool is_short = false;  // `need` is not there
  };
  // What requests wait for, of one slice.
  struct Waiting {
    Amount first;
    Amount all;
  };
  using AllWaiting = std::map<SliceKey, Waiting>;

  // Of the rules, as billing numbers it.
  std::int64_t version() const { return version_; }
  void Replace(std::int64_t version, std::vector<BudgetRule> rules);
  // The slices of the request that waits or runs: of all rules by which it counts.
  std::vector<SliceKey> SlicesFor(const Spender& spender) const;
  const BudgetRule* RuleOf(const SliceKey& key) const;

  // What `spender` needs of the slice beyond what it has taken of it.
  Amount LackOf(const Spender& spender, const SliceKey& key, Amount amount) const;
  // Whether each of them has what is lacking. Then Take() takes it; it had taken less of them, or nothing.
  bool Covers(const Spender& spender, const std::vector<SliceKey>& keys, Amount amount) const;
  void Take(const Spender& spender, const std::vector<SliceKey>& keys, Amount amount, SteadyTime now);
  // From which it has taken; to be told to billing when it is settled.
  std::vector<SliceKey> TakenFrom(const Uuid& request) const;
  void Settle(const Uuid& request, Amount cost);

  // Others need what is free of a budget.
  void Recall(const Uuid& budget);
  // Something may be asked for ahead of need.
  bool is_low() const { return is_low_; }
  bool has_recalled() const;

  // What is to be said with the next adjustment; `ending`: everything that is free goes back.
  std::vector<Ask> NextAsks(const AllWaiting& waiting, bool ending, SteadyTime now);
  // When there may be something to say although nothing happens before.
  SteadyTime until(SteadyTime now) const;
  void OnSent(const std::vector<Ask>& asks);
  void OnAdjusted(const std::vector<Ask>& asks, const std::vector<Answer>& answers, SteadyTime now);
  void OnRefused(const std::vector<Ask>& asks);  // nothing was done
  void OnGone();                                 // the lease, and so all slices

  Amount free(const SliceKey& key) const;

 private:
  struct Slice {
    Amount free;
    Amount outstanding;
    Amount low;
    Demand demand;
    SteadyTime last_use{};
    SteadyTime no_top_up_before{};
    bool recalled = false;
  };
  struct Taken {
    SliceKey key;
    Amount amount;
  };
  static Amount Target(const Slice& slice, SteadyTime now);
  Ask AskOf(const SliceKey& key, Slice& slice, const Waiting* waiting, bool ending, SteadyTime now) const;

  std::int64_t version_ = 0;
  std::vector<BudgetRule> rules_;
  std::map<SliceKey, Slice> slices_;
  std::map<Uuid, std::vector<Taken>> taken_;  // by request
  bool is_low_ = false;
};

}  // namespace allod::gateway::metering
