// What was spent lately. Pure.
#pragma once

#include <chrono>
#include <cstdint>

#include "services/common/money.h"

namespace allod::gateway::metering {

// Of whole seconds, the last three.
class Demand {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  void Add(Amount amount, SteadyTime now);
  Amount lately(SteadyTime now) const;
  Amount largest(SteadyTime now) const;

 private:
  struct Second {
    std::int64_t number = -1;
    Amount sum;
    Amount largest;
  };
  Second seconds_[3];
};

}  // namespace allod::gateway::metering
