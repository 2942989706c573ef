#include "cli/commands/percent.h"

#include <gtest/gtest.h>

namespace allod::cli::commands::percent_test {
namespace {

TEST(Percent, IsHundredthsAndBack) {
  for (const auto& [text, basis_points] :
       {std::pair{"0", 0}, {"0.01", 1}, {"7.5", 750}, {"12.25", 1'225}, {"30", 3'000}, {"100", 10'000}}) {
    EXPECT_EQ(ParsePercent("--percent", text).value(), basis_points) << text;
    EXPECT_EQ(PercentText(basis_points), text);
  }
  EXPECT_EQ(ParsePercent("--percent", "30.00").value(), 3'000);
}

TEST(Percent, OtherTextIsRefusedWithItsOption) {
  for (const char* text : {"", "-1", "100.01", "1.255", "30 %", "3e1", "all"}) {
    const auto percent = ParsePercent("--percent", text);
    ASSERT_FALSE(percent) << text;
    EXPECT_EQ(percent.error().reason, "INVALID_PERCENT") << text;
    EXPECT_TRUE(percent.error().message.starts_with("--percent: '")) << percent.error().message;
  }
}

}  // namespace
}  // namespace allod::cli::commands::percent_test
