#include "gateway/access/gcra.h"

#include <algorithm>

namespace allod::gateway::access {

using std::chrono::nanoseconds;

GcraDecision SpendGcra(const GcraLimit& limit, SteadyTime& tat, SteadyTime now, std::int64_t cost) {
  const nanoseconds interval = limit.interval();
  const nanoseconds tolerance = interval * limit.burst;
  const SteadyTime base = std::max(tat, now);
  const SteadyTime next = base + interval * cost;
  GcraDecision out;
  out.allowed = next - tolerance <= now;
  if (out.allowed) {
    tat = next;
  } else {
    out.retry_after = next - tolerance - now;
  }
  const SteadyTime current = out.allowed ? next : base;
  out.remaining = std::max<std::int64_t>(0, (now + tolerance - current) / interval);
  out.reset_after = current - now;
  return out;
}

void ChargeGcra(const GcraLimit& limit, SteadyTime& tat, SteadyTime now, std::int64_t cost) {
  tat = std::max(tat, now) + limit.interval() * cost;
}

void RefundGcra(const GcraLimit& limit, SteadyTime& tat, std::int64_t cost) { tat -= limit.interval() * cost; }

}  // namespace allod::gateway::access
