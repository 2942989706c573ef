#include "inference/schema/ambiguity.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inference/schema/gbnf.h"
#include "inference/schema/schema.h"

namespace allod::inference::schema::ambiguity_test {
namespace {

using ::testing::HasSubstr;

// `rule` is a format with this rule's number and the next one's.
std::string Chain(int rules, fmt::format_string<int&, int&> rule, const std::string& last) {
  std::string out = "root ::= r0\n";
  for (int i = 0; i < rules; ++i) {
    int next = i + 1;
    out += fmt::format(rule, i, next) + "\n";
  }
  return out + fmt::format("r{} ::= {}\n", rules, last);
}

ParsedGbnf Parsed(const std::string& gbnf) {
  auto parsed = ParseGbnf(gbnf);
  EXPECT_TRUE(parsed) << gbnf << parsed.error();
  return parsed ? *std::move(parsed) : ParsedGbnf{};
}

TEST(Ambiguity, CountsTheWaysToBegin) {
  struct Row {
    const char* gbnf;
    std::uint64_t ways;  // of root
  };
  const Row table[] = {
      {R"(root ::= "a")", 1},
      {R"(root ::= "a" | "b" | [c-e])", 1},
      {"root ::= a\na ::= \"x\"", 2},
      {"root ::= a | a\na ::= \"x\"", 3},
      {"root ::= a a\na ::= \"x\"", 2},
      {"root ::= a a\na ::= \"x\" | \"\"", 3},
      {"root ::= \"\" a a\na ::= \"x\"", 2},
      {"root ::= a b\na ::= \"\" | \"\" | \"\"\nb ::= \"x\"", 3},
      {"root ::= a b c\na ::= b | \"\"\nb ::= c | \"\"\nc ::= \"x\" | \"\"", 1 + 3 + 2 + 1},
      {"root ::= a b c\na ::= b | \"\"\nb ::= c\nc ::= \"x\"", 1 + 3 + 2},
      {"root ::= \"x\" root a a | \"\"\na ::= \"y\" | \"\" | \"\"", 1},
  };
  for (const Row& row : table) {
    const ParsedGbnf parsed = Parsed(row.gbnf);
    EXPECT_EQ(BeginningsOf(parsed.grammar).at(parsed.rules.at("root")), row.ways) << row.gbnf;
  }
}

TEST(Ambiguity, WhatDoublesIsRefusedWithTheRule) {
  struct Row {
    const char* says;
    std::string gbnf;
    const char* why;  // "": it is taken
  };
  const Row table[] = {
      {"ten times twice", Chain(10, "r{0} ::= r{1} r{1} | r{1}", R"("a" | "")"), ""},
      {"thirty times", Chain(30, "r{0} ::= r{1} r{1} | r{1}", R"("a" | "")"), "make the rule 'r17' less ambiguous"},
      {"without an empty rule", Chain(30, "r{0} ::= r{1} | r{1} | \"b\" r{1}", R"("a")"), "make the rule 'r10' less"},
      {"with groups",
       "root ::= " + std::string(30, '(') + "\"a\"?" +
           [] {
             std::string out;
             for (int i = 0; i < 30; ++i) out += "){0,100}";
             return out;
           }(),
       "make the rule 'root' less"},
      {"behind a character", Chain(30, "r{0} ::= \"b\" r{1} r{1} | \"c\" r{1}", R"("a" | "")"), ""},
      {"in a rule that nothing leads to",
       "root ::= \"x\"\n" + Chain(30, "r{0} ::= r{1} r{1} | r{1}", R"("a" | "")").substr(12),
       "make the rule 'r17' less"},
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
      {"many repetitions", "root ::= (a? b?){0,2000}\na ::= \"a\"\nb ::= \"b\"", ""},
  };
  for (const Row& row : table) {
    const std::string why = WhyTooAmbiguous(Parsed(row.gbnf).grammar);
    if (*row.why == '\0') {
      EXPECT_EQ(why, "") << row.says;
    } else {
      EXPECT_THAT(why, HasSubstr("more than 2000000 ways")) << row.says;
      EXPECT_THAT(why, HasSubstr(row.why)) << row.says;
    }
  }
}

TEST(Ambiguity, LeftRecursionHasNoEnd) {
  Grammar grammar;
  const RuleId one = grammar.Add("one");
  const RuleId other = grammar.Add("other", {{Ref(one)}});
  grammar.AddAlternative(one, {Ref(other)});
  EXPECT_NE(WhyTooAmbiguous(grammar), "");
}

// What is made of schemas is far below the bound, however large.
TEST(Ambiguity, SchemasHaveFewBeginnings) {
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
    Grammar grammar;
    const auto rule = AddSchema(schema, Values::kAll, grammar);
    ASSERT_TRUE(rule) << schema.substr(0, 80) << rule.error();
    std::uint64_t most = 0;
    for (const std::uint64_t ways : BeginningsOf(grammar)) most = std::max(most, ways);
    EXPECT_LT(most, kBeginningsMax / 100) << schema.substr(0, 80);
  }
}

}  // namespace
}  // namespace allod::inference::schema::ambiguity_test
