#include "inference/engine/text/bounded_repeats.h"

#include <gtest/gtest.h>

#include <regex>

namespace allod::inference::engine::text::bounded_repeats_test {
namespace {

TEST(BoundedRepeats, GivesABoundToWhatHasNone) {
  struct Row {
    const char* pattern;
    const char* bounded;
  };
  const Row table[] = {
      {"", ""},
      {"abc", "abc"},
      {"a*", "a{0,9}"},
      {"a+b", "a{1,9}b"},
      {"a*?", "a{0,9}?"},
      {"(ab)+?c*", "(ab){1,9}?c{0,9}"},
      {"a{3}b{2,4}", "a{3}b{2,4}"},
      {"a{3,}b{20,}", "a{3,9}b{20,20}"},
      {R"(\*\+\\+)", R"(\*\+\\{1,9})"},
      {R"([*+{,}\]*]+)", R"([*+{,}\]*]{1,9})"},
      {"[[:alpha:]*]*", "[[:alpha:]*]{0,9}"},
      {R"(^\s+to$)", R"(^\s{1,9}to$)"},
      {R"([^<]*?<\|message\|>)", R"([^<]{0,9}?<\|message\|>)"},
      {">>>(?!all)", ">>>(?!all)"},
      // No patterns: nothing is read beyond the end.
      {"a\\", "a\\"},
      {"[a*", "[a*"},
      {"[[:a", "[[:a"},
      {"a{", "a{"},
      {"a{3,", "a{3,"},
      {"{x,}", "{x,}"},
      {"{99999999999,}", "{99999999999,}"},
  };
  for (const Row& row : table) EXPECT_EQ(WithBoundedRepeats(row.pattern, 9), row.bounded) << row.pattern;
}

TEST(BoundedRepeats, MatchAsBeforeUpToTheBoundAndNoLongTextOverflowsTheStack) {
  const std::regex bounded(WithBoundedRepeats(R"(^\s+to$)", 64));
  EXPECT_TRUE(std::regex_match(" to", bounded));
  EXPECT_TRUE(std::regex_match(std::string(64, ' ') + "to", bounded));
  EXPECT_FALSE(std::regex_match("to", bounded));
  EXPECT_FALSE(std::regex_search(std::string(4 << 20, ' '), bounded));
}

}  // namespace
}  // namespace allod::inference::engine::text::bounded_repeats_test
