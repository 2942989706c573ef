#include "services/billing/events/redis_export.h"

#include <algorithm>

namespace allod::billing::events {
namespace {

constexpr std::chrono::milliseconds kTimeout{2000};
constexpr std::size_t kEventsPerCall = 200;
constexpr char kScript[] = R"(
for i = 2, #ARGV do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'event', ARGV[i])
end
return {#ARGV - 1})";

}  // namespace

RedisExport::RedisExport(Options options) : options_(std::move(options)), redis_({options_.url, kTimeout}) {}

Status RedisExport::Put(const std::vector<std::string>& events) {
  for (std::size_t at = 0; at < events.size(); at += kEventsPerCall) {
    std::vector<std::string> args = {std::to_string(options_.entries_max)};
    const std::size_t end = std::min(events.size(), at + kEventsPerCall);
    args.insert(args.end(), events.begin() + static_cast<std::ptrdiff_t>(at),
                events.begin() + static_cast<std::ptrdiff_t>(end));
    const auto done = redis_.Eval(kScript, {options_.stream}, args);
    if (!done) return Fail(Code::kUnavailable, "EXPORT_FAILED", "redis: " + done.error().message);
  }
  return {};
}

}  // namespace allod::billing::events
