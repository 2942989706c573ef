#include "inference/schema/ambiguity.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <optional>
#include <random>

#include "inference/schema/gbnf.h"
#include "inference/schema/schema.h"
#include "tests/support/instrumented.h"

namespace allod::inference::schema::ambiguity_test {
namespace {

using ::testing::HasSubstr;
using Kind = LlamaElement::Kind;

// `rule` is a format with this rule's number and the next one's.
std::string Chain(int rules, const std::string& rule, const std::string& last) {
  std::string out = "root ::= r0\n";
  for (int i = 0; i < rules; ++i) {
    const int next = i + 1;
    out += fmt::format(fmt::runtime(rule), i, next) + "\n";
  }
  return out + fmt::format("r{} ::= {}\n", rules, last);
}

std::vector<LlamaRule> RulesOf(const std::string& gbnf) {
  auto rules = LlamaRulesOf(gbnf);
  EXPECT_TRUE(rules) << gbnf << "\n" << rules.error();
  return rules ? *std::move(rules) : std::vector<LlamaRule>{};
}

// A rule a word, in llama.cpp's order: `.` for what matches, numbers for rules.
std::string Shown(const std::vector<LlamaRule>& rules) {
  std::string out;
  for (const LlamaRule& rule : rules) {
    for (const LlamaElement& element : rule.elements) {
      if (element.kind == Kind::kRule) out += fmt::format("{{{}}}", element.rule);
      if (element.kind == Kind::kOther) out += '.';
      if (element.kind == Kind::kAlternative) out += '|';
    }
    out += ' ';
  }
  return out.empty() ? out : out.substr(0, out.size() - 1);
}

TEST(LlamaRules, AreThoseThatLlamaCppMakes) {
  struct Row {
    const char* gbnf;
    const char* rules;
  };
  const Row table[] = {
      {R"(root ::= "a")", "."},
      {R"(root ::= "a\n\x41é" | "")", "....|"},
      {R"(root ::= [a] | [a-z] | [^a-z\-x-] | .)", ".|..|.....|."},
      {"root ::= <[7]> !<[8]> <think>", "..."},
      {"root ::= b a # {1}\na ::= b\nb ::= |\n", "{1}{2} | {1}"},
      {R"(root ::= ("a" | "b") "c")", "{1}. .|."},
      {R"(root ::= ())", "{1} "},
      {"root ::= (\n[a]\n*\n|)", "{1} {2}| .{2}|"},
      // Repetitions of a symbol are in its rule, those that may be left out in a chain of rules.
      {R"(root ::= "ab"{3})", "......"},
      {R"(root ::= "ab"*)", "{1} ..{1}|"},
      {R"(root ::= "ab"+)", "..{1} ..{1}|"},
      {R"(root ::= "ab"?)", "{1} ..|"},
      {R"(root ::= "ab"{2,})", "....{1} ..{1}|"},
      {R"(root ::= "ab"{1,3})", "..{2} ..| ..{1}|"},
      {R"(root ::= "x" "ab"{0})", "."},
      {R"(root ::= "ab"{0,0} | "x")", "|."},
      // What was repeated is repeated as a whole.
      {R"(root ::= "a"{2}{2})", "...."},
      {R"(root ::= "a"??)", "{2} .| {1}|"},
      {R"(root ::= [ab]{1,2}{2})", "..{1}..{1} ..|"},
      {R"(root ::= ("a" b){2} b ::= "x")", ""},
      {"root ::= (\"a\" b){2}\nb ::= \"x\"", "{1}{1} .{2} ."},
  };
  for (const Row& row : table) {
    const auto rules = LlamaRulesOf(row.gbnf);
    EXPECT_EQ(rules ? Shown(*rules) : "", row.rules) << row.gbnf << "\n" << (rules ? "" : rules.error());
  }
}

TEST(LlamaRules, WhatLlamaCppDoesNotParseOrCannotHoldIsRefusedWithAPlace) {
  struct Row {
    std::string gbnf;
    const char* place;
    const char* what;
  };
  const Row table[] = {
      {"root ::= [] \"a\"", "line 1, column 10: ", "an empty class"},
      {"root ::= \"é\"\n\nx ::= [^]", "line 3, column 7: ", "an empty class"},
      {"root ::= \"\"*", "line 1, column 12: ", "nothing to repeat"},
      {"root ::= \"a\"{0}{2}", "line 1, column 16: ", "nothing to repeat"},
      {"root ::= \"a\" | *", "line 1, column 16: ", "nothing to repeat"},
      {"root ::= \"a\"{3,2}", "line 1, column 13: ", "out of order"},
      {"root ::= \"a\"{2001}", "line 1, column 14: ", "more than 2000"},
      {"root ::= \"a\"{18446744073709551617}", "line 1, column 14: ", "more than 2000"},
      {"root ::= \"a\"{,3}", "line 1, column 14: ", "expected a number"},
      {"root ::= \"a\"{50}{50}", "line 1, column 17: ", "come to more than 2000"},
      {"root ::= (\"a\"? \"b\"?){0,2000}", "line 1, column 21: ", "come to more than 2000"},
      {"root ::= a", "line 1, column 10: ", "the rule 'a' is not defined"},
      {"root ::= \"a", "line 1, column 10: ", "no end"},
      {"root ::= [a", "line 1, column 10: ", "no end"},
      {"root ::= [a-", "line 1, column 10: ", "no end"},
      {"root ::= \"\\q\"", "line 1, column 11: ", "unknown escape"},
      {"root ::= \"\\", "line 1, column 11: ", "unknown escape"},
      {"root ::= \"\\u12\"", "line 1, column 15: ", "hexadecimal"},
      {"root ::= (\"a\"", "line 1, column 14: ", "expected ')'"},
      {"root ::= \"a\" ;", "line 1, column 14: ", "expected a new line"},
      {"root ::= <[7>", "line 1, column 13: ", "number of a token"},
      {"root ::= <a" + std::string(300, 'a') + ">", "line 1, column 10: ", "more than 256 bytes"},
      {"root ::= " + std::string(20000, '('), "line 1, column ", "nested deeper than 32"},
      {"root ::= [" + std::string(5000, 'a') + "]", "line 1, column 10: ", "more than 4096 characters"},
      {"root ::= \"" + std::string(60000, 'a') + "\"{2000}", "line 1, column ", "more than 1000000 characters"},
      {"root ::= \"" + std::string(1000, 'a') + "\"{0,2000}", "line 1, column ", "more than 1000000 characters"},
      {Chain(30, "r{0} ::= \"a\"{{0,2000}} r{1}", R"("a")"), "line ", "more than 50000 rules"},
  };
  for (const Row& row : table) {
    const std::string why = WhyTooAmbiguous(row.gbnf);
    EXPECT_TRUE(why.starts_with(row.place)) << row.gbnf.substr(0, 80) << "\n" << why;
    EXPECT_THAT(why, HasSubstr(row.what)) << row.gbnf.substr(0, 80);
  }
}

TEST(Ambiguity, CountsWhatLlamaCppLooksAt) {
  struct Row {
    const char* gbnf;
    std::uint64_t walk;
  };
  const Row table[] = {
      {R"(root ::= "a")", 2 + 2},
      {R"(root ::= "abc")", 4 + 4},
      {R"(root ::= "abc" | "" | "d")", 5 + 7},  // the first pass ends where it finds nothing
      {"root ::= a\na ::= \"x\"", 4 + 4},
      {"root ::= a | a\na ::= \"x\"", 8 + 4 + 4},
      {"root ::= a a\na ::= \"x\"", 6 + 4},
      {"root ::= a a\na ::= \"x\" | \"\"", 6 + 6 + 6},
      // What is empty only by the rules that it mentions is not empty for llama.cpp.
      {"root ::= a c c\na ::= b\nb ::= \"\"\nc ::= \"x\"", 8 + 4 + (1 + 1) + 4},
      // Nothing leads to the second rule.
      {"root ::= \"x\"\nb ::= a a\na ::= \"y\"", 4 + 6 + 4},
      // Something leads to it, but from a rule that comes later.
      {"root ::= \"x\" a b\na ::= \"y\"\nb ::= a", 8 + 4 + 4 + 4},
  };
  for (const Row& row : table) EXPECT_EQ(WalkOf(RulesOf(row.gbnf)), row.walk) << row.gbnf;
}

// llama_grammar_detect_left_recursion word for word, but that it counts. None: there is left recursion.
class Detection {
 public:
  explicit Detection(const std::vector<LlamaRule>& rules)
      : rules_(rules), visited_(rules.size()), in_progress_(rules.size()), may_be_empty_(rules.size()) {}

