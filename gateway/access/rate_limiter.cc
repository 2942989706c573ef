#include "gateway/access/rate_limiter.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "gateway/access/shared_budget.h"

namespace allod::gateway::access {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::nanoseconds;

// Ids that each request looks at, to forget those of which there is nothing to remember. More than one, so that there
// are never more than of those that asked within the time that a bucket takes to fill.
constexpr int kLooksPerRequest = 2;
// After its last request, so that what was leased for an id is not lost between two of them.
constexpr minutes kRememberedFor{1};

std::unexpected<Error> Refuse(std::string message, nanoseconds retry_after) {
  Error error{Code::kResourceExhausted, "RATE_LIMIT_EXCEEDED", std::move(message)};
  error.retry_after = std::chrono::ceil<milliseconds>(std::max(retry_after, nanoseconds(1)));
  return std::unexpected(std::move(error));
}

GcraLimit PerMinute(std::int64_t count) { return {count, minutes(1), count}; }

Standing::Budget BudgetOf(std::int64_t limit, const GcraDecision& decision) {
  return {limit, decision.remaining, decision.reset_after};
}

void AddHeaders(const char* kind, const Standing::Budget& budget, http::Headers& headers) {
  if (budget.limit == 0) return;
  headers.emplace_back(fmt::format("x-ratelimit-limit-{}", kind), std::to_string(budget.limit));
  headers.emplace_back(fmt::format("x-ratelimit-remaining-{}", kind), std::to_string(budget.remaining));
  headers.emplace_back(fmt::format("x-ratelimit-reset-{}", kind), FormatReset(budget.reset_after));
}

void Tighten(Standing::Budget& budget, const Standing::Budget& other) {
  if (other.limit > 0 && (budget.limit == 0 || other.remaining < budget.remaining)) budget = other;
}

}  // namespace

std::string FormatReset(nanoseconds duration) {
  const std::int64_t ms = std::max<std::int64_t>(0, std::chrono::ceil<milliseconds>(duration).count());
  if (ms < 1000) return fmt::format("{}ms", ms);
  const std::int64_t seconds = (ms + 999) / 1000;
  return seconds < 60 ? fmt::format("{}s", seconds) : fmt::format("{}m{}s", seconds / 60, seconds % 60);
}

void Standing::TightenTo(const Standing& other) {
  Tighten(requests, other.requests);
  Tighten(tokens, other.tokens);
}

void Standing::AddTo(http::Headers& headers) const {
  std::erase_if(headers, [](const auto& header) { return header.first.starts_with("x-ratelimit-"); });
  AddHeaders("requests", requests, headers);
  AddHeaders("tokens", tokens, headers);
}

RateLimiter::Permit::Permit(Permit&& other) noexcept
    : limiter_(std::exchange(other.limiter_, nullptr)),
      id_(std::move(other.id_)),
      counted_(other.counted_),
      ahead_(other.ahead_) {}

RateLimiter::Permit& RateLimiter::Permit::operator=(Permit&& other) noexcept {
  std::swap(limiter_, other.limiter_);
  std::swap(id_, other.id_);
  std::swap(counted_, other.counted_);
  std::swap(ahead_, other.ahead_);
  return *this;
}

RateLimiter::Permit::~Permit() {
  if (limiter_) limiter_->Release(id_);
}

void RateLimiter::Permit::ChargeTokens(std::int64_t tokens, SteadyTime now) {
  if (!limiter_ || tokens <= 0) return;
  Shard& shard = limiter_->shards_[limiter_->ShardOf(id_)];
  const std::lock_guard lock(shard.mutex);
  // There is an entry: it is not forgotten while a request runs.
  Entry* entry = limiter_->Find(shard, id_);
  if (entry == nullptr || entry->limits.tokens_per_minute == 0) return;
  ChargeGcra(PerMinute(entry->limits.tokens_per_minute), entry->tokens_tat, now, tokens);
  ChargeGcra(limiter_->TokensShareOf(entry->limits), entry->tokens_share_tat, now, tokens);
  entry->tokens_unreported += tokens;
  limiter_->NoteWant(shard, *entry, now);
}

