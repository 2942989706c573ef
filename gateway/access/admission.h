// Whether a request may begin now: what its API key may ask for, the model that it names, its project and its tenant
// with all their keys together, because keys are made freely. Thread-safe; never blocks on I/O.
//
// A tenant's requests count against the limits of the tenants above it too.
//
// Inner limits are asked before outer ones: what is refused there costs the other keys of a tenant nothing. What a
// model's limit refuses, which is known only when the request was read, is given back to project and tenant.
//
// The configuration has limits for each key and each tenant. A key's own only narrow those for keys; a tenant's own
// take the place of those for tenants. A limit in shadow refuses nothing: what it would have refused is counted and
// logged, and those of the configuration hold.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/access/limit_table.h"
#include "gateway/access/principal.h"
#include "gateway/access/rate_lease.h"
#include "gateway/access/rate_limiter.h"
#include "gateway/http/message.h"
#include "services/common/redis.h"
#include "services/common/result.h"

namespace allod::gateway::access {

struct AdmissionLimits {
  RateLimits key{.requests_per_minute = 600, .tokens_per_minute = 1'000'000, .concurrency = 64};
  // A hundred keys that use all they may.
  RateLimits tenant{.requests_per_minute = 60'000, .tokens_per_minute = 100'000'000, .concurrency = 4096};
  int gateways = 1;  // that share a Redis
};

class Admission {
 public:
  // With `redis` the budgets of requests and tokens are shared with the other gateways that use it. `table` must
  // outlive this.
  Admission(const AdmissionLimits& limits, const LimitTable& table, const std::optional<RedisConfig>& redis);
  Admission(const Admission&) = delete;
  void Stop();  // leasing; so does the destructor

  // A place among the running requests of key, model, project and tenant; given back on destruction, before the
  // Admission's own.
  class Permit {
   public:
    // Charges tokens that were produced for the request.
    void ChargeTokens(std::int64_t tokens, SteadyTime now);

   private:
    friend class Admission;
    std::vector<RateLimiter::Permit> inner_;  // of the key
    std::vector<RateLimiter::Permit> outer_;
    Standing standing_;
  };

  // RESOURCE_EXHAUSTED / RATE_LIMIT_EXCEEDED with retry_after, naming whose limit it is. `headers` gets x-ratelimit-*
  // either way: of the limits that bind it the one that leaves least, or the one that refused.
  Result<Permit> Admit(const Principal& principal, SteadyTime now, http::Headers& headers);
  // The same for the model that the request turned out to be for.
  Status AdmitTo(const std::string& instance, const Principal& principal, SteadyTime now, Permit& permit,
                 http::Headers& headers);

 private:
  // Whose limit it is.
  struct Level {
    std::string_view name;  // in ids, metrics and the log
    std::string_view who;   // in refusals
  };
  static const Level kKey, kWorkload, kSession, kInstance, kProject, kTenant, kAbove;
  // Of the credential itself; the same buckets and counts, whatever it is.
  static const Level& OwnLevelOf(const Principal& principal);
  // Those of a tenant, with all its keys and all below it together. `pushed` may be null.
  Status AskTenant(const Level& level, const std::string& tenant, const TenantLimits* pushed, SteadyTime now,
                   Permit& permit, http::Headers& headers);
  Status Ask(const Level& level, const std::string& id, const RateLimits& limits, SteadyTime now, Standing& standing,
             std::vector<RateLimiter::Permit>& permits, http::Headers& headers);
  void NoteShadow(const Level& level, const std::string& id, const Error& error, SteadyTime now);

  const AdmissionLimits limits_;
  const LimitTable& table_;
  RateLimiter limiter_;
  std::atomic<std::int64_t> next_shadow_line_ = 0;  // seconds of the steady clock
  std::optional<RateLease> lease_;                  // last: it uses the limiter
};

}  // namespace allod::gateway::access
