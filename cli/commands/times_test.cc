#include "cli/commands/times.h"

#include <gtest/gtest.h>

namespace allod::cli::commands::times_test {
namespace {

using namespace std::chrono_literals;

TEST(ParseDuration, TakesANumberAndItsUnit) {
  EXPECT_EQ(ParseDuration("--overlap", "90d"), 24h * 90);
  EXPECT_EQ(ParseDuration("--overlap", "12h"), 12h);
  EXPECT_EQ(ParseDuration("--overlap", "30m"), 30min);
  EXPECT_EQ(ParseDuration("--overlap", "45s"), 45s);
  EXPECT_EQ(ParseDuration("--overlap", "0"), 0s);
  for (const char* text :
       {"", "d", "90", "-1d", "+1d", "1.5d", "90 d", "90days", "99999999999999999999d", "2000000000d"}) {
    const auto parsed = ParseDuration("--overlap", text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().reason, "INVALID_DURATION");
    EXPECT_TRUE(parsed.error().message.starts_with("--overlap: ")) << parsed.error().message;
  }
}

TEST(ParseWhen, TakesADurationADayOrATime) {
  const Time now = Time(1'800'000'000s);
  EXPECT_EQ(ParseWhen("--expires", "90d", now), now + 24h * 90);
  EXPECT_EQ(ParseWhen("--expires", "2027-01-31", now), Time(1'801'353'600s));
  EXPECT_EQ(ParseWhen("--expires", "2027-01-31T12:00:00Z", now), Time(1'801'353'600s + 12h));
  EXPECT_EQ(ParseWhen("--expires", "2027-01-31T12:00:00+03:00", now), Time(1'801'353'600s + 9h));
  for (const char* text :
       {"", "tomorrow", "2027-02-31", "2027-1-31", "31.01.2027", "2027-01-31 12:00", "1000000000d"}) {
    const auto parsed = ParseWhen("--expires", text, now);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().reason, "INVALID_TIME") << text;
  }
}

TEST(ParseSince, GoesBackByADuration) {
  const Time now = Time(1'800'000'000s);
  EXPECT_EQ(ParseSince("--since", "90m", now), now - 90min);
  EXPECT_EQ(ParseSince("--since", "2027-01-31", now), Time(1'801'353'600s));
  for (const char* text : {"", "yesterday", "1000000000d"}) {
    const auto parsed = ParseSince("--since", text, now);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().reason, "INVALID_TIME") << text;
  }
}

}  // namespace
}  // namespace allod::cli::commands::times_test
