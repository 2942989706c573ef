// Limits what each of many may ask for: requests and tokens per minute, and requests at the same time. Who they are
// (API keys, tenants) is admission.h's to say; here each is a key of the table. Thread-safe; never blocks on I/O.
//
// Each key has a local GCRA bucket, which alone keeps one gateway within the limit. When several gateways share a
// Redis, a background thread (RateLease) leases requests for active keys in chunks from one common bucket there; a key
// whose common bucket is empty is refused until it refills. Without Redis the local buckets decide: only precision
// suffers. Tokens are charged after they were spent, whatever became of the request, so a key in debt waits until it is
// out of it.
//
// What a request costs does not depend on how many keys there are: keys are spread over shards, each with a lock of its
// own, and each request looks at the two keys of its shard that asked longest ago, and forgets those that have not
// asked for a minute and whose buckets are full again.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "gateway/access/gcra.h"
#include "gateway/http/message.h"
#include "services/common/result.h"

namespace allod::gateway::access {

struct RateLimits {
  std::int64_t requests_per_minute = 600;
  std::int64_t tokens_per_minute = 1'000'000;
  int concurrency = 64;
};

// Where somebody stands after a request, for the x-ratelimit headers.
struct Standing {
  struct Budget {
    std::int64_t limit = 0;
    std::int64_t remaining = 0;
    std::chrono::nanoseconds reset_after{0};
  };
  Budget requests, tokens;

  // Who is bound by both may do what the tighter one leaves, of requests and of tokens.
  void TightenTo(const Standing& other);
  void AddTo(http::Headers& headers) const;
};

class RateLimiter {
 public:
  // `who` is what a refusal calls them, e.g. "this key".
  explicit RateLimiter(RateLimits limits, std::string who = "this key");
  RateLimiter(const RateLimiter&) = delete;

  // A place among the key's concurrent requests; given back on destruction. The limiter must outlive it.
  class Permit {
   public:
    Permit() = default;
    Permit(Permit&& other) noexcept;
    Permit& operator=(Permit&& other) noexcept;
    ~Permit();
    // Charges tokens that were produced for the request.
    void ChargeTokens(std::int64_t tokens, SteadyTime now);

   private:
    friend class RateLimiter;
    RateLimiter* limiter_ = nullptr;
    std::string kid_;
  };

  // RESOURCE_EXHAUSTED / RATE_LIMIT_EXCEEDED with retry_after. `standing` is set either way.
  Result<Permit> Admit(const std::string& kid, SteadyTime now, Standing& standing);

  // For RateLease: keys that want budget from the common bucket, with how much, at most `count_max` of them.
  struct Want {
    std::string kid;
    std::int64_t units;
  };
  std::vector<Want> TakeWants(std::size_t count_max);
  // What the common bucket gave. `retry_after` counts when nothing was given.
  void Grant(const std::string& kid, std::int64_t units, std::chrono::nanoseconds retry_after, SteadyTime now);
  // Redis does not answer: only local buckets decide until the next grant.
  void DropLeases();
  const RateLimits& limits() const { return limits_; }
  // Keys that something is remembered of.
  std::size_t size() const;

 private:
  static constexpr std::size_t kShards = 64;
  struct Entry {
    SteadyTime requests_tat{};
    SteadyTime tokens_tat{};
    int running = 0;
    // Units of the common bucket: what is left of the lease; below zero what was used ahead of one.
    std::int64_t leased = 0;
    SteadyTime lease_refused_until{};
    bool wants = false;
    std::uint64_t lease_epoch = 0;  // what is said of leases holds in this one only
    SteadyTime used{};
    std::list<const std::string*>::iterator place;          // in by_use
    std::list<const std::string*>::iterator place_wanting;  // in wanting, if it wants
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::string, Entry> entries;
    std::list<const std::string*> by_use;   // keys of `entries`, the one that asked longest ago first
    std::list<const std::string*> wanting;  // those that want budget, the one that waits longest first
    std::uint64_t lease_epoch = 0;
  };
  std::size_t ShardOf(const std::string& kid) const;
  // With the shard's lock held. Null when nothing is remembered of the key.
  Entry* Find(Shard& shard, const std::string& kid);
  Entry& FindOrMake(Shard& shard, const std::string& kid, SteadyTime now);
  void ForgetIdle(Shard& shard, SteadyTime now);
  // Forgets what is said of leases if DropLeases() was called since.
  void DropStaleLeases(Shard& shard);
  void DropStaleLease(const Shard& shard, Entry& entry);
  void Release(const std::string& kid);

  const RateLimits limits_;
  const std::string who_;
  const GcraLimit requests_;
  const GcraLimit tokens_;
  const std::int64_t chunk_;
  std::array<Shard, kShards> shards_;
  std::atomic<std::uint64_t> lease_epoch_ = 1;
  std::atomic<std::size_t> next_wanting_ = 0;  // the shard that TakeWants() begins with
};

// "250ms", "12s", "1m30s": how OpenAI writes x-ratelimit-reset-*.
std::string FormatReset(std::chrono::nanoseconds duration);

}  // namespace allod::gateway::access
