// Whether a request may begin now: what its API key may ask for, and its tenant with all its keys together, because
// keys are made freely. The key is asked first: what is refused there costs the other keys of its tenant nothing.
// Thread-safe; never blocks on I/O.
#pragma once

#include <optional>

#include "gateway/access/principal.h"
#include "gateway/access/rate_lease.h"
#include "gateway/access/rate_limiter.h"
#include "gateway/http/message.h"
#include "services/common/redis.h"
#include "services/common/result.h"

namespace allod::gateway::access {

struct AdmissionLimits {
  RateLimits key;
  // A hundred keys that use all they may.
  RateLimits tenant{.requests_per_minute = 60'000, .tokens_per_minute = 100'000'000, .concurrency = 4096};
};

class Admission {
 public:
  // With `redis` the budgets of requests are shared with the other gateways that use it.
  Admission(const AdmissionLimits& limits, const std::optional<RedisConfig>& redis);
  Admission(const Admission&) = delete;
  void Stop();  // leasing; so does the destructor

  // A place among the running requests of key and tenant; given back on destruction, before the Admission's own.
  class Permit {
   public:
    Permit() = default;
    // Charges tokens that were produced for the request.
    void ChargeTokens(std::int64_t tokens, SteadyTime now);

   private:
    friend class Admission;
    RateLimiter::Permit key_;
    RateLimiter::Permit tenant_;
  };

  // RESOURCE_EXHAUSTED / RATE_LIMIT_EXCEEDED with retry_after, naming whose limit it is. `headers` gets x-ratelimit-*
  // either way: of the two limits the one that leaves less, or the one that refused.
  Result<Permit> Admit(const Principal& principal, SteadyTime now, http::Headers& headers);

 private:
  RateLimiter keys_;
  RateLimiter tenants_;
  std::optional<RateLease> lease_;  // last: it uses both
};

}  // namespace allod::gateway::access
