// Leases request budget for a RateLimiter from the bucket that all gateways share in Redis, on one thread of its own.
//
// The shared bucket is the same GCRA, run by a Lua script on Redis' clock. Losing or flushing Redis only costs
// precision.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "gateway/access/rate_limiter.h"
#include "services/common/redis.h"

namespace allod::gateway::access {

class RateLease {
 public:
  // Starts the thread. `limiter` must outlive this.
  RateLease(RedisConfig redis, RateLimiter& limiter);
  ~RateLease();  // Stop()
  void Stop();

 private:
  void Loop();
  // False when Redis did not answer.
  bool LeaseOnce();

  Redis redis_;
  RateLimiter& limiter_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace allod::gateway::access
