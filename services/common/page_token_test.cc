#include "services/common/page_token.h"

#include <gtest/gtest.h>

namespace allod::page_token_test {
namespace {

TEST(ParsePage, StartsWithTheDefaultSize) {
  const auto page = ParsePage("things", 0, "");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->size, kPageSizeDefault);
  EXPECT_EQ(page->after, "");
}

TEST(ParsePage, ClampsLargeSizesAndRefusesNegativeOnes) {
  EXPECT_EQ(ParsePage("things", 1'000'000, "")->size, kPageSizeMax);
  EXPECT_EQ(ParsePage("things", 1'000'000, "", 100)->size, 100);
  EXPECT_EQ(ParsePage("things", -1, "").error().reason, "INVALID_PAGE_SIZE");
}

TEST(ParsePage, ReadsItsOwnTokens) {
  const std::string token = EncodePageToken("things", "q4_k_m");
  const auto page = ParsePage("things", 10, token);
  ASSERT_TRUE(page);
  EXPECT_EQ(page->after, "q4_k_m");
  EXPECT_EQ(token.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"),
            std::string::npos);
}

TEST(ParsePage, RefusesTokensOfOtherListsAndMadeUpOnes) {
  const std::string token = EncodePageToken("tenants/ke/projects", "p");
  for (const std::string& bad : {token, token + "A", token.substr(1), std::string("x"), std::string("!!!!"),
                                 std::string(100'000, 'A'), EncodePageToken("tenants/ug/projects", "")}) {
    const auto page = ParsePage("tenants/ug/projects", 10, bad);
    ASSERT_FALSE(page) << bad.substr(0, 50);
    EXPECT_EQ(page.error().code, Code::kInvalidArgument);
    EXPECT_EQ(page.error().reason, "INVALID_PAGE_TOKEN");
  }
}

TEST(MakePage, GivesATokenOnlyWhenThereIsMore) {
  const auto key_of = [](const std::string& item) { return item; };
  const PageRequest page{"things", 2, ""};
  EXPECT_EQ(MakePage<std::string>(page, {"a", "b"}, key_of).next_page_token, "");
  const auto cut = MakePage<std::string>(page, {"a", "b", "c"}, key_of);
  EXPECT_EQ(cut.items, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(ParsePage("things", 2, cut.next_page_token)->after, "b");
}

}  // namespace
}  // namespace allod::page_token_test
