// The google.longrunning.Operation that answers for one of ours.
#pragma once

#include <google/longrunning/operations.pb.h>

#include "services/scheduling/store.h"

namespace allod::scheduling {

// Reads the instance from the store when the operation is done and its response is due.
Result<google::longrunning::Operation> AnswerFor(const Operation& operation, Store& store);

}  // namespace allod::scheduling