void RateLimiter::Permit::Refund() {
  if (!limiter_ || !counted_) return;
  counted_ = false;
  Shard& shard = limiter_->shards_[limiter_->ShardOf(id_)];
  const std::lock_guard lock(shard.mutex);
  Entry* entry = limiter_->Find(shard, id_);
  if (entry == nullptr || entry->limits.requests_per_minute == 0) return;
  RefundGcra(PerMinute(entry->limits.requests_per_minute), entry->requests_tat, 1);
  if (ahead_) RefundGcra(limiter_->AheadOf(entry->limits), entry->ahead_tat, 1);
  ++entry->leased;
}

RateLimiter::RateLimiter(RateLimits limits, std::string who, int gateways)
    : limits_(limits), who_(std::move(who)), gateways_(std::max(1, gateways)) {}

GcraLimit RateLimiter::AheadOf(const RateLimits& limits) const {
  return {limits.requests_per_minute, minutes(gateways_), Divide(limits.requests_per_minute, gateways_).ahead};
}

GcraLimit RateLimiter::TokensShareOf(const RateLimits& limits) const {
  return {limits.tokens_per_minute, minutes(gateways_),
          std::max<std::int64_t>(1, limits.tokens_per_minute / gateways_)};
}

std::size_t RateLimiter::ShardOf(const std::string& id) const {
  // The high half: the shard's own table uses the low one.
  return (std::hash<std::string>{}(id) >> 32) % kShards;
}

RateLimiter::Entry* RateLimiter::Find(Shard& shard, const std::string& id) {
  const auto it = shard.entries.find(id);
  return it == shard.entries.end() ? nullptr : &it->second;
}

RateLimiter::Entry& RateLimiter::FindOrMake(Shard& shard, const std::string& id, SteadyTime now) {
  const auto [it, inserted] = shard.entries.try_emplace(id);
  if (inserted) {
    it->second.place = shard.by_use.insert(shard.by_use.end(), &it->first);
    it->second.era = era_.load();
  } else {
    shard.by_use.splice(shard.by_use.end(), shard.by_use, it->second.place);
  }
  it->second.used = now;
  DropStaleLease(shard, it->second, now);
  return it->second;
}

void RateLimiter::DropStaleLeases(Shard& shard) {
  const std::uint64_t epoch = lease_epoch_.load();
  if (shard.lease_epoch == epoch) return;
  shard.lease_epoch = epoch;
  shard.wanting.clear();
}

void RateLimiter::DropStaleLease(const Shard& shard, Entry& entry, SteadyTime now) {
  if (entry.lease_epoch != shard.lease_epoch) {
    entry.lease_epoch = shard.lease_epoch;
    entry.lease_refused_until = entry.tokens_refused_until = SteadyTime{};
    entry.shared_remaining = 0;
    entry.wants = false;
  }
  const std::uint64_t era = era_.load();
  if (entry.era == era) return;
  entry.era = era;
  const auto used = [&](const GcraLimit& limit, SteadyTime tat) {
    return tat <= now ? 0 : (tat - now + limit.interval() - nanoseconds(1)) / limit.interval();
  };
  if (entry.leased < 0) entry.leased = std::max(entry.leased, -used(AheadOf(entry.limits), entry.ahead_tat));
  if (entry.tokens_unreported > 0) {
    entry.tokens_unreported =
        std::min(entry.tokens_unreported, used(TokensShareOf(entry.limits), entry.tokens_share_tat));
  }
}

void RateLimiter::NoteWant(Shard& shard, Entry& entry, SteadyTime now) {
  DropStaleLeases(shard);
  DropStaleLease(shard, entry, now);
  if (entry.wants) return;
  entry.wants = true;
  entry.place_wanting = shard.wanting.insert(shard.wanting.end(), *entry.place);
}

