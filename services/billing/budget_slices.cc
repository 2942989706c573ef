#include "services/billing/budget_slices.h"

#include <algorithm>

namespace allod::billing {
namespace {

// Amounts of rows, each below 10^27: nothing can leave 128 bits.
constexpr Amount operator+(Amount a, Amount b) { return Amount::FromPico(a.pico() + b.pico()); }
constexpr Amount operator-(Amount a, Amount b) { return Amount::FromPico(a.pico() - b.pico()); }

}  // namespace

SliceDecision DecideSlice(const SliceAsk& ask, const SliceState& state) {
  SliceDecision out{.key = ask.key, .exists = state.exists};
  if (!state.exists) return out;
  const Amount returned = std::min(ask.give_back, state.remaining);
  const Amount available = state.amount - state.spent - (state.granted - returned);
  out.remaining = state.remaining - returned;
  out.is_short = ask.need > std::max(available, Amount());
  if (out.is_short) return out;
  const Amount part = Amount::FromPico(std::max(available, Amount()).pico() / 4);
  out.added = std::min(ask.want, std::max(ask.need, part));
  out.remaining = out.remaining + out.added;
  return out;
}

bool IsStart(const HardBudget& budget, Time start) {
  if (budget.period == BudgetPeriod::kMonth && !HasPeriod(start)) return false;
  return StartOfPeriod(budget.period, budget.start, budget.end, start) == start;
}

}  // namespace allod::billing
