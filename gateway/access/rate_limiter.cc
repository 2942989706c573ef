#include "gateway/access/rate_limiter.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace allod::gateway::access {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// Keys that each request looks at, to forget those of which there is nothing to remember. More than one, so that there
// are never more than of those that asked within the time that a bucket takes to fill.
constexpr int kLooksPerRequest = 2;
// After its last request, so that what was leased for a key is not lost between two of them.
constexpr std::chrono::minutes kRememberedFor{1};

std::unexpected<Error> Refuse(std::string message, nanoseconds retry_after) {
  Error error{Code::kResourceExhausted, "RATE_LIMIT_EXCEEDED", std::move(message)};
  error.retry_after = std::chrono::ceil<milliseconds>(std::max(retry_after, nanoseconds(1)));
  return std::unexpected(std::move(error));
}

Standing::Budget BudgetOf(std::int64_t limit, const GcraDecision& decision) {
  return {limit, decision.remaining, decision.reset_after};
}

void AddHeaders(const char* kind, const Standing::Budget& budget, http::Headers& headers) {
  headers.emplace_back(fmt::format("x-ratelimit-limit-{}", kind), std::to_string(budget.limit));
  headers.emplace_back(fmt::format("x-ratelimit-remaining-{}", kind), std::to_string(budget.remaining));
  headers.emplace_back(fmt::format("x-ratelimit-reset-{}", kind), FormatReset(budget.reset_after));
}

}  // namespace

std::string FormatReset(nanoseconds duration) {
  const std::int64_t ms = std::max<std::int64_t>(0, std::chrono::ceil<milliseconds>(duration).count());
  if (ms < 1000) return fmt::format("{}ms", ms);
  const std::int64_t seconds = (ms + 999) / 1000;
  return seconds < 60 ? fmt::format("{}s", seconds) : fmt::format("{}m{}s", seconds / 60, seconds % 60);
}

void Standing::TightenTo(const Standing& other) {
  if (other.requests.remaining < requests.remaining) requests = other.requests;
  if (other.tokens.remaining < tokens.remaining) tokens = other.tokens;
}

void Standing::AddTo(http::Headers& headers) const {
  AddHeaders("requests", requests, headers);
  AddHeaders("tokens", tokens, headers);
}

RateLimiter::Permit::Permit(Permit&& other) noexcept
    : limiter_(std::exchange(other.limiter_, nullptr)), kid_(std::move(other.kid_)) {}

RateLimiter::Permit& RateLimiter::Permit::operator=(Permit&& other) noexcept {
  std::swap(limiter_, other.limiter_);
  std::swap(kid_, other.kid_);
  return *this;
}

RateLimiter::Permit::~Permit() {
  if (limiter_) limiter_->Release(kid_);
}

void RateLimiter::Permit::ChargeTokens(std::int64_t tokens, SteadyTime now) {
  if (!limiter_ || tokens <= 0) return;
  Shard& shard = limiter_->shards_[limiter_->ShardOf(kid_)];
  const std::lock_guard lock(shard.mutex);
  // There is an entry: it is not forgotten while a request runs.
  if (Entry* entry = limiter_->Find(shard, kid_)) ChargeGcra(limiter_->tokens_, entry->tokens_tat, now, tokens);
}

RateLimiter::RateLimiter(RateLimits limits, std::string who)
    : limits_(limits),
      who_(std::move(who)),
      requests_{limits.requests_per_minute, std::chrono::minutes(1), limits.requests_per_minute},
      tokens_{limits.tokens_per_minute, std::chrono::minutes(1), limits.tokens_per_minute},
      chunk_(std::max<std::int64_t>(1, limits.requests_per_minute / 60)) {}

std::size_t RateLimiter::ShardOf(const std::string& kid) const {
  // The high half: the shard's own table uses the low one.
  return (std::hash<std::string>{}(kid) >> 32) % kShards;
}

RateLimiter::Entry* RateLimiter::Find(Shard& shard, const std::string& kid) {
  const auto it = shard.entries.find(kid);
  if (it == shard.entries.end()) return nullptr;
  DropStaleLease(shard, it->second);
  return &it->second;
}

RateLimiter::Entry& RateLimiter::FindOrMake(Shard& shard, const std::string& kid, SteadyTime now) {
  const auto [it, inserted] = shard.entries.try_emplace(kid);
  if (inserted) {
    it->second.place = shard.by_use.insert(shard.by_use.end(), &it->first);
  } else {
    shard.by_use.splice(shard.by_use.end(), shard.by_use, it->second.place);
  }
  it->second.used = now;
  DropStaleLease(shard, it->second);
  return it->second;
}

void RateLimiter::DropStaleLeases(Shard& shard) {
  const std::uint64_t epoch = lease_epoch_.load();
  if (shard.lease_epoch == epoch) return;
  shard.lease_epoch = epoch;
  shard.wanting.clear();
}