void RateLimiter::ForgetIdle(Shard& shard, SteadyTime now) {
  for (int looks = 0; looks < kLooksPerRequest && !shard.by_use.empty(); ++looks) {
    const auto it = shard.entries.find(*shard.by_use.front());
    Entry& entry = it->second;
    if (now - entry.used < kRememberedFor) return;
    DropStaleLease(shard, entry, now);
    const SteadyTime until = std::max({entry.requests_tat, entry.tokens_tat, entry.ahead_tat, entry.tokens_share_tat,
                                       entry.lease_refused_until, entry.tokens_refused_until});
    if (entry.running > 0 || until >= now) {
      // To be looked at again after the others, so that one long request does not keep them here.
      shard.by_use.splice(shard.by_use.end(), shard.by_use, shard.by_use.begin());
      continue;
    }
    if (entry.wants) shard.wanting.erase(entry.place_wanting);
    shard.by_use.pop_front();
    shard.entries.erase(it);
  }
}

nanoseconds RateLimiter::TokensWait(Entry& entry, SteadyTime now, Standing& standing) const {
  const std::int64_t limit = entry.limits.tokens_per_minute;
  if (limit == 0) return nanoseconds(0);
  const bool share = gateways_ > 1 && IsAway();
  const GcraLimit bucket = share ? TokensShareOf(entry.limits) : PerMinute(limit);
  const GcraDecision tokens = SpendGcra(bucket, share ? entry.tokens_share_tat : entry.tokens_tat, now, 0);
  standing.tokens = BudgetOf(limit, tokens);
  if (entry.tokens_refused_until > now) {
    standing.tokens.remaining = 0;
    return entry.tokens_refused_until - now;
  }
  return tokens.remaining > 0 && tokens.allowed ? nanoseconds(0) : tokens.retry_after + bucket.interval();
}

bool RateLimiter::SpendRequest(Entry& entry, SteadyTime now, Permit& permit, Standing& standing,
                               nanoseconds& retry_after) const {
  const std::int64_t limit = entry.limits.requests_per_minute;
  if (limit == 0) return true;
  const GcraLimit local = PerMinute(limit);
  const bool refused = entry.lease_refused_until > now;
  const bool is_ahead = gateways_ > 1 && entry.leased <= 0;
  SteadyTime ahead_tat = entry.ahead_tat;
  const GcraDecision ahead = SpendGcra(AheadOf(entry.limits), ahead_tat, now, is_ahead && !refused ? 1 : 0);
  const bool may = !refused && (!is_ahead || ahead.allowed);
  const GcraDecision decision = SpendGcra(local, entry.requests_tat, now, may ? 1 : 0);
  standing.requests = BudgetOf(limit, decision);
  retry_after = refused ? entry.lease_refused_until - now : may ? decision.retry_after : ahead.retry_after;
  const bool spent = may && decision.allowed;
  if (spent) {
    if (is_ahead) entry.ahead_tat = ahead_tat;
    --entry.leased;
    permit.counted_ = true;
    permit.ahead_ = is_ahead;
  }
  std::int64_t& remaining = standing.requests.remaining;
  if (refused) remaining = 0;
  if (gateways_ > 1) {
    const std::int64_t leased = std::max<std::int64_t>(0, entry.leased);
    remaining = std::min(remaining, leased + ahead.remaining + entry.shared_remaining);
  }
  return spent;
}

RateLimiter::Permit RateLimiter::Place(const std::string& id, Entry& entry) {
  ++entry.running;
  Permit permit;
  permit.limiter_ = this;
  permit.id_ = id;
  return permit;
}

RateLimiter::Permit RateLimiter::Enter(const std::string& id, SteadyTime now) {
  Shard& shard = shards_[ShardOf(id)];
  const std::lock_guard lock(shard.mutex);
  DropStaleLeases(shard);
  return Place(id, FindOrMake(shard, id, now));
}