  std::optional<std::uint64_t> Run() {
    for (std::size_t i = 0; i < rules_.size(); ++i) {
      if (!visited_[i] && Detect(i)) return std::nullopt;
    }
    return count_;
  }

 private:
  static bool IsEnd(const LlamaElement& element) {
    return element.kind == Kind::kEnd || element.kind == Kind::kAlternative;
  }

  bool Detect(std::size_t index) {
    if (in_progress_[index]) return true;
    in_progress_[index] = true;
    const std::vector<LlamaElement>& rule = rules_[index].elements;
    bool at_rule_start = true;
    for (const LlamaElement& element : rule) {
      ++count_;
      if (IsEnd(element)) {
        if (at_rule_start) {
          may_be_empty_[index] = true;
          break;
        }
        at_rule_start = true;
      } else {
        at_rule_start = false;
      }
    }
    bool recurse = true;
    for (const LlamaElement& element : rule) {
      ++count_;
      if (element.kind == Kind::kRule && recurse) {
        if (Detect(element.rule)) return true;
        if (!may_be_empty_[element.rule]) recurse = false;
      } else {
        recurse = IsEnd(element);
      }
    }
    in_progress_[index] = false;
    visited_[index] = true;
    return false;
  }

  const std::vector<LlamaRule>& rules_;
  std::vector<bool> visited_;
  std::vector<bool> in_progress_;
  std::vector<bool> may_be_empty_;
  std::uint64_t count_ = 0;
};

class RandomGbnf {
 public:
  explicit RandomGbnf(std::uint32_t seed) : random_(seed) {}