void RateLimiter::DropStaleLease(const Shard& shard, Entry& entry) {
  if (entry.lease_epoch == shard.lease_epoch) return;
  entry.lease_epoch = shard.lease_epoch;
  entry.leased = 0;
  entry.lease_refused_until = SteadyTime{};
  entry.wants = false;
}

void RateLimiter::ForgetIdle(Shard& shard, SteadyTime now) {
  for (int looks = 0; looks < kLooksPerRequest && !shard.by_use.empty(); ++looks) {
    const auto it = shard.entries.find(*shard.by_use.front());
    Entry& entry = it->second;
    if (now - entry.used < kRememberedFor) return;
    DropStaleLease(shard, entry);
    if (entry.running > 0 || entry.requests_tat >= now || entry.tokens_tat >= now || entry.lease_refused_until >= now) {
      // To be looked at again after the others, so that one long request does not keep them here.
      shard.by_use.splice(shard.by_use.end(), shard.by_use, shard.by_use.begin());
      continue;
    }
    if (entry.wants) shard.wanting.erase(entry.place_wanting);
    shard.by_use.pop_front();
    shard.entries.erase(it);
  }
}

Result<RateLimiter::Permit> RateLimiter::Admit(const std::string& kid, SteadyTime now, Standing& standing) {
  Shard& shard = shards_[ShardOf(kid)];
  const std::lock_guard lock(shard.mutex);
  DropStaleLeases(shard);
  ForgetIdle(shard, now);
  Entry& entry = FindOrMake(shard, kid, now);
  const GcraDecision tokens = SpendGcra(tokens_, entry.tokens_tat, now, 0);
  if (tokens.remaining == 0 || !tokens.allowed) {
    standing = {BudgetOf(limits_.requests_per_minute, SpendGcra(requests_, entry.requests_tat, now, 0)),
                BudgetOf(limits_.tokens_per_minute, tokens)};
    return Refuse(fmt::format("{} has used its {} tokens per minute", who_, limits_.tokens_per_minute),
                  tokens.retry_after + tokens_.interval());
  }
  const bool concurrent = entry.running < limits_.concurrency;
  const bool leased = entry.lease_refused_until <= now;
  const GcraDecision requests = SpendGcra(requests_, entry.requests_tat, now, concurrent && leased ? 1 : 0);
  standing = {BudgetOf(limits_.requests_per_minute, requests), BudgetOf(limits_.tokens_per_minute, tokens)};
  if (!concurrent) {
    return Refuse(fmt::format("{} has {} requests running, as many as it may", who_, entry.running), milliseconds(500));
  }
  if (!leased || !requests.allowed) {
    return Refuse(fmt::format("{} has used its {} requests per minute", who_, limits_.requests_per_minute),
                  leased ? requests.retry_after : entry.lease_refused_until - now);
  }
  --entry.leased;
  if (!entry.wants && entry.leased < chunk_ / 2 + 1) {
    entry.wants = true;
    entry.place_wanting = shard.wanting.insert(shard.wanting.end(), *entry.place);
  }
  ++entry.running;
  Permit permit;
  permit.limiter_ = this;
  permit.kid_ = kid;
  return permit;
}

std::vector<RateLimiter::Want> RateLimiter::TakeWants(std::size_t count_max) {
  std::vector<Want> out;
  const std::size_t first = next_wanting_.load();
  for (std::size_t i = 0; i < kShards && out.size() < count_max; ++i) {
    Shard& shard = shards_[(first + i) % kShards];
    const std::lock_guard lock(shard.mutex);
    DropStaleLeases(shard);
    while (!shard.wanting.empty() && out.size() < count_max) {
      const std::string& kid = *shard.wanting.front();
      shard.wanting.pop_front();
      Entry& entry = shard.entries.at(kid);
      entry.wants = false;
      const std::int64_t units = chunk_ - entry.leased;
      if (units > 0) out.push_back({kid, units});
    }
    // The next round begins where this one ended, so that no shard's keys wait for ever.
    next_wanting_ = (first + i + 1) % kShards;
  }
  return out;
}

void RateLimiter::Grant(const std::string& kid, std::int64_t units, nanoseconds retry_after, SteadyTime now) {
  Shard& shard = shards_[ShardOf(kid)];
  const std::lock_guard lock(shard.mutex);
  DropStaleLeases(shard);
  Entry* entry = Find(shard, kid);
  if (entry == nullptr) return;
  entry->leased += units;
  entry->lease_refused_until = units > 0 ? SteadyTime{} : now + retry_after;
}

void RateLimiter::DropLeases() { ++lease_epoch_; }

void RateLimiter::Release(const std::string& kid) {
  Shard& shard = shards_[ShardOf(kid)];
  const std::lock_guard lock(shard.mutex);
  Entry* entry = Find(shard, kid);
  if (entry != nullptr && entry->running > 0) --entry->running;
}

std::size_t RateLimiter::size() const {
  std::size_t out = 0;
  for (const Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    out += shard.entries.size();
  }
  return out;
}

}  // namespace allod::gateway::access
