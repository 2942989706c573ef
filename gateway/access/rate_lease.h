// Leases request budget for RateLimiters from the buckets that all gateways share in Redis, on one thread of its own.
//
// The shared bucket is the same GCRA, run by a Lua script on Redis' clock. Losing or flushing Redis only costs
// precision.
#pragma once

#include <string>
#include <vector>

#include "gateway/access/rate_limiter.h"
#include "services/common/owned_thread.h"
#include "services/common/redis.h"

namespace allod::gateway::access {

class RateLease {
 public:
  // What a limiter's buckets are called in Redis, and the limiter, which must outlive this.
  struct Buckets {
    std::string prefix;
    RateLimiter& limiter;
  };
  // Starts the thread.
  RateLease(RedisConfig redis, std::vector<Buckets> buckets);
  void Stop() { thread_.Stop(); }  // so does the destructor

 private:
  void Loop(const std::stop_token& stop);
  // False when Redis did not answer.
  bool LeaseOnce(const Buckets& buckets);

  Redis redis_;
  const std::vector<Buckets> buckets_;
  OwnedThread thread_;
};

}  // namespace allod::gateway::access
