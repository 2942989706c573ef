#include "cli/commands/times.h"

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>

#include "services/common/rpc/timestamp.h"

namespace allod::cli::commands {
namespace {

using std::chrono::seconds;

// More than any service takes, and far from overflowing.
constexpr std::int64_t kCountMax = 1'000'000'000;

std::optional<seconds> DurationOf(std::string_view text) {
  std::int64_t count = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || count < 0 || count > kCountMax) return std::nullopt;
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  if (unit.empty() && count == 0) return seconds(0);
  if (unit == "s") return seconds(count);
  if (unit == "m") return std::chrono::minutes(count);
  if (unit == "h") return std::chrono::hours(count);
  if (unit == "d") return std::chrono::hours(24 * count);
  return std::nullopt;
}

// A duration lies `direction` (1, -1) of now.
Result<Time> TimeOf(std::string_view option, std::string_view text, Time now, int direction) {
  constexpr std::size_t kDateChars = 10;
  if (const auto duration = DurationOf(text)) {
    google::protobuf::Timestamp when = ToTimestamp(now);
    when.set_seconds(when.seconds() + direction * duration->count());
    return TimeFrom(option, when);
  }
  google::protobuf::Timestamp when;
  const std::string full = text.size() == kDateChars ? fmt::format("{}T00:00:00Z", text) : std::string(text);
  if (google::protobuf::util::TimeUtil::FromString(full, &when)) return TimeFrom(option, when);
  return InvalidArgument(
      "INVALID_TIME",
      fmt::format("{}: \"{}\" is no time; write e.g. 90d, 2027-01-31 or 2027-01-31T12:00:00Z", option, text));
}

}  // namespace

Result<seconds> ParseDuration(std::string_view option, std::string_view text) {
  if (const auto duration = DurationOf(text)) return *duration;
  return InvalidArgument("INVALID_DURATION",
                         fmt::format("{}: \"{}\" is no duration; write e.g. 90d, 12h, 30m or 45s", option, text));
}

Result<Time> ParseWhen(std::string_view option, std::string_view text, Time now) {
  return TimeOf(option, text, now, 1);
}

Result<Time> ParseSince(std::string_view option, std::string_view text, Time now) {
  return TimeOf(option, text, now, -1);
}

}  // namespace allod::cli::commands
