#include "gateway/access/rate_lease.h"

#include <algorithm>
#include <vector>

#include "gateway/access/shared_budget.h"
#include "services/common/catching.h"
#include "services/common/log.h"

namespace allod::gateway::access {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// Active ids are looked at this often; a burst within one round is covered by the local buckets.
constexpr milliseconds kRound(50);
// How often Redis hears of a gateway that wants nothing: well within kGap.
constexpr milliseconds kHeartbeat(1000);
// Longer than Redis' client waits before it connects again, and so much less than kYoung that everybody has heard of a
// new era when it gives.
constexpr milliseconds kPauseAfterFailure(1020);
// Two buckets of four arguments each: less than a script takes.
constexpr std::size_t kIdsPerRound = 64;

// KEYS[1]: the era; then a bucket each. ARGV: whether buckets begin empty, after how many microseconds without a call
// an era ends, for how many it is young; then of each bucket units per minute, burst, units wanted and units spent
// already. A bucket is how long it takes to fill, in microseconds, and since when. Returns the era's beginning and
// whether it gives; then of each bucket units granted, units left, and if none was granted microseconds until one is.
constexpr char kScript[] = R"lua(
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local empty, gap, young = ARGV[1] == '1', tonumber(ARGV[2]), tonumber(ARGV[3])
local era = redis.call('HMGET', KEYS[1], 'start', 'seen')
local start, seen = tonumber(era[1] or '0'), tonumber(era[2] or '0')
if start == 0 or now - seen > gap or now < seen - gap then start = now end
redis.call('HSET', KEYS[1], 'start', string.format('%.0f', start), 'seen', string.format('%.0f', now))
if empty and now - start < young then return {start, 0} end
local out = {start, 1}
for i = 2, #KEYS do
  local a = 4 * i - 4
  local interval = 60000000 / tonumber(ARGV[a])
  local full, want, spent = tonumber(ARGV[a + 1]) * interval, tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])
  local left, at = string.match(redis.call('GET', KEYS[i]) or '0:0', '([^:]+):(.+)')
  left = math.max(0, tonumber(left) - math.max(0, now - tonumber(at)))
  if empty then left = math.max(left, full - (now - start - young)) end
  left = left + spent * interval
  local granted = math.max(0, math.min(want, math.floor((full - left) / interval + 0.000001)))
  left = left + granted * interval
  if left > 0 then
    redis.call('SET', KEYS[i], string.format('%.6f:%.0f', left, now), 'PX', math.ceil(left / 1000) + 1)
  end
  local wait = 0
  if left + interval > full then wait = math.max(1, math.ceil(left + interval - full)) end
  out[#out + 1] = granted
  out[#out + 1] = math.max(0, math.floor((full - left) / interval + 0.000001))
  out[#out + 1] = granted > 0 and 0 or wait
end
return out
)lua";

constexpr std::size_t kAnswersPerBucket = 3;

}  // namespace

RateLease::RateLease(RedisConfig redis, std::string prefix, RateLimiter& limiter)
    : redis_(std::move(redis)),
      prefix_(std::move(prefix)),
      limiter_(limiter),
      thread_("rate lease", [this](const std::stop_token& stop) { Loop(stop); }) {}

void RateLease::Loop(const std::stop_token& stop) {
  milliseconds pause = kRound;
  while (SleepFor(stop, pause)) {
    bool reached = false;  // without Redis local limits decide, and so they do when a round throws
    const Status round = Catching("lease rate budget", [&]() -> Status {
      reached = LeaseOnce();
      return {};
    });
    if (!round || !reached) answers_ = false;
    if (!answers_) limiter_.DropLeases();
    pause = reached ? kRound : kPauseAfterFailure;
  }
}

bool RateLease::LeaseOnce() {
  const auto count = [](std::int64_t value) { return std::to_string(value); };
  std::vector<std::string> keys{prefix_ + "era"};
  std::vector<std::string> args{limiter_.gateways() > 1 ? "1" : "0", count(microseconds(kGap).count()),
                                count(microseconds(kYoung).count())};
  const auto ask = [&](const std::string& key, std::int64_t per_minute, std::int64_t burst, std::int64_t wanted,
                       std::int64_t spent) {
    keys.push_back(prefix_ + key);
    for (const std::int64_t value : {per_minute, burst, wanted, spent}) args.push_back(count(value));
  };
  const auto wants = answers_ ? limiter_.TakeWants(kIdsPerRound) : std::vector<RateLimiter::Want>();
  const auto asked = std::chrono::steady_clock::now();
  if (answers_ && wants.empty() && asked - last_asked_ < kHeartbeat) return true;
  last_asked_ = asked;
  for (const RateLimiter::Want& want : wants) {
    const std::int64_t requests = want.limits.requests_per_minute;
    const std::int64_t tokens = want.limits.tokens_per_minute;
    if (requests > 0) {
      ask("requests:" + want.id, requests, Divide(requests, limiter_.gateways()).shared, want.units, want.ahead);
    }
    if (tokens > 0) ask("tokens:" + want.id, tokens, tokens, 0, want.tokens);
  }
  const auto answer = redis_.Eval(kScript, keys, args);
  if (!answer || answer->size() < 2) {
    Log(LogLevel::kDebug, "no rate budget from redis, local limits decide",
        {{"error", answer ? "unexpected answer" : answer.error().message}});
    return false;
  }
  const bool gives = answer->at(1) == 1;
  if (era_ != 0 && era_ != answer->at(0)) limiter_.BeginEra();
  era_ = answer->at(0);
  answers_ = gives && answer->size() == 2 + kAnswersPerBucket * (keys.size() - 1);
  if (!answers_) return gives == answers_;
  std::size_t at = 2;
  const auto now = std::chrono::steady_clock::now();
  for (const RateLimiter::Want& want : wants) {
    RateLimiter::Granted granted;
    if (want.limits.requests_per_minute > 0) {
      granted.units = answer->at(at);
      granted.remaining = answer->at(at + 1);
      granted.retry_after = microseconds(answer->at(at + 2));
      at += kAnswersPerBucket;
    }
    if (want.limits.tokens_per_minute > 0) {
      granted.tokens_retry_after = microseconds(answer->at(at + 1) > 0 ? 0 : answer->at(at + 2));
      at += kAnswersPerBucket;
    }
    limiter_.Grant(want, granted, now);
  }
  return true;
}

}  // namespace allod::gateway::access
