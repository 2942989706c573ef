#include "gateway/metering/demand.h"

#include <algorithm>

#include "gateway/metering/lease_pace.h"

namespace allod::gateway::metering {
namespace {

std::int64_t SecondOf(Demand::SteadyTime now) {
  return std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
}

}  // namespace

void Demand::Add(Amount amount, SteadyTime now) {
  const std::int64_t number = SecondOf(now);
  Second& second = seconds_[static_cast<std::size_t>(number) % 3];
  if (second.number != number) second = {number, {}, {}};
  second.sum = second.sum + amount;
  second.largest = std::max(second.largest, amount);
}

Amount Demand::lately(SteadyTime now) const {
  Amount out;
  for (const Second& second : seconds_) {
    if (second.number > SecondOf(now) - 3) out = out + second.sum;
  }
  return out;
}

Amount Demand::largest(SteadyTime now) const {
  Amount out;
  for (const Second& second : seconds_) {
    if (second.number > SecondOf(now) - 3) out = std::max(out, second.largest);
  }
  return out;
}

}  // namespace allod::gateway::metering
