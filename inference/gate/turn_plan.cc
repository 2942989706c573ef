#include "inference/gate/turn_plan.h"

#include <algorithm>

namespace allod::inference::gate {

TurnPlan PlanTurn(const TurnTimes& times, bool has_come, bool others_wait,
                  std::chrono::steady_clock::duration since_somebody_waited) {
  const bool crowded = others_wait || since_somebody_waited < times.recent;
  if (has_come && crowded) return {std::max(times.first, times.contended), true, true};
  if (crowded) return {times.contended, true, false};
  return {times.alone, false, false};
}

}  // namespace allod::inference::gate
