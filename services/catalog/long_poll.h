// The loop of an RPC that waits for something to become true: looks at once, on every change and every second, and ends
// in time to answer.
#pragma once

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "services/catalog/change_signal.h"

namespace allod::catalog {

inline constexpr std::chrono::milliseconds kPollWaitMax{30'000};
// How soon a change made by another process, or a lease that ran out, is noticed.
inline constexpr std::chrono::milliseconds kPollInterval{1'000};
// What is left of the caller's deadline to answer in.
inline constexpr std::chrono::milliseconds kPollAnswerTime{100};

// `look() -> Result<std::optional<T>>` is called without any lock. Empty when the wait is over first, the caller has
// gone or the service stops. RESOURCE_EXHAUSTED / TOO_MANY_WAITERS.
template <typename Look>
auto LongPoll(const grpc::ServerContext& context, ChangeSignal& signal, std::chrono::milliseconds wait, Look&& look)
    -> decltype(look()) {
  using std::chrono::milliseconds, std::chrono::steady_clock, std::chrono::system_clock;
  ALLOD_TRY(const auto waiter, signal.Enter());
  wait = std::clamp(wait, milliseconds(0), kPollWaitMax);
  if (context.deadline() < system_clock::now() + wait + kPollAnswerTime) {
    wait = std::chrono::floor<milliseconds>(context.deadline() - system_clock::now()) - kPollAnswerTime;
  }
  const auto end = steady_clock::now() + wait;
  for (;;) {
    const std::uint64_t seen = signal.revision();
    ALLOD_TRY(auto found, look());
    const auto left = std::chrono::ceil<milliseconds>(end - steady_clock::now());
    if (found || left.count() <= 0) return found;
    signal.WaitPast(seen, std::min(left, kPollInterval));
    if (context.IsCancelled() || signal.stopped()) return found;
  }
}

}  // namespace allod::catalog
