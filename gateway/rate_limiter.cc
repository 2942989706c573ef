#include "gateway/rate_limiter.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace allod::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// Keys without a request for longer than their buckets take to fill are forgotten once there are this many.
constexpr std::size_t kEntriesBeforeCleaning = 16384;

std::unexpected<Error> Refuse(std::string message, nanoseconds retry_after) {
  Error error{Code::kResourceExhausted, "RATE_LIMIT_EXCEEDED", std::move(message)};
  error.retry_after = std::chrono::ceil<milliseconds>(std::max(retry_after, nanoseconds(1)));
  return std::unexpected(std::move(error));
}

void AddHeaders(const char* kind, std::int64_t limit, const GcraDecision& decision, HttpHeaders& headers) {
  headers.emplace_back(fmt::format("x-ratelimit-limit-{}", kind), std::to_string(limit));
  headers.emplace_back(fmt::format("x-ratelimit-remaining-{}", kind), std::to_string(decision.remaining));
  headers.emplace_back(fmt::format("x-ratelimit-reset-{}", kind), FormatReset(decision.reset_after));
}

}  // namespace

std::string FormatReset(nanoseconds duration) {
  const std::int64_t ms = std::max<std::int64_t>(0, std::chrono::ceil<milliseconds>(duration).count());
  if (ms < 1000) return fmt::format("{}ms", ms);
  const std::int64_t seconds = (ms + 999) / 1000;
  return seconds < 60 ? fmt::format("{}s", seconds) : fmt::format("{}m{}s", seconds / 60, seconds % 60);
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
  const std::lock_guard lock(limiter_->mutex_);
  ChargeGcra(limiter_->tokens_, limiter_->entries_[kid_].tokens_tat, now, tokens);
}

RateLimiter::RateLimiter(RateLimits limits)
    : limits_(limits),
      requests_{limits.requests_per_minute, std::chrono::minutes(1), limits.requests_per_minute},
      tokens_{limits.tokens_per_minute, std::chrono::minutes(1), limits.tokens_per_minute},
      chunk_(std::max<std::int64_t>(1, limits.requests_per_minute / 60)) {}

Result<RateLimiter::Permit> RateLimiter::Admit(const std::string& kid, SteadyTime now, HttpHeaders& headers) {
  const std::lock_guard lock(mutex_);
  if (entries_.size() >= kEntriesBeforeCleaning) DropIdle(now);
  Entry& entry = entries_[kid];
  const GcraDecision tokens = SpendGcra(tokens_, entry.tokens_tat, now, 0);
  if (tokens.remaining == 0 || !tokens.allowed) {
    AddHeaders("requests", limits_.requests_per_minute, SpendGcra(requests_, entry.requests_tat, now, 0), headers);
    AddHeaders("tokens", limits_.tokens_per_minute, tokens, headers);
    return Refuse(fmt::format("this key has used its {} tokens per minute", limits_.tokens_per_minute),
                  tokens.retry_after + tokens_.interval());
  }
  const bool concurrent = entry.running < limits_.concurrency;
  const bool leased = entry.lease_refused_until <= now;
  const GcraDecision requests = SpendGcra(requests_, entry.requests_tat, now, concurrent && leased ? 1 : 0);
  AddHeaders("requests", limits_.requests_per_minute, requests, headers);
  AddHeaders("tokens", limits_.tokens_per_minute, tokens, headers);
  if (!concurrent) {
    return Refuse(fmt::format("this key has {} requests running, as many as it may", entry.running), milliseconds(500));
  }
  if (!leased || !requests.allowed) {
    return Refuse(fmt::format("this key has used its {} requests per minute", limits_.requests_per_minute),
                  leased ? requests.retry_after : entry.lease_refused_until - now);
  }
  --entry.leased;
  if (!entry.wants && entry.leased < chunk_ / 2 + 1) {
    entry.wants = true;
    wanting_.push_back(kid);
  }
  ++entry.running;
  Permit permit;
  permit.limiter_ = this;
  permit.kid_ = kid;
  return permit;
}

std::vector<RateLimiter::Want> RateLimiter::TakeWants(std::size_t count_max) {
  const std::lock_guard lock(mutex_);
  std::vector<Want> out;
  while (!wanting_.empty() && out.size() < count_max) {
    std::string kid = std::move(wanting_.back());
    wanting_.pop_back();
    const auto it = entries_.find(kid);
    if (it == entries_.end()) continue;
    it->second.wants = false;
    const std::int64_t units = chunk_ - it->second.leased;
    if (units > 0) out.push_back({std::move(kid), units});
  }
  return out;
}

void RateLimiter::Grant(const std::string& kid, std::int64_t units, nanoseconds retry_after, SteadyTime now) {
  const std::lock_guard lock(mutex_);
  const auto it = entries_.find(kid);
  if (it == entries_.end()) return;
  it->second.leased += units;
  it->second.lease_refused_until = units > 0 ? SteadyTime{} : now + retry_after;
}

void RateLimiter::DropLeases() {
  const std::lock_guard lock(mutex_);
  wanting_.clear();
  for (auto& [kid, entry] : entries_) {
    entry.leased = 0;
    entry.lease_refused_until = SteadyTime{};
    entry.wants = false;
  }
}

void RateLimiter::Release(const std::string& kid) {
  const std::lock_guard lock(mutex_);
  const auto it = entries_.find(kid);
  if (it != entries_.end() && it->second.running > 0) --it->second.running;
}

void RateLimiter::DropIdle(SteadyTime now) {
  std::erase_if(entries_, [now](const auto& item) {
    const Entry& entry = item.second;
    return entry.running == 0 && entry.requests_tat < now && entry.tokens_tat < now && entry.lease_refused_until < now;
  });
}

}  // namespace allod::gateway
