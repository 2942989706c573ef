#include "services/common/percent.h"

#include <gtest/gtest.h>

namespace allod::percent_test {
namespace {

TEST(Percent, Decodes) {
  EXPECT_EQ(*PercentDecode("path", "a%2Fb%20c+d"), "a/b c+d");
  EXPECT_EQ(*PercentDecode("path", ""), "");
  EXPECT_EQ(*PercentDecode("path", "%C3%A9\xc3\xa9"), "éé");
  for (const char* broken : {"%", "%4", "%zz", "a%2", "%00", "%ff", "\xff", "a%c3", "%ed%a0%80", "%c0%af", "\xc3%28"}) {
    const auto decoded = PercentDecode("path", broken);
    ASSERT_FALSE(decoded) << broken;
    EXPECT_EQ(decoded.error().reason, "INVALID_ENCODING");
  }
}

TEST(Percent, EncodesWhatItDecodes) {
  std::string all;
  for (int c = 1; c < 128; ++c) all += static_cast<char>(c);
  all += "é🎉";
  EXPECT_EQ(*PercentDecode("text", PercentEncode(all)), all);
  EXPECT_EQ(PercentEncode("a/b c~"), "a%2Fb%20c~");
  EXPECT_EQ(FormOf({{"a", "1"}, {"b", "x y&"}}), "a=1&b=x%20y%26");
}

}  // namespace
}  // namespace allod::percent_test