  std::string Text() {
    const int rules = 1 + Below(7);
    std::string out;
    for (int i = 0; i < rules; ++i) {
      is_last_ = rules - 1;
      at_ = i;
      out += fmt::format("{} ::= {}\n", NameOf(i), Alternatives(0));
    }
    return out;
  }

 private:
  int Below(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }
  static std::string NameOf(int i) { return i == 0 ? "root" : fmt::format("r{}", i); }

  std::string Alternatives(int depth) {
    std::string out = Sequence(depth);
    for (int more = Below(3); more > 0; --more) out += " | " + Sequence(depth);
    return out;
  }
  std::string Sequence(int depth) {
    std::string out;
    for (int symbols = Below(4); symbols > 0; --symbols) out += (out.empty() ? "" : " ") + Symbol(depth);
    // The end of a line would not end a rule that ends with '|'.
    return out.empty() && depth == 0 ? R"("")" : out;
  }
  std::string Symbol(int depth) {
    static constexpr const char* kTimes[] = {"*", "+", "?", "{2}", "{0,2}", "{1,3}", "{2,}", "{0}"};
    static constexpr const char* kTerminals[] = {R"("a")", R"("abc")", "[a-z_]", "[^x]", ".", "<[3]>"};
    std::string out;
    const int kind = Below(10);
    if (kind < 5) {
      // Seldom one that comes earlier, which may be left recursion.
      out = NameOf(Below(12) == 0 || at_ == is_last_ ? Below(is_last_ + 1) : at_ + 1 + Below(is_last_ - at_));
    } else if (kind == 5 && depth < 3) {
      out = "(" + Alternatives(depth + 1) + ")";
    } else if (kind == 6) {
      return R"("")";
    } else {
      out = kTerminals[Below(6)];
    }
    return Below(3) == 0 ? out + kTimes[Below(8)] : out;
  }