Result<RateLimiter::Permit> RateLimiter::Admit(const std::string& id, std::string_view who, const RateLimits& limits,
                                               SteadyTime now, Standing& standing) {
  Shard& shard = shards_[ShardOf(id)];
  const std::lock_guard lock(shard.mutex);
  DropStaleLeases(shard);
  ForgetIdle(shard, now);
  Entry& entry = FindOrMake(shard, id, now);
  entry.limits = limits;
  standing = {};
  if (limits.requests_per_minute > 0) {
    standing.requests = BudgetOf(limits.requests_per_minute,
                                 SpendGcra(PerMinute(limits.requests_per_minute), entry.requests_tat, now, 0));
  }
  if (const nanoseconds wait = TokensWait(entry, now, standing); wait > nanoseconds(0)) {
    if (limits.tokens_per_minute > 0) NoteWant(shard, entry, now);
    return Refuse(fmt::format("{} has used its {} tokens per minute", who, limits.tokens_per_minute), wait);
  }
  if (limits.concurrency > 0 && entry.running >= limits.concurrency) {
    return Refuse(fmt::format("{} has {} requests running, as many as it may", who, entry.running), milliseconds(500));
  }
  Permit spent;
  nanoseconds retry_after{0};
  const bool may = SpendRequest(entry, now, spent, standing, retry_after);
  const bool low = entry.leased < Divide(limits.requests_per_minute, gateways_).chunk / 2 + 1;
  if (limits.requests_per_minute > 0 && low && entry.lease_refused_until <= now) NoteWant(shard, entry, now);
  if (!may) {
    return Refuse(fmt::format("{} has used its {} requests per minute", who, limits.requests_per_minute), retry_after);
  }
  Permit permit = Place(id, entry);
  permit.counted_ = spent.counted_;
  permit.ahead_ = spent.ahead_;
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
      const std::string& id = *shard.wanting.front();
      shard.wanting.pop_front();
      Entry& entry = shard.entries.at(id);
      entry.wants = false;
      const std::int64_t chunk = Divide(entry.limits.requests_per_minute, gateways_).chunk;
      const std::int64_t leased = std::max<std::int64_t>(0, entry.leased);
      out.push_back({.id = id,
                     .limits = entry.limits,
                     .units = std::max<std::int64_t>(0, chunk - leased),
                     .ahead = std::max<std::int64_t>(0, -entry.leased),
                     .tokens = entry.tokens_unreported});
    }
    // The next round begins where this one ended, so that no shard's ids wait for ever.
    next_wanting_ = (first + i + 1) % kShards;
  }
  return out;
}

void RateLimiter::Grant(const Want& want, const Granted& granted, SteadyTime now) {
  away_ = false;
  Shard& shard = shards_[ShardOf(want.id)];
  const std::lock_guard lock(shard.mutex);
  DropStaleLeases(shard);
  Entry* entry = Find(shard, want.id);
  if (entry == nullptr) return;
  DropStaleLease(shard, *entry, now);
  // What was forgotten of the debt meanwhile is not given back.
  if (want.ahead > 0) entry->leased = std::min<std::int64_t>(0, entry->leased + want.ahead);
  entry->leased += granted.units;
  entry->tokens_unreported = std::max<std::int64_t>(0, entry->tokens_unreported - want.tokens);
  entry->shared_remaining = granted.remaining;
  const bool refused = granted.units == 0 && want.units > 0 && entry->leased <= 0;
  entry->lease_refused_until = refused ? now + granted.retry_after : SteadyTime{};
  entry->tokens_refused_until =
      granted.tokens_retry_after > nanoseconds(0) ? now + granted.tokens_retry_after : SteadyTime{};
}

void RateLimiter::DropLeases() {
  away_ = true;
  ++lease_epoch_;
}

void RateLimiter::BeginEra() { ++era_; }

void RateLimiter::Release(const std::string& id) {
  Shard& shard = shards_[ShardOf(id)];
  const std::lock_guard lock(shard.mutex);
  Entry* entry = Find(shard, id);
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
