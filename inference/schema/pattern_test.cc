#include "inference/schema/pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inference/schema/grammar.h"

namespace allod::inference::schema::pattern_test {
namespace {

using ::testing::HasSubstr;

bool Matches(const char* pattern, const std::string& text) {
  const auto parsed = ParsePattern(pattern);
  EXPECT_TRUE(parsed) << pattern << ": " << (parsed ? "" : parsed.error());
  return parsed && Automaton::Of(**parsed).Matches(text);
}

TEST(Pattern, MatchesAsEcmaScriptDoes) {
  struct Row {
    const char* pattern;
    std::vector<std::string> matches, others;
  };
  const Row table[] = {
      {"abc", {"abc", "xabcx"}, {"ab", "", "acb"}},
      {"^abc", {"abc", "abcd"}, {"xabc"}},
      {"abc$", {"abc", "xabc"}, {"abcx"}},
      {"^$", {""}, {"a"}},
      {"", {"", "anything"}, {}},
      {"x|^y$", {"axa", "y"}, {"ay", "z"}},
      {"^(a|b)?c{2,3}$", {"cc", "acc", "bccc"}, {"c", "acccc", "abcc"}},
      {"^a{2,}$", {"aa", "aaaaa"}, {"a", "aab"}},
      {"^[^a-c\\d]$", {"d", "é", "\n"}, {"a", "5", ""}},
      {"^.$", {"a", "😀"}, {"\n", "\r", "\u2028", "ab"}},
      {"^😀{2}$", {"😀😀"}, {"😀", "😀😀😀"}},
      {"^\\u{1F600}\\ud83d\\ude00\\x41\\u0042$", {"😀😀AB"}, {"😀AB"}},
      {"^\\w+\\s\\W$", {"a_9\u00a0-", "Z\n!"}, {"é -", "a b"}},
      {"^\\D\\S\\.$", {"ab."}, {"1b.", "a ."}},
      {"^(?:ab|cd)*?(?<name>e)$", {"e", "abcde"}, {"ace"}},
      {"^[\\-\\]\\\\^-]+$", {"-]\\^"}, {"a"}},
      {"^\\/a\\$$", {"/a$"}, {"/a"}},
      {"^[]$|^b$", {"b"}, {""}},
      {"^\"q\"$", {"\"q\""}, {"q"}},
  };
  for (const Row& row : table) {
    for (const std::string& text : row.matches) EXPECT_TRUE(Matches(row.pattern, text)) << row.pattern << " " << text;
    for (const std::string& text : row.others) EXPECT_FALSE(Matches(row.pattern, text)) << row.pattern << " " << text;
  }
}

TEST(Pattern, RefusesWhatIsNotRegularOrNoPattern) {
  struct Row {
    const char* pattern;
    const char* what;
  };
  for (const Row& row : {Row{"a(?=b)", "look-around"},
                         Row{"(?<!a)b", "look-around"},
                         Row{"(?i)a", "flags"},
                         Row{"(a)\\1", "back references"},
                         Row{"\\bword", "\\b"},
                         Row{"\\p{L}+", "\\p"},
                         Row{"\\q", "\\q is not taken"},
                         Row{"a**", "nothing to repeat"},
                         Row{"*a", "nothing to repeat"},
                         Row{"a{2,1}", "out of order"},
                         Row{"a{1001}", "larger than 1000"},
                         Row{"[z-a]", "out of order"},
                         Row{"[a", "no end"},
                         Row{"(a", "no end"},
                         Row{"a)", "lone"},
                         Row{"a{", "quantifier"},
                         Row{"}", "lone"},
                         Row{"a^b", "\"^\""},
                         Row{"(a$)", "\"$\""},
                         Row{"\\ud800", "surrogate"},
                         Row{"\\", "backslash"},
                         Row{"[\\d-z]", "both ends"}}) {
    const auto parsed = ParsePattern(row.pattern);
    ASSERT_FALSE(parsed) << row.pattern;
    EXPECT_THAT(parsed.error(), HasSubstr(row.what)) << row.pattern;
    EXPECT_THAT(parsed.error(), HasSubstr("(character ")) << row.pattern;
  }
}

TEST(Pattern, CostIsBounded) {
  for (const char* pattern : {"^((((a{1,100}){1,100}){1,100}){1,100})$", "(a|b)*a(a|b){1000}"}) {
    const auto parsed = ParsePattern(pattern);
    ASSERT_TRUE(parsed) << pattern;
    EXPECT_THROW(Automaton::Of(**parsed), TooLarge) << pattern;
  }
}

TEST(Automaton, LengthAndComplementAreExact) {
  const Automaton words = Automaton::Of(**ParsePattern("b"));
  const Automaton bounded = words.WithLength(2, 3);
  const Automaton open = words.WithLength(2, Grammar::kUnlimited);
  const Automaton others = words.Complement();
  for (const char* text : {"", "b", "a", "ab", "aa", "aab", "aaa", "aabb", "aaaa", "😀b"}) {
    const bool has = std::string(text).find('b') != std::string::npos;
    const std::size_t length = Decode(text).size();
    EXPECT_EQ(bounded.Matches(text), has && length >= 2 && length <= 3) << text;
    EXPECT_EQ(open.Matches(text), has && length >= 2) << text;
    EXPECT_EQ(others.Matches(text), !has) << text;
  }
}

}  // namespace
}  // namespace allod::inference::schema::pattern_test
