#include "inference/schema/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "inference/schema/gbnf.h"
#include "tests/schema/grammar_walk.h"
#include "tests/support/instrumented.h"

namespace allod::inference::schema::schema_test {
namespace {

using ::testing::HasSubstr;

std::string Refusal(const std::string& schema) {
  const auto gbnf = SchemaToGbnf(schema);
  if (gbnf) ADD_FAILURE() << schema << " gives\n" << *gbnf;
  return gbnf ? "" : gbnf.error();
}

// What of `texts` is an answer to the schema.
std::vector<std::string> Taken(const std::string& schema, const std::vector<std::string>& texts) {
  const auto gbnf = SchemaToGbnf(schema);
  if (!gbnf) {
    ADD_FAILURE() << schema << ": " << gbnf.error();
    return {};
  }
  const auto parsed = ParseGbnf(*gbnf);
  if (!parsed) {
    ADD_FAILURE() << *gbnf << parsed.error();
    return {};
  }
  std::vector<std::string> out;
  for (const std::string& text : texts) {
    if (test::Accepts(parsed->grammar, parsed->rules.at("root"), text)) out.push_back(text);
  }
  return out;
}

TEST(Schema, WhatIsNotEnforcedIsRefusedByNameAndPlace) {
  struct Row {
    const char* schema;
    const char* place;
    const char* what;
  };
  const Row table[] = {
      {R"({"properties":{"a":{"not":{}}}})", R"(at "/properties/a/not": )", R"("not" is not enforced)"},
      {R"({"uniqueItems":true})", R"(at "/uniqueItems": )", "uniqueItems"},
      {R"({"minProperties":1})", R"(at "/minProperties": )", "minProperties"},
      {R"({"maxProperties":1})", R"(at "/maxProperties": )", "maxProperties"},
      {R"({"patternProperties":{"a":{}}})", R"(at "/patternProperties": )", "patternProperties"},
      {R"({"propertyNames":{}})", R"(at "/propertyNames": )", "propertyNames"},
      {R"({"contains":{}})", R"(at "/contains": )", "contains"},
      {R"({"if":{},"then":{}})", R"(at "/if": )", "if"},
      {R"({"dependentRequired":{}})", R"(at "/dependentRequired": )", "dependentRequired"},
      {R"({"unevaluatedProperties":false})", R"(at "/unevaluatedProperties": )", "unevaluatedProperties"},
      {R"({"$dynamicRef":"#a"})", R"(at "/$dynamicRef": )", "dynamicRef"},
      {R"({"properties":{"a/b~":{"nullable":true}}})", R"(at "/properties/a~1b~0/nullable": )", "nullable"},
      {R"({"tpye":"string"})", R"(at "/tpye": )", "tpye"},
      {R"({"$defs":{"unused":{"colour":1}}})", R"(at "/$defs/unused/colour": )", "colour"},
      {R"({"format":"regex"})", R"(at "/format": )", "regex"},
      {R"j({"pattern":"a(?=b)"})j", R"(at "/pattern": )", "look-around"},
      {R"({"pattern":"\\p{L}"})", R"(at "/pattern": )", "\\p is not taken"},
      {R"({"pattern":"^((a{1,100}){1,100}){1,100}$"})", R"(at "/pattern": )", "states"},
      {R"({"pattern":"(a|b)*a(a|b){12}"})", R"(at "/pattern": )", "states"},
      {R"j({"pattern":"^(ab)*$","maxLength":9000})j", R"(at "": )", "states"},
      {R"({"multipleOf":0.01})", R"(at "/multipleOf": )", "whole numbers"},
      {R"({"maxLength":100000})", R"(at "/maxLength": )", "at most 65536"},
      {R"({"minItems":-1})", R"(at "/minItems": )", "0 or more"},
      {R"({"minLength":1.5})", R"(at "/minLength": )", "whole number"},
      {R"({"minimum":"3"})", R"(at "/minimum": )", "number"},
      {R"({"type":"number","exclusiveMinimum":0.12345678901234567})", R"(at "")", "exclusive bound"},
      {R"({"type":"nonsense"})", R"(at "/type": )", "type must be"},
      {R"({"type":[]})", R"(at "/type": )", "at least one"},
      {R"({"items":[{}]})", R"(at "/items": )", "prefixItems"},
      {R"({"$ref":"https://example.org/x"})", R"(at "/$ref": )", "inside the schema"},
      {R"({"$ref":"#/$defs/none"})", R"(at "/$ref": )", "names no schema"},
      {R"({"$ref":"#"})", R"(at "": )", "back to itself"},
      {R"({"$ref":"#/$defs/a","$defs":{"a":{"allOf":[{"$ref":"#/$defs/a"}]}}})", R"(at "/$defs/a)", "back to itself"},
      {R"({"properties":5})", R"(at "/properties": )", "object"},
      {R"({"properties":{"a":5}})", R"(at "/properties/a": )", "a schema must be"},
      {R"({"anyOf":[]})", R"(at "/anyOf": )", "at least one"},
      {R"({"oneOf":[{"type":"string"},{"maxLength":3}]})", R"(at "/oneOf": )", "schemas 0 and 1 can both hold"},
      {R"({"oneOf":[{"type":"integer"},{"type":"number"}]})", R"(at "/oneOf": )", "can both hold"},
      {R"({"oneOf":[{"properties":{"a":{"const":1}}},{"properties":{"a":{"const":2}}}],"type":"object"})",
       R"(at "/oneOf": )", "can both hold"},
  };
  for (const Row& row : table) {
    const std::string error = Refusal(row.schema);
    EXPECT_TRUE(error.starts_with(row.place)) << row.schema << "\n" << error;
    EXPECT_THAT(error, HasSubstr(row.what)) << row.schema;
  }
}

TEST(Schema, WhatNoValueSatisfiesIsRefused) {
  struct Row {
    const char* schema;
    const char* place;
  };
  for (const Row& row :
       {Row{R"({"type":"integer","minimum":9,"maximum":3})", "/minimum"},
        Row{R"({"minimum":1,"exclusiveMaximum":1})", "/minimum"},
        Row{R"({"type":"array","minItems":3,"maxItems":1})", "/minItems"},
        Row{R"({"minLength":2,"maxLength":1})", "/minLength"},
        Row{R"({"properties":{"a":{"enum":[]}}})", "/properties/a/enum"},
        Row{R"({"properties":{"a":{}},"required":["a","b"],"additionalProperties":false})", "/required"},
        Row{R"({"type":"string","const":5})", ""}, Row{R"({"allOf":[{"type":"string"},{"type":"null"}]})", ""},
        Row{R"({"type":"string","pattern":"^a{5}$","maxLength":4})", ""},
        Row{R"({"type":"integer","exclusiveMinimum":3,"exclusiveMaximum":4})", ""},
        Row{R"({"type":"object","properties":{"next":{"$ref":"#"}},"required":["next"]})", ""}}) {
    const std::string error = Refusal(row.schema);
    EXPECT_TRUE(error.starts_with(std::string("at \"") + row.place + "\": ")) << row.schema << "\n" << error;
    if (std::string(row.place) != "/properties/a/enum") {
      EXPECT_THAT(error, HasSubstr("no value can satisfy it")) << row.schema;
    }
  }
}

TEST(Schema, WhatIsNoSchemaIsRefused) {
  EXPECT_EQ(WhyNotRead("{"), "is no valid JSON");
  EXPECT_EQ(WhyNotRead("[]"), "is no JSON object");
  EXPECT_EQ(WhyNotRead("{\"title\":\"" + std::string(70000, 'x') + "\"}"), "has more than 64 KiB");
  EXPECT_EQ(WhyNotRead(std::string(40, '[') + std::string(40, ']')), "is nested deeper than 32");
  EXPECT_EQ(WhyNotRead("{}"), "");
  for (const char* schema : {"{", "[]", "true"}) EXPECT_TRUE(Refusal(schema).starts_with("it is no")) << schema;
}

TEST(Schema, AnnotationsChangeNothing) {
  EXPECT_EQ(
      Taken(
          R"({"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"urn:x","title":"t","description":"d","default":1,
                      "examples":[1],"$comment":"c","deprecated":true,"readOnly":false,"writeOnly":false,"x-order":3,"type":"null"})",
          {"null", "1"}),
      (std::vector<std::string>{"null"}));
}

TEST(Schema, EachKeywordHolds) {
  struct Row {
    const char* schema;
    std::vector<std::string> answers, others;
  };
  const Row table[] = {
      {R"({"type":"integer","minimum":-5,"maximum":120})",
       {"-5", "0", "99", "120"},
       {"-6", "121", "01", "-0", "1.0", "1e1"}},
      {R"({"type":"integer","minimum":0.5})", {"1", "999999999999999999"}, {"0", "-1", "1000000000000000000"}},
      {R"({"type":"integer","minimum":-9223372036854775808,"maximum":9223372036854775807})", {"7", "-7"}, {"x"}},
      {R"({"type":"integer","multipleOf":7,"minimum":1})", {"7", "700"}, {"0", "8", "-7"}},
      {R"({"type":"number","minimum":0,"maximum":1})",
       {"0", "1", "0.5", "1.0", "0.999999999999999"},
       {"75606.6", "-0.1", "1.1", "1e0", "1.01"}},
      {R"({"type":"number","exclusiveMinimum":-0.25,"exclusiveMaximum":0})",
       {"-0.2", "-0.0001"},
       {"-0.25", "0", "-0", "-0.250", "-0.3", "0.1"}},
      {R"({"type":"number","minimum":2.75})", {"2.75", "2.8", "3", "10.5"}, {"2.7", "2", "2.749"}},
      {R"({"type":"number","maximum":-12.5})", {"-12.5", "-13", "-12.51", "-100"}, {"-12.4", "-12", "12.5", "0"}},
      {R"({"type":"number"})", {"-1.5e10", "0", "2E-3", "3.14"}, {"1e999", "01", ".5", "1.", "+1", "NaN"}},
      {R"({"type":"string","minLength":2,"maxLength":3})",
       {R"("ab")", R"("😀é\n")", R"("\u00e9\ud83d\ude00")"},
       {R"("a")", R"("abcd")", R"("\ud83d")"}},
      {R"({"type":"string","pattern":"^\\d{3}$","maxLength":5})", {R"("123")"}, {R"("12")", R"("1234")"}},
      {R"({"type":"string","pattern":"\\d","maxLength":2})", {R"("1")", R"("a1")"}, {R"("a")", R"("a12")"}},
      {R"({"type":"string","pattern":"^\"q\"$"})", {R"("\"q\"")"}, {R"(""q"")"}},
      {R"({"type":"string","pattern":"^a\nb$"})", {R"("a\nb")"}, {"\"a\nb\""}},
      {R"({"type":"string","pattern":"^😀{2}$"})", {R"("😀😀")"}, {R"("😀")"}},
      {R"({"type":"string","pattern":"^.$"})", {R"("\t")", R"("\u0001")", R"("\\")"}, {R"("\n")"}},
      {R"({"type":"string","format":"date"})",
       {R"("2024-02-29")", R"("1999-12-31")"},
       {R"("2023-02-29")", R"("2024-13-01")", R"("1900-02-29")"}},
      {R"({"type":"string","format":"date-time"})",
       {R"("2024-02-29T23:59:59.5+03:00")"},
       {R"("2024-02-29")", R"("2024-02-29T24:00:00Z")"}},
      {R"({"enum":["a\"b",5,null,{"k":[1]}]})", {R"("a\"b")", "5", "null", R"({"k":[1]})"}, {R"("a")", "6"}},
      {R"({"type":["string","null"],"maxLength":1})", {"null", R"("a")"}, {R"("ab")", "1"}},
      {R"({"type":"array","items":{"type":"null"},"minItems":1,"maxItems":2})",
       {"[null]", "[null, null]", "[ null ]"},
       {"[]", "[null,null,null]", "[1]"}},
      {R"({"type":"array","prefixItems":[{"type":"null"},{"type":"boolean"}],"items":false})",
       {"[]", "[null]", "[null,true]"},
       {"[true]", "[null,true,1]"}},
      {R"({"type":"array","prefixItems":[{"type":"null"}],"items":{"type":"boolean"},"minItems":3})",
       {"[null,true,false]"},
       {"[null,true]", "[null,null,true]"}},
      {R"({"type":"array","items":false})", {"[]"}, {"[1]"}},
      {R"({"type":"object","properties":{"":{"type":"null"}},"required":[""]})", {R"({"":null})"}, {"null", "{}"}},
      {R"({"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"}},"required":["b"]})",
       {R"({"a":null,"b":null})", R"({"b": null})"},
       {R"({"a":null})", R"({"b":null,"c":1})"}},
      {R"({"type":"object","properties":{}})", {"{}"}, {R"({"a":1})"}},
      {R"({"type":"object"})", {"{}", R"({"a":[{"b":"c"}]})"}, {"[]"}},
      {R"({"type":"object","properties":{"a":{"type":"null"}},"additionalProperties":{"type":"boolean"}})",
       {R"({"a":null,"b":true})", R"({"b":true,"aa":false})"},
       {R"({"a":true})", R"({"b":null})"}},
      {R"({"type":"object","required":["z"],"additionalProperties":{"type":"null"}})",
       {R"({"z":null})"},
       {"{}", R"({"z":1})"}},
      {R"({"$ref":"#/$defs/t","maxLength":2,"$defs":{"t":{"type":"string","minLength":2}}})",
       {R"("ab")"},
       {R"("a")", R"("abc")"}},
      {R"({"type":"object","properties":{"a":{"type":"integer"}},"allOf":[{"properties":{"a":{"minimum":3},"b":{"type":"null"}},"required":["a","b"]}]})",
       {R"({"a":3,"b":null})"},
       {R"({"a":2,"b":null})", R"({"a":3})"}},
      {R"({"type":"object","properties":{"a":{"type":"integer"}},"anyOf":[{"required":["a"]},{"properties":{"b":{"type":"null"}},"required":["b"]}]})",
       {R"({"a":1})", R"({"b":null})"},
       {"{}", R"({"b":1})"}},
      {R"({"allOf":[{"properties":{"a":{}},"additionalProperties":false},{"properties":{"b":{}}}],"type":"object"})",
       {"{}", R"({"a":1})"},
       {R"({"b":1})", R"({"a":1,"b":2})"}},
      {R"({"oneOf":[{"type":"string"},{"type":"null"}]})", {"null", R"("")"}, {"1"}},
      {R"({"oneOf":[{"type":"integer","maximum":3},{"type":"integer","minimum":4}]})", {"3", "4"}, {"x"}},
      {R"({"type":"object","oneOf":[{"properties":{"k":{"const":"a"},"x":{"type":"null"}},"required":["k","x"]},{"properties":{"k":{"const":"b"}},"required":["k"]}]})",
       {R"({"k":"a","x":null})", R"({"k":"b"})"},
       {R"({"k":"a"})", R"({"k":"c"})"}},
      {R"({"$ref":"#/definitions/n","definitions":{"n":{"type":"object","properties":{"v":{"type":"null"},"next":{"$ref":"#/definitions/n"}},"required":["v"]}}})",
       {R"({"v":null,"next":{"v":null}})"},
       {R"({"v":null,"next":{}})"}},
  };
  for (const Row& row : table) {
    EXPECT_EQ(Taken(row.schema, row.answers), row.answers) << row.schema;
    EXPECT_EQ(Taken(row.schema, row.others), std::vector<std::string>{}) << row.schema;
  }
}

TEST(Schema, MembersComeInTheOrderOfTheSchema) {
  const std::string schema =
      R"({"allOf":[{"properties":{"z":{},"y":{}}},{"properties":{"b":{},"a":{}}}],"required":["z","b"],"type":"object"})";
  EXPECT_EQ(Taken(schema, {R"({"z":1,"y":1,"b":1,"a":1})", R"({"b":1,"z":1})"}),
            (std::vector<std::string>{R"({"z":1,"y":1,"b":1,"a":1})"}));
}

TEST(Schema, ArgumentsAreObjectsWhateverTheSchemaAllows) {
  Grammar grammar;
  const auto rule = AddSchema("{}", Values::kObjects, grammar);
  ASSERT_TRUE(rule) << rule.error();
  EXPECT_TRUE(test::Accepts(grammar, *rule, R"({"a":1})"));
  EXPECT_FALSE(test::Accepts(grammar, *rule, "1"));
}

TEST(Schema, HostileSchemasEndSoon) {
  std::string combined = R"({"allOf":[)";
  for (int i = 0; i < 12; ++i) combined += R"({"anyOf":[{"minLength":1},{"minLength":2},{"minLength":3}]},)";
  combined += "{}]}";
  std::string wide = R"({"type":"object","properties":{)";
  for (int i = 0; i < 2000; ++i) wide += (i > 0 ? ",\"p" : "\"p") + std::to_string(i) + R"(":{"maxLength":999})";
  wide += "}}";
  std::string branches = R"({"type":"object","oneOf":[)";
  for (int i = 0; i < 60; ++i)
    branches += (i > 0 ? ",{\"required\":[\"" : "{\"required\":[\"") + std::to_string(i) + "\"]}";
  branches += "]}";
  // Each definition uses the next one twice, and nothing of it allocates.
  const auto doubling = [](const std::string& with, const std::string& last) {
    std::string schema = with + R"("$defs":{)";
    for (int i = 0; i < 40; ++i) {
      const std::string next = R"({"$ref":"#/$defs/a)" + std::to_string(i + 1) + "\"}";
      schema += "\"a" + std::to_string(i) + R"(":{"allOf":[)" + next + "," + next + "]},";
    }
    return schema + R"("a40":)" + last + "}}";
  };
  const std::string first = R"({"$ref":"#/$defs/a0"})";
  // Lists that are compared with each other.
  std::string lists = R"({"allOf":[)";
  for (int list = 0; list < 30; ++list) {
    lists += R"({"enum":[)";
    for (int i = 0; i < 998; ++i) lists += list == 0 ? "1," : "2,";
    lists += "1]},";
  }
  lists += "{}]}";
  struct Row {
    std::string schema;
    bool is_taken;
  };
  for (const Row& row :
       {Row{combined, false}, Row{wide, false}, Row{branches, false},
        Row{doubling(R"({"const":{"x":null},"properties":{"x":)" + first + "},", R"({"type":"null"})"), false},
        Row{doubling(R"({"const":[1],"items":)" + first + ",", "{}"), false},
        Row{doubling(R"({"enum":[{"x":true}],"additionalProperties":)" + first + ",", "true"), false},
        // Looked at as a set it is small.
        Row{doubling(R"({"properties":{"x":)" + first + "},", "{}"), true}, Row{lists, false},
        Row{R"({"type":"string","pattern":"(a|b)*a(a|b){900}"})", false},
        // Large to write, small to follow.
        Row{R"({"type":"string","pattern":"^(a?){900}$","maxLength":60000})", true}}) {
    const auto start = std::chrono::steady_clock::now();
    const auto gbnf = SchemaToGbnf(row.schema);
    EXPECT_EQ(gbnf.has_value(), row.is_taken) << row.schema.substr(0, 60);
    EXPECT_LT(std::chrono::steady_clock::now() - start, test::kSlowness * std::chrono::seconds(10))
        << row.schema.substr(0, 60);
  }
}

}  // namespace
}  // namespace allod::inference::schema::schema_test
