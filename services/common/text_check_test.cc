#include "services/common/text_check.h"

#include <gtest/gtest.h>

#include <string>

namespace allod::text_check_test {
namespace {

TEST(CheckText, CountsCharactersNotBytes) {
  std::string text;
  for (int i = 0; i < 128; ++i) text += "ß";
  EXPECT_TRUE(CheckDisplayName("name", text));
  EXPECT_FALSE(CheckDisplayName("name", text + "ß"));
  EXPECT_FALSE(CheckDisplayName("name", ""));
  EXPECT_TRUE(CheckDisplayName("name", "Kenya 🇰🇪 — Jamhuri ya Kenya"));
  EXPECT_TRUE(IsUtf8("Kenya 🇰🇪\n"));
  EXPECT_TRUE(IsUtf8(""));
}

TEST(CheckText, RefusesWhatIsNotUtf8) {
  for (const char* bad : {"\x80", "a\xc3", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff"}) {
    const auto status = CheckDisplayName("tenant.display_name", bad);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().reason, "INVALID_TEXT");
    EXPECT_NE(status.error().message.find("tenant.display_name"), std::string::npos);
    EXPECT_FALSE(IsUtf8(bad)) << status.error().message;
  }
}

TEST(CheckText, RefusesControlCharacters) {
  EXPECT_FALSE(CheckDisplayName("name", "a\nb"));
  EXPECT_TRUE(CheckText("terms", "a\n\tb", 1, 10, /*multiline=*/true));
  EXPECT_FALSE(CheckText("terms", "a\x1b[31m", 1, 10, /*multiline=*/true));
  EXPECT_FALSE(CheckText("terms", "a\x7f", 1, 10, /*multiline=*/true));
  EXPECT_FALSE(CheckText("terms", "a\xc2\x85", 1, 10, /*multiline=*/true));
  EXPECT_FALSE(CheckText("terms", std::string_view("a\0b", 3), 1, 10));
}

}  // namespace
}  // namespace allod::text_check_test
