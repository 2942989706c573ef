// Work for the thread's call on a thread of its own: its calls and statements have the same deadline, trace and actor
// (call_scope.h).
#pragma once

#include <future>
#include <optional>
#include <utility>

#include "services/common/call_scope.h"

namespace allod {

// As std::async with std::launch::async: the future waits for the end when it goes.
template <typename Work>
auto AsyncInCall(Work work) {
  std::optional<Trace> trace;
  if (const Trace* const current = CurrentTrace()) trace = *current;
  std::optional<Actor> actor;
  if (const Actor* const current = CurrentActor()) actor = *current;
  return std::async(std::launch::async, [work = std::move(work), deadline = CurrentDeadline(), trace, actor]() mutable {
    std::optional<CallScope> scope;
    if (trace) scope.emplace(deadline, *trace, std::move(actor));
    return work();
  });
}

}  // namespace allod
