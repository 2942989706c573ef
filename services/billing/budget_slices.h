// How a hard budget is divided among gateways: in slices that belong to leases, as a tenant's money is (../lease.h).
//
//   amount  >=  spent (settled)  +  slices of all leases
//
// A gateway admits a request only when its lease, and the slice of every budget in which it counts, has its worst case.
// Pure functions of what a store read under the tenant's lock.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "services/billing/budget.h"

namespace allod::billing {

inline constexpr std::size_t kSlicesPerAskMax = 64;

// What a gateway must know of a budget to say which requests count in it.
struct HardBudget {
  Uuid uid;  // of its slices: another each time that it becomes hard again
  std::string id;
  BudgetScope scope;
  BudgetPeriod period = BudgetPeriod::kMonth;
  Time start;
  Time end;
};

struct SliceKey {
  Uuid budget;
  Time start;  // of its period, as StartOfPeriod says
  auto operator<=>(const SliceKey&) const = default;
};

// A change of a slice, part of an adjustment of its lease.
struct SliceAsk {
  SliceKey key;
  Amount need;  // 0 <= need <= want
  Amount want;
  Amount give_back;  // before anything is added; what is more than there is counts as all of it
};

// What a store read for an ask.
struct SliceState {
  bool exists = false;  // the budget, and it is hard, and has such a period
  Amount amount;
  Amount spent;
  Amount granted;    // to all leases, this one included
  Amount remaining;  // of this lease's slice
};

struct SliceDecision {
  SliceKey key;
  bool exists = false;
  Amount remaining;  // afterwards
  Amount added;
  bool is_short = false;  // `need` is not there: nothing was added
};

// As Grant() for a lease: a quarter of what is left, never less than `need`, never more than `want`.
SliceDecision DecideSlice(const SliceAsk& ask, const SliceState& state);

// Whether `start` begins a period of the budget.
bool IsStart(const HardBudget& budget, Time start);

}  // namespace allod::billing
