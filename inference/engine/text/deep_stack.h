// Runs a function on a thread of its own with a large stack: for recursive work on foreign input, whose depth a budget
// bounds only roughly. The stack's pages are taken as they are touched.
#pragma once

#include <chrono>
#include <functional>

#include "services/common/result.h"

namespace allod::inference::engine::text {

// Waits for the end. `run` must not throw. RESOURCE_EXHAUSTED / NO_THREAD.
Status RunOnDeepStack(const std::function<void()>& run);

// Of the calling thread since it began, with what RunOnDeepStack used for it.
std::chrono::nanoseconds ProcessorTimeWithDeepStacks();

}  // namespace allod::inference::engine::text
