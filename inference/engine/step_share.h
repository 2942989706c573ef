// Who takes part in a step, and what it may take, so that each tenant of a worker gets its share of the time.
//
// Everything that is computed for a tenant is charged to it as time: tokens, prompts, draws. One that is ahead of the
// least served by more than a step of decoding sits out until the others have caught up; so a prompt costs its
// neighbours as much time as they would have lost to a neighbour that decodes, in however many requests it comes. While
// there are neighbours a piece of prompt is small, because whoever comes waits for the step that is under way. Pure;
// seconds.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "inference/engine/step_cost.h"

namespace allod::inference::engine {

// A tenant that could take part.
struct StepTenant {
  double served = 0;  // FairShare's counter
  std::int32_t decode_rows = 0;
};

struct StepPlan {
  std::vector<bool> takes_part;  // of each; at least one does
  double budget = 0;             // what the step should take
};

// `has_neighbours`: several tenants computed here lately. `is_contended`: the turn's budget is kept to in any case.
StepPlan PlanStep(std::span<const StepTenant> tenants, const StepCost& cost, double turn_budget, bool has_neighbours,
                  bool is_contended);

}  // namespace allod::inference::engine
