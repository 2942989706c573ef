#include "inference/schema/gbnf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>

#include "tests/schema/grammar_walk.h"
#include "tests/support/instrumented.h"

namespace allod::inference::schema::gbnf_test {
namespace {

using ::testing::HasSubstr;

TEST(Gbnf, SaysWhatIsWrongAndWhere) {
  struct Row {
    std::string gbnf;
    const char* place;
    const char* what;
  };
  const Row table[] = {
      {"root ::= (", "line 1, column 11: ", "expected ')', found the end"},
      {"root ::= \"a\"\nother ::= [a-z", "line 2, column 11: ", "no closing ']'"},
      {"root ::= \"abc", "line 1, column 10: ", "no closing '\"'"},
      {"other ::= \"a\"", "line 1, column 1: ", "there is no rule 'root'"},
      {"root ::= a b\na ::= \"x\"", "line 1, column 12: ", "the rule 'b' is not defined"},
      {"# text\nroot ::= \"a\"\n\nroot ::= \"b\"", "line 4, column 1: ", "defined twice"},
      {"root ::= root \"a\"", "line 1, column 1: ", "left recursion"},
      {"root ::= b\nb ::= c \"x\"\nc ::= \"y\"? b", "line 2, column 1: ", "left recursion"},
      {"root ::= \"a\"{2001}", "line 1, column 14: ", "more than 2000 repetitions"},
      {"root ::= \"a\"{2,5000}", "line 1, column 16: ", "more than 2000 repetitions"},
      {"root ::= \"a\"{3,2}", "line 1, column 13: ", "out of order"},
      {"root ::= [z-a]", "line 1, column 11: ", "out of order"},
      {"root ::= \"a\" [] \"b\"", "line 1, column 14: ", "an empty class"},
      {"root ::= \"a\"\nb ::= [^]", "line 2, column 7: ", "an empty class"},
      {"root ::= *", "line 1, column 10: ", "nothing to repeat"},
      {"root ::= \"\\q\"", "line 1, column 11: ", "unknown escape"},
      {"root ::= \"\\x4\"", "line 1, column 11: ", "hexadecimal"},
      {"root = \"a\"", "line 1, column 6: ", "expected '::='"},
      {"my_rule ::= \"a\"", "line 1, column 3: ", "letters, digits and '-'"},
      {"root ::= \"a\" ; \"b\"", "line 1, column 14: ", "found ';'"},
      {"root ::= \"été\" %", "line 1, column 16: ", "found '%'"},
      {"root ::= <tool", "line 1, column 10: ", "no closing '>'"},
      {"root ::= <" + std::string(300, 'a') + ">", "line 1, column 10: ", "more than 256 bytes"},
      {"", "line 1, column 1: ", "no rule 'root'"},
      {"root ::= " + std::string(20000, '('), "line 1, column ", "nested deeper than 32"},
  };
  for (const Row& row : table) {
    const auto parsed = ParseGbnf(row.gbnf);
    ASSERT_FALSE(parsed) << row.gbnf;
    EXPECT_TRUE(parsed.error().starts_with(row.place)) << row.gbnf << "\n" << parsed.error();
    EXPECT_THAT(parsed.error(), HasSubstr(row.what)) << row.gbnf;
  }
}

TEST(Gbnf, ReadsWhatLlamaCppReads) {
  const auto parsed = ParseGbnf(R"(# a comment
root ::= greeting (", " name)? "!"{1,3}   # at the end of a line
greeting ::= "Habari" | "Jambo"
  | "\x48ello"
name ::= [A-Z] [a-zé\-]+ | "\U0001F389" [^\x00-\x7F]* | .{2} digit{2,}
digit ::= [0-9]
)");
  // An alternative on a line of its own belongs to nothing.
  ASSERT_FALSE(parsed);
  EXPECT_TRUE(parsed.error().starts_with("line 4, column 3: ")) << parsed.error();

  const auto better = ParseGbnf(R"(root ::= greeting (", " name)? "!"{1,3}   # at the end of a line
greeting ::= "Habari" | "Jambo" |
  "\x48ello"
name ::= [A-Z] [a-zé\-]+ | "\U0001F389" [^\x00-\x7F]* | "?" digit{2,}
digit ::= [0-9]
)");
  ASSERT_TRUE(better) << better.error();
  const auto accepts = [&](const char* text) { return test::Accepts(better->grammar, better->rules.at("root"), text); };
  for (const char* text : {"Habari!", "Jambo, Amina!!!", "Hello, René-é!", "Habari, 🎉😀!", "Jambo, ?12345!"}) {
    EXPECT_TRUE(accepts(text)) << text;
  }
  for (const char* text : {"Habari", "Jambo, amina!", "Jambo!!!!", "Jambo, ?1!", "Jambo, 🎉a!", "", "Jambo! "}) {
    EXPECT_FALSE(accepts(text)) << text;
  }
}

TEST(Grammar, RepetitionsCountExactlyAndStaySmall) {
  for (const auto& [low, high] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{{0, 0},
                                                                                      {0, 1},
                                                                                      {3, 3},
                                                                                      {0, 33},
                                                                                      {5, 40},
                                                                                      {33, 33},
                                                                                      {0, 100},
                                                                                      {7, 150},
                                                                                      {100, 261},
                                                                                      {101, Grammar::kUnlimited}}) {
    Grammar grammar;
    const RuleId rule = grammar.Repeat("r", Literal("a"), low, high);
    for (std::uint64_t count = 0; count < 300; ++count) {
      EXPECT_EQ(test::Accepts(grammar, rule, std::string(count, 'a')), count >= low && count <= high)
          << low << ".." << high << ": " << count;
    }
  }
  Grammar grammar;
  grammar.Repeat("r", Literal("a"), 0, 65536);
  EXPECT_LT(grammar.size(), 1000U);
}

TEST(Grammar, TheRulesOfAKindAreFoundInOneGoInWhateverOrderTheyStand) {
  // Each rule may be empty if the one before it may.
  std::string gbnf = "root ::= x18999\nx0 ::= \"\"\n";
  for (int i = 1; i < 19'000; ++i) gbnf += "x" + std::to_string(i) + " ::= x" + std::to_string(i - 1) + "\n";
  const std::clock_t start = std::clock();
  EXPECT_TRUE(ParseGbnf(gbnf));
  EXPECT_LT(std::clock() - start, test::kSlowness * CLOCKS_PER_SEC / 2);
  const auto parsed = ParseGbnf("root ::= a a \"x\" | b b\na ::= \"\"\nb ::= a c a\nc ::= a | \"y\"\nd ::= \"z\" d");
  ASSERT_TRUE(parsed) << parsed.error();
  const std::vector<bool> empty = parsed->grammar.RulesOf([](const Symbol& symbol) {
    const auto* literal = std::get_if<std::string>(&symbol.what);
    return literal != nullptr && literal->empty();
  });
  for (const auto& [name, rule] : parsed->rules) EXPECT_EQ(empty[rule], name != "d") << name;
}

TEST(Grammar, PruningTakesOutWhatNeverEnds) {
  Grammar grammar;
  const RuleId endless = grammar.Add("endless");
  grammar.AddAlternative(endless, {Literal("a"), Ref(endless)});
  const RuleId root = grammar.Add("r", {{Literal("x"), Ref(endless)}, {Literal("y")}});
  EXPECT_TRUE(grammar.Prune(root));
  EXPECT_EQ(grammar.Text(root), "root ::= \"y\"\n");
  Grammar hopeless;
  EXPECT_FALSE(hopeless.Prune(hopeless.Add("r")));
}

}  // namespace
}  // namespace allod::inference::schema::gbnf_test
