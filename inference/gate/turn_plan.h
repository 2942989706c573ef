// How long a worker's next step should take: the rule of the gate, apart from pages and threads. Pure.
#pragma once

#include <chrono>

namespace allod::inference::gate {

struct TurnTimes {
  // While others wait, while nobody does, and the first turn of one that had nothing to do: a prompt is read in one
  // piece where it fits, because each further piece would wait for a turn of everybody else and the weights are read
  // anew for each. Like all other time it is charged, so the others catch up afterwards.
  std::chrono::microseconds contended{25'000};
  std::chrono::microseconds alone{50'000};
  std::chrono::microseconds first{100'000};
  // Who had to wait so recently may be back soon: turns stay as short as while it waits, or its next request would find
  // somebody in the middle of a long one.
  std::chrono::milliseconds recent{1'000};
};

struct TurnPlan {
  std::chrono::microseconds budget{};
  bool crowded = false;   // the budget counts for what runs, too, and not only for further prompts
  bool is_claim = false;  // may be used for several steps, as long as they read prompts
  bool operator==(const TurnPlan&) const = default;
};

// `has_come`: its tenant had no work before. `others_wait`: for this worker's turn to end.
// `since_somebody_waited`: of any tenant; irrelevant while others wait.
TurnPlan PlanTurn(const TurnTimes& times, bool has_come, bool others_wait,
                  std::chrono::steady_clock::duration since_somebody_waited);

}  // namespace allod::inference::gate
