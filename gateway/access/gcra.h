// The generic cell rate algorithm, in virtual-scheduling form: one time stamp per key says when its bucket is empty
// again.
//
// ITU-T Recommendation I.371 (03/2004), annex A; the same shape as Boulder's ratelimits/gcra.go. Pure: time is passed
// in.
#pragma once

#include <chrono>
#include <cstdint>

namespace allod::gateway::access {

using SteadyTime = std::chrono::steady_clock::time_point;

// `count` units per `period`, of which up to `burst` at once. All positive.
struct GcraLimit {
  std::int64_t count = 1;
  std::chrono::nanoseconds period{std::chrono::minutes(1)};
  std::int64_t burst = 1;

  // Rounded up, so that never more than `count` come in a period.
  std::chrono::nanoseconds interval() const { return std::chrono::nanoseconds((period.count() + count - 1) / count); }
};

struct GcraDecision {
  bool allowed = false;
  std::int64_t remaining = 0;               // units that could be spent at once after this decision
  std::chrono::nanoseconds retry_after{0};  // 0 when allowed
  std::chrono::nanoseconds reset_after{0};  // until the whole burst is there again
};

// Spends `cost` units (0 only looks) and moves `tat`, the theoretical arrival time, if they are there; leaves it if
// not.
GcraDecision SpendGcra(const GcraLimit& limit, SteadyTime& tat, SteadyTime now, std::int64_t cost);

// Spends units that are already gone, into debt if need be.
void ChargeGcra(const GcraLimit& limit, SteadyTime& tat, SteadyTime now, std::int64_t cost);

// Gives back units that were spent.
void RefundGcra(const GcraLimit& limit, SteadyTime& tat, std::int64_t cost);

}  // namespace allod::gateway::access
