// The scheduler: a pure function from what exists to what should be done next.
//
// Level-triggered: called again after every change, it returns an empty plan when there is nothing to do. Each instance
// is brought one step closer:
//   - replicas on a node whose region lies outside the residency stop at once;
//   - missing replicas are created where Pool::Place finds room; what cannot be placed is named with its reason;
//   - a new generation starts beside the old one, and an old replica stops only for a new one that answers; where there
//   is
//     no room for both, one old replica at a time makes way;
//   - replicas of a node that is lost, or that failed, for longer than the policy's grace are replaced on another node
//   and
//     stop when enough others answer;
//   - surplus replicas stop, those that do not answer first;
//   - a deleted instance's replicas stop, and what is gone (or stands on a node lost for longer than the grace) is
//   removed.
//
// Deterministic: equal snapshots give equal plans. Cost: O(instances * nodes + replicas log replicas).
#pragma once

#include "scheduler/model.h"

namespace allod::scheduler {

Plan Schedule(const Snapshot& snapshot);

}  // namespace allod::scheduler