  std::mt19937 random_;
  int is_last_ = 0;
  int at_ = 0;
};

TEST(Ambiguity, RandomGrammarsAreCountedAsLlamaCppWalksThem) {
  int walked = 0;
  int recursive = 0;
  std::uint64_t longest = 0;
  for (std::uint32_t seed = 0; seed < 20'000; ++seed) {
    const std::string gbnf = RandomGbnf(seed).Text();
    const std::vector<LlamaRule> rules = RulesOf(gbnf);
    const std::uint64_t walk = WalkOf(rules);
    // With left recursion llama.cpp may look at much before it comes upon it; there it is refused in any case.
    const auto looked = Detection(rules).Run();
    ASSERT_EQ(walk, looked.value_or(kWalkMax + 1)) << gbnf;
    ++(looked ? walked : recursive);
    longest = std::max(longest, looked.value_or(0));
    // What we take for left recursion is all that llama.cpp takes for it.
    EXPECT_TRUE(looked || !ParseGbnf(gbnf)) << gbnf;
  }
  EXPECT_GT(walked, 4000);
  EXPECT_GT(recursive, 500);
  EXPECT_GT(longest, 1000U);
}

std::string Repeated(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

TEST(Ambiguity, WhatDoublesOrIsLongIsRefusedWithTheRule) {
  struct Row {
    const char* says;
    std::string gbnf;
    const char* why;  // "": it is taken
  };
  const Row table[] = {
      {"ten times twice", Chain(10, "r{0} ::= r{1} r{1} | r{1}", R"("a" | "")"), ""},
      {"thirty times", Chain(30, "r{0} ::= r{1} r{1} | r{1}", R"("a" | "")"), "make the rule 'r9' less"},
      {"three at a time", Chain(30, "r{0} ::= r{1} | r{1} | r{1} r{1} | \"b\" r{1}", R"("a")"),
       "make the rule 'r17' less"},
      {"with groups", "root ::= " + std::string(30, '(') + "\"a\"?" + Repeated(")?)?", 15), ""},
      {"with groups, each twice", Chain(30, "r{0} ::= (r{1} | (r{1}))", R"("a")"), "make the rule 'r1"},
      {"groups that are left out", Chain(45, "r{0} ::= (r{1} \"\"{{0,3}} r{1}?)?", R"("a"?)"), "there is nothing to"},
      {"repetitions that may be left out", Chain(45, "r{0} ::= (r{1}* r{1}?)?", R"("a"?)"), "make the rule 'r26' less"},
      {"nothing, written as a repetition of none", Chain(45, "r{0} ::= \"x\"{{0}} r{1} | \"y\"{{0,0}} r{1}", R"("a")"),
       "make the rule 'r2"},
      {"a chain of repetitions over another", Chain(45, "r{0} ::= r{1}{{0,40}} | \"\"", R"("a" | "")"),
       "make the rule 'r4"},
      {"behind a character", Chain(30, "r{0} ::= \"b\" r{1} r{1} | \"c\" r{1}", R"("a" | "")"), ""},
      {"in a rule that nothing leads to",
       "root ::= \"x\"\n" + Chain(30, "r{0} ::= r{1} r{1} | r{1}", R"("a" | "")").substr(12),
       "make the rule 'r9' less"},
      {"empty classes", Chain(45, "r{0} ::= [] r{1} | [] r{1}", R"("a")"), "line 2, column 8: an empty class"},
      {"negated empty classes", Chain(45, "r{0} ::= [^] r{1} | [^] r{1}", R"("a")"),
       "line 2, column 8: an empty class"},
      {"a long leaf", Chain(19, "r{0} ::= r{1} \"x\" | r{1} \"y\"", "\"" + std::string(60'000, 'a') + "\""),
       "make the rule 'r11' less"},
      {"a repeated leaf", Chain(18, "r{0} ::= r{1} \"x\" | r{1} \"y\"", "\"" + std::string(1'000, 'a') + "\"{400}"),
       "make the rule 'r13' less"},
      {"a repeated leaf in a group",
       Chain(18, "r{0} ::= (r{1} \"x\" | (r{1}) \"y\")", "(\"" + std::string(1'000, 'a') + "\"{200,400})?"),
       "make the rule 'r"},
      {"what is repeated behind the beginning", Chain(14, "r{0} ::= r{1} \"x\"{{1000}} | r{1} \"y\"", R"("a")"),
       "make the rule 'r"},
      {"a long leaf that is begun with once", Chain(19, "r{0} ::= r{1} \"x\"", "\"" + std::string(60'000, 'a') + "\""),
       ""},
      {"a long chain", Chain(5000, "r{0} ::= r{1} | \"x\"", R"("a")"), ""},
      {"optional things in a row",
       "root ::= a? b? c? d? e? f? g? h? a? b? c? d? e? f? g? h? ws\n"
       "a ::= \"a\" ws\nb ::= \"b\" ws\nc ::= \"c\" ws\nd ::= \"d\" ws\ne ::= \"e\" ws\nf ::= \"f\" ws\n"
       "g ::= \"g\" ws\nh ::= \"h\" ws\nws ::= [ \\t\\n]*",
       ""},
      {"spaces that may be nothing twice over",
       "root ::= ws? \"{\" (ws? \"a\")* ws? (ws? \"b\")? ws? ws? \"}\" ws?\n"
       "ws ::= ([ \\t\\n] ws)?",
       ""},
      {"JSON",
       "root ::= object\nvalue ::= object | array | string | number | (\"true\" | \"false\" | \"null\") ws\n"
       "object ::= \"{\" ws (string \":\" ws value (\",\" ws string \":\" ws value)*)? \"}\" ws\n"
       "array ::= \"[\" ws (value (\",\" ws value)*)? \"]\" ws\n"
       "string ::= \"\\\"\" ([^\"\\\\\\x7F\\x00-\\x1F] | \"\\\\\" ([\"\\\\bfnrt/] | \"u\" [0-9a-fA-F]{4}))* \"\\\"\" "
       "ws\n"
       "number ::= (\"-\"? ([0-9] | [1-9] [0-9]{0,15})) (\".\" [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws\n"
       "ws ::= | \" \" | \"\\n\" [ \\t]{0,20}",
       ""},
      {"many repetitions", "root ::= (a? b?){0,400}\na ::= \"a\"\nb ::= \"b\"", ""},
  };
  for (const Row& row : table) {
    const std::clock_t start = std::clock();
    const std::string why = WhyTooAmbiguous(row.gbnf);
    EXPECT_LT(std::clock() - start, test::kSlowness * CLOCKS_PER_SEC / 20) << row.says;
    if (*row.why == '\0') {
      EXPECT_EQ(why, "") << row.says;
      EXPECT_TRUE(ParseGbnf(row.gbnf)) << row.says;
    } else {
      EXPECT_THAT(why, HasSubstr(row.why)) << row.says;
      EXPECT_TRUE(why.starts_with("line") || why.find("more than 20000000 of their parts") != why.npos) << row.says;
    }
  }
}

TEST(Ambiguity, LeftRecursionHasNoEnd) {
  EXPECT_EQ(WalkOf(RulesOf("root ::= a\na ::= root \"x\"")), kWalkMax + 1);
  EXPECT_EQ(WalkOf(RulesOf("root ::= \"x\"\na ::= \"y\"? a")), kWalkMax + 1);
}

// What is made of schemas is far below the bound, however large.
TEST(Ambiguity, SchemasHaveShortBeginnings) {
  std::string optional = R"({"type":"object","properties":{)";
  std::string any_of = R"({"anyOf":[)";
  for (int i = 0; i < 200; ++i) {
    optional += fmt::format(R"({}"p{}":{{"type":["string","null"],"maxLength":{}}})", i == 0 ? "" : ",", i, i);
    any_of += fmt::format(R"({}{{"type":"object","properties":{{"a{}":{{"enum":[1,2,3]}}}}}})", i == 0 ? "" : ",", i);
  }
  for (const std::string& schema :
       {std::string("{}"), optional + "}}", any_of + "]}",
        std::string(R"({"type":"array","minItems":100,"maxItems":60000,"items":{"type":"number"}})"),
        std::string(R"({"type":"string","pattern":"^(a?){900}$","maxLength":60000})"),
        std::string(R"({"type":"string","pattern":"^(a?b?c?d?e?f?){100}$"})"),
        std::string(R"({"type":"string","minLength":3000,"maxLength":65536})"),
        std::string(R"({"type":"integer","minimum":-123456789,"maximum":98765432101234})")}) {
    const auto gbnf = SchemaToGbnf(schema);
    ASSERT_TRUE(gbnf) << schema.substr(0, 80) << gbnf.error();
    EXPECT_EQ(WhyTooAmbiguous(*gbnf), "") << schema.substr(0, 80);
    EXPECT_LT(WalkOf(RulesOf(*gbnf)), kWalkMax / 20) << schema.substr(0, 80);
  }
}

}  // namespace
}  // namespace allod::inference::schema::ambiguity_test
