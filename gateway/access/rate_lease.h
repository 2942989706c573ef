// Leases request budget for a RateLimiter from the bucket that all gateways share in Redis, on one thread of its own.
//
// The shared bucket is the same GCRA, run by a Lua script on Redis' clock. Losing or flushing Redis only costs
// precision.
#pragma once

#include "gateway/access/rate_limiter.h"
#include "services/common/owned_thread.h"
#include "services/common/redis.h"

namespace allod::gateway::access {

class RateLease {
 public:
  // Starts the thread. `limiter` must outlive this.
  RateLease(RedisConfig redis, RateLimiter& limiter);
  void Stop() { thread_.Stop(); }  // so does the destructor

 private:
  void Loop(const std::stop_token& stop);
  // False when Redis did not answer.
  bool LeaseOnce();

  Redis redis_;
  RateLimiter& limiter_;
  OwnedThread thread_;
};

}  // namespace allod::gateway::access
