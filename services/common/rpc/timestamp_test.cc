#include "services/common/rpc/timestamp.h"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <optional>

namespace allod::timestamp_test {
namespace {

struct Case {
  std::int64_t seconds;
  std::int32_t nanos;
  std::optional<std::int64_t> micros;  // unset: refused
};

TEST(TimeFrom, TakesWholeMicrosecondsFrom1970To2199) {
  for (const auto& [seconds, nanos, micros] : {
           Case{0, 0, 0},
           Case{1, 999'999'999, 1'999'999},
           Case{7'258'118'399, 0, 7'258'118'399'000'000},
           Case{7'258'118'400, 0, std::nullopt},
           Case{-1, 0, std::nullopt},
           Case{0, -1, std::nullopt},
           Case{0, 1'000'000'000, std::nullopt},
           Case{std::numeric_limits<std::int64_t>::max(), 0, std::nullopt},
       }) {
    google::protobuf::Timestamp stamp;
    stamp.set_seconds(seconds);
    stamp.set_nanos(nanos);
    const auto time = TimeFrom("start_time", stamp);
    ASSERT_EQ(time.has_value(), micros.has_value()) << seconds << " " << nanos;
    if (micros) {
      EXPECT_EQ(*time, Time(std::chrono::microseconds(*micros)));
    } else {
      EXPECT_EQ(time.error().reason, "INVALID_TIME");
      EXPECT_EQ(time.error().message, "start_time: is not a time from 1970 to 2199");
    }
  }
}

TEST(ToTimestamp, KeepsNanosecondsAndCountsThemUpwards) {
  for (const std::int64_t nanos : {0LL, 1LL, 1'700'000'000'123'456'789LL, -1LL}) {
    const auto stamp = ToTimestamp(Time(std::chrono::nanoseconds(nanos)));
    EXPECT_EQ(stamp.seconds() * 1'000'000'000 + stamp.nanos(), nanos);
    EXPECT_GE(stamp.nanos(), 0);
  }
}

}  // namespace
}  // namespace allod::timestamp_test
