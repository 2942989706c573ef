#include "gateway/access/rate_lease.h"

#include <algorithm>
#include <chrono>

#include "services/common/catching.h"
#include "services/common/log.h"

namespace allod::gateway::access {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// Active keys are looked at this often; a burst within one round is covered by the local buckets.
constexpr milliseconds kRound(50);
constexpr milliseconds kPauseAfterFailure(1000);
constexpr std::size_t kKeysPerRound = 64;

// KEYS[1]: bucket. ARGV: interval in microseconds, burst, units wanted. Returns granted units and, when that is 0, the
// microseconds until one is there.
constexpr char kScript[] = R"lua(
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local interval = tonumber(ARGV[1])
local tolerance = interval * tonumber(ARGV[2])
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local granted = math.max(0, math.min(tonumber(ARGV[3]), math.floor((now + tolerance - tat) / interval)))
if granted > 0 then
  tat = tat + granted * interval
  redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000) + 1)
  return {granted, 0}
end
return {0, math.max(1, tat + interval - tolerance - now)}
)lua";

}  // namespace

RateLease::RateLease(RedisConfig redis, std::vector<Buckets> buckets)
    : redis_(std::move(redis)),
      buckets_(std::move(buckets)),
      thread_("rate lease", [this](const std::stop_token& stop) { Loop(stop); }) {}

void RateLease::Loop(const std::stop_token& stop) {
  milliseconds pause = kRound;
  while (SleepFor(stop, pause)) {
    bool answered = false;  // without Redis local limits decide, and so they do when a round throws
    (void)Catching("lease rate budget", [&]() -> Status {
      answered = std::ranges::all_of(buckets_, [this](const Buckets& buckets) { return LeaseOnce(buckets); });
      return {};
    });
    if (!answered) {
      for (const Buckets& buckets : buckets_) buckets.limiter.DropLeases();
    }
    pause = answered ? kRound : kPauseAfterFailure;
  }
}

bool RateLease::LeaseOnce(const Buckets& buckets) {
  const std::int64_t per_minute = buckets.limiter.limits().requests_per_minute;
  const std::int64_t interval_us = std::max<std::int64_t>(1, 60'000'000 / per_minute);
  for (const RateLimiter::Want& want : buckets.limiter.TakeWants(kKeysPerRound)) {
    const auto answer =
        redis_.Eval(kScript, {buckets.prefix + want.kid},
                    {std::to_string(interval_us), std::to_string(per_minute), std::to_string(want.units)});
    if (!answer || answer->size() != 2) {
      Log(LogLevel::kDebug, "no rate budget from redis, local limits decide",
          {{"error", answer ? "unexpected answer" : answer.error().message}});
      return false;
    }
    buckets.limiter.Grant(want.kid, answer->at(0), microseconds(answer->at(1)), std::chrono::steady_clock::now());
  }
  return true;
}

}  // namespace allod::gateway::access
