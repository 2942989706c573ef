// The google.longrunning.Operation that answers for one of ours.
#pragma once

#include <google/longrunning/operations.pb.h>

#include "services/scheduling/store.h"

namespace allod::scheduling {

// `instance` is the one that the operation is about, if it still is; it answers for one that succeeded.
google::longrunning::Operation AnswerFor(const Operation& operation, const Instance* instance);
// Reads the instance from the store when the operation is done and its response is due.
Result<google::longrunning::Operation> AnswerFor(const Operation& operation, Store& store);

// Whether a list may show it (CheckWhole). One that is broken is left out, so that it never takes the list with it; it
// is logged and counted in allod_scheduling_broken_instances_total.
bool IsWhole(const Instance& instance);

}  // namespace allod::scheduling
