// Limits what each of many may ask for: requests and tokens per minute, and requests at the same time. Who they are
// (keys, projects, models, tenants) is admission.h's to say; here each is an id in one table, and its limits come with
// each request. Thread-safe; never blocks on I/O.
//
// Each id has a local GCRA bucket, which alone keeps one gateway within the limit. What it has used is a time, that in
// which the bucket refills, so a limit that changes leaves it used to the same part. When several gateways share a
// Redis, a background thread (RateLease) leases requests for active ids from one common bucket there, and reports there
// what was spent ahead of it (shared_budget.h); an id whose common bucket is empty is refused until it refills. Without
// Redis each gateway goes on with its share. Tokens are charged after they were spent, whatever became of the request,
// so who is in debt waits until out of it; gateways tell each other within a round of the lease.
//
// What a request costs does not depend on how many ids there are: they are spread over shards, each with a lock of its
// own, and each request looks at the two of its shard that asked longest ago, and forgets those that have not asked for
// a minute and whose buckets are full again.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gateway/access/gcra.h"
#include "gateway/access/rate_limits.h"
#include "gateway/http/message.h"
#include "services/common/result.h"

namespace allod::gateway::access {

// Where somebody stands after a request, for the x-ratelimit headers.
struct Standing {
  struct Budget {
    std::int64_t limit = 0;  // 0: there is none
    std::int64_t remaining = 0;
    std::chrono::nanoseconds reset_after{0};
  };
  Budget requests, tokens;

  // Who is bound by both may do what the tighter one leaves, of requests and of tokens.
  void TightenTo(const Standing& other);
  // In place of what they told before.
  void AddTo(http::Headers& headers) const;
};

class RateLimiter {
 public:
  // `who` is what a refusal calls them, e.g. "this key"; both are for the Admit() that is not given its own. `gateways`
  // is how many share a Redis.
  explicit RateLimiter(RateLimits limits = {}, std::string who = "this key", int gateways = 1);
  RateLimiter(const RateLimiter&) = delete;

  // A place among an id's concurrent requests; given back on destruction. The limiter must outlive it.
  class Permit {
   public:
    Permit() = default;
    Permit(Permit&& other) noexcept;
    Permit& operator=(Permit&& other) noexcept;
    ~Permit();
    // Charges tokens that were produced for the request.
    void ChargeTokens(std::int64_t tokens, SteadyTime now);
    // The request is not to count after all; its place is given back on destruction as ever. Once.
    void Refund();

   private:
    friend class RateLimiter;
    RateLimiter* limiter_ = nullptr;
    std::string id_;
    bool counted_ = false;
    bool ahead_ = false;  // it was spent ahead of the common bucket
  };

  // RESOURCE_EXHAUSTED / RATE_LIMIT_EXCEEDED with retry_after. `standing` is set either way.
  Result<Permit> Admit(const std::string& id, std::string_view who, const RateLimits& limits, SteadyTime now,
                       Standing& standing);
  Result<Permit> Admit(const std::string& id, SteadyTime now, Standing& standing) {
    return Admit(id, who_, limits_, now, standing);
  }
  // A place for a request that was let pass although it was refused: nothing else is spent.
  Permit Enter(const std::string& id, SteadyTime now);

  // For RateLease: what ids want of their common buckets, of at most `count_max` ids.
  struct Want {
    std::string id;
    RateLimits limits;
    std::int64_t units = 0;   // of requests, in advance
    std::int64_t ahead = 0;   // that were spent already
    std::int64_t tokens = 0;  // that were spent since the last report
  };
  std::vector<Want> TakeWants(std::size_t count_max);
  // What the common buckets answered to a want.
  struct Granted {
    std::int64_t units = 0;
    std::int64_t remaining = 0;                      // that there are still
    std::chrono::nanoseconds retry_after{0};         // counts when no units were given
    std::chrono::nanoseconds tokens_retry_after{0};  // 0: there are some
  };
  void Grant(const Want& want, const Granted& granted, SteadyTime now);
  // The common buckets do not answer: until the next grant only local ones decide.
  void DropLeases();
  // They began anew: what was spent ahead of them counts no more than it still does here.
  void BeginEra();
  int gateways() const { return gateways_; }
  // Ids that something is remembered of.
  std::size_t size() const;

 private:
  static constexpr std::size_t kShards = 64;
  struct Entry {
    RateLimits limits;  // as they came last
    SteadyTime requests_tat{};
    SteadyTime tokens_tat{};
    SteadyTime ahead_tat{};         // of the allowance of this gateway
    SteadyTime tokens_share_tat{};  // the same of tokens
    int running = 0;
    // Units of the common bucket: what is left of the lease; below zero what was used ahead of one.
    std::int64_t leased = 0;
    std::int64_t tokens_unreported = 0;
    std::int64_t shared_remaining = 0;
    SteadyTime lease_refused_until{};
    SteadyTime tokens_refused_until{};
    bool wants = false;
    std::uint64_t lease_epoch = 0;  // what is said of refusals holds in this one only
    std::uint64_t era = 0;
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
  std::size_t ShardOf(const std::string& id) const;
  // With the shard's lock held. Null when nothing is remembered of the id.
  Entry* Find(Shard& shard, const std::string& id);
  Entry& FindOrMake(Shard& shard, const std::string& id, SteadyTime now);
  void ForgetIdle(Shard& shard, SteadyTime now);
  void NoteWant(Shard& shard, Entry& entry, SteadyTime now);
  // Forgets what was refused if DropLeases() was called since.
  void DropStaleLeases(Shard& shard);
  void DropStaleLease(const Shard& shard, Entry& entry, SteadyTime now);
  bool IsAway() const { return away_.load(std::memory_order_relaxed); }
  // Of the allowances of this gateway.
  GcraLimit AheadOf(const RateLimits& limits) const;
  GcraLimit TokensShareOf(const RateLimits& limits) const;
  // How long until tokens are there; 0: some are.
  std::chrono::nanoseconds TokensWait(Entry& entry, SteadyTime now, Standing& standing) const;
  // Spends one request, if it is there.
  bool SpendRequest(Entry& entry, SteadyTime now, Permit& permit, Standing& standing,
                    std::chrono::nanoseconds& retry_after) const;
  Permit Place(const std::string& id, Entry& entry);
  void Release(const std::string& id);

  const RateLimits limits_;
  const std::string who_;
  const int gateways_;
  std::array<Shard, kShards> shards_;
  std::atomic<std::uint64_t> lease_epoch_ = 1;
  std::atomic<std::uint64_t> era_ = 0;
  std::atomic<bool> away_ = true;              // the common buckets have not answered
  std::atomic<std::size_t> next_wanting_ = 0;  // the shard that TakeWants() begins with
};

// "250ms", "12s", "1m30s": how OpenAI writes x-ratelimit-reset-*.
std::string FormatReset(std::chrono::nanoseconds duration);

}  // namespace allod::gateway::access
