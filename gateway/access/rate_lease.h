// Leases budget for a RateLimiter from the buckets that all gateways share in Redis, on one thread of its own, and
// reports there what was spent. One script does all of it for many ids in one round trip.
//
// The shared bucket is the same GCRA on Redis' clock, with the burst that SharedBudget leaves to it; that of tokens has
// the whole limit, and is charged afterwards. Every call says that somebody is there. When nobody was for kGap (Redis
// was frozen, or nobody reached it), or Redis has forgotten (it was restarted or flushed), a new era begins: with
// several gateways all buckets are empty then and fill up at their rate, because nobody knows what was spent in
// between, and for kYoung everybody goes on alone, until all have heard of it. Losing Redis costs precision, never
// more.
#pragma once

#include <chrono>
#include <string>

#include "gateway/access/rate_limiter.h"
#include "services/common/owned_thread.h"
#include "services/common/redis.h"

namespace allod::gateway::access {

class RateLease {
 public:
  static constexpr std::chrono::milliseconds kGap{2500};
  static constexpr std::chrono::milliseconds kYoung{2000};

  // Starts the thread. `prefix` is what the limiter's buckets are called in Redis; the limiter must outlive this.
  RateLease(RedisConfig redis, std::string prefix, RateLimiter& limiter);
  void Stop() { thread_.Stop(); }  // so does the destructor

 private:
  void Loop(const std::stop_token& stop);
  // One call: of what is wanted, or of nothing if the buckets do not answer yet, or to say once a second that somebody
  // is there. False when they do not answer.
  bool LeaseOnce();

  Redis redis_;
  const std::string prefix_;
  RateLimiter& limiter_;
  std::int64_t era_ = 0;
  bool answers_ = false;
  std::chrono::steady_clock::time_point last_asked_{};
  OwnedThread thread_;
};

}  // namespace allod::gateway::access
