#include "services/common/rpc/timestamp.h"

#include <fmt/format.h>

#include <chrono>

namespace allod {
namespace {

constexpr std::int64_t kSecondsMax = 7'258'118'399;  // the end of 2199

}  // namespace

google::protobuf::Timestamp ToTimestamp(Time time) {
  const auto since = time.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  google::protobuf::Timestamp out;
  out.set_seconds(seconds.count());
  out.set_nanos(static_cast<std::int32_t>(std::chrono::nanoseconds(since - seconds).count()));
  return out;
}

Result<Time> TimeFrom(std::string_view field, const google::protobuf::Timestamp& time) {
  if (time.seconds() < 0 || time.seconds() > kSecondsMax || time.nanos() < 0 || time.nanos() > 999'999'999) {
    return InvalidArgument("INVALID_TIME", fmt::format("{}: is not a time from 1970 to 2199", field));
  }
  return Time(std::chrono::seconds(time.seconds()) + std::chrono::microseconds(time.nanos() / 1000));
}

}  // namespace allod
