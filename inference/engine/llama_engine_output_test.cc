// What answers can be made to look like: choices, probabilities, bias, constraints, tool calls; and templates that are
// hostile.

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "inference/engine/llama_engine_fixture.h"
#include "inference/engine/text/deep_stack.h"
#include "inference/engine/text/llama_constraint.h"
#include "inference/engine/text/llama_vocabulary.h"
#include "inference/schema/document.h"
#include "tests/support/instrumented.h"

namespace allod::inference::engine::llama_engine_output_test {
namespace {

using nlohmann::json;

ports::GenerationRequest AskChat(const std::string& content, std::int32_t tokens) {
  ports::GenerationRequest request = Greedy("", tokens);
  request.prompt = ports::ChatPrompt{.messages = {{"user", content}}};
  return request;
}

constexpr const char* kSchema = R"({"type":"object","properties":{
  "name":{"type":"string","maxLength":8},"age":{"type":"integer","minimum":1,"maximum":99},
  "kind":{"enum":["birth","death"]}},"required":["name","age","kind"],"additionalProperties":false})";

TEST_F(EngineTest, NothingOfAConstraintThatLlamaCannotParseIsPrinted) {
  Start();
  ports::GenerationRequest request = Greedy("a", 4);
  request.constraint = ports::GrammarConstraint{"root ::= zqzq\nzqzq ::= \"a\" <zqzq>"};
  ::testing::internal::CaptureStderr();
  const Error refused = Refusal(request);
  const std::string printed = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(refused.reason, "INVALID_CONSTRAINT") << refused.message;
  EXPECT_THAT(refused.message, HasSubstr("invalid token"));
  EXPECT_THAT(printed, ::testing::Not(HasSubstr("zqzq")));
}

TEST_F(EngineTest, ChoicesShareThePromptAndDifferByTheirSeed) {
  Start({.max_sequences = 4});
  ports::GenerationRequest request = Greedy("habari ya asubuhi", 24);
  request.sampling.temperature = 1;
  request.sampling.seed = 5;
  request.choices = 3;
  const Answer answer = Ask(request);
  ASSERT_EQ(answer.texts.size(), 3U);
  EXPECT_NE(answer.texts.at(0), answer.texts.at(1));
  EXPECT_EQ(answer.finished.completion_tokens, 3 * 24);
  EXPECT_EQ(answer.delta_tokens, 3 * 24);
  EXPECT_EQ(answer.reasons.size(), 3U);
  // Choice i is what seed + i gives alone.
  request.choices = 1;
  for (std::int32_t i = 0; i < 3; ++i) {
    request.sampling.seed = 5U + static_cast<std::uint32_t>(i);
    EXPECT_EQ(Ask(request).text, answer.texts.at(i)) << i;
  }
}

TEST_F(EngineTest, MoreChoicesThanMayRunAreRefused) {
  Start({.max_sequences = 2});
  ports::GenerationRequest request = Greedy("a", 4);
  request.choices = 3;
  EXPECT_EQ(Refusal(request).reason, "INVALID_SAMPLING");
  EXPECT_THAT(Refusal(request).message, HasSubstr("n is 3; it must be 1 to 2"));
}

TEST_F(EngineTest, LogprobsComeForEachDeliveredToken) {
  Start();
  ports::GenerationRequest request = Greedy("habari", 20);
  request.logprobs = true;
  request.top_logprobs = 3;
  const Answer answer = Ask(request);
  ASSERT_EQ(answer.logprobs.size(), 20U);
  std::string text;
  for (const ports::TokenLogprobs& one : answer.logprobs) {
    ASSERT_EQ(one.top.size(), 3U);
    EXPECT_LE(one.chosen.logprob, 0);
    // Greedy: the chosen one is the likeliest.
    EXPECT_EQ(one.top[0].token, one.chosen.token);
    EXPECT_FLOAT_EQ(one.top[0].logprob, one.chosen.logprob);
    EXPECT_GE(one.top[0].logprob, one.top[1].logprob);
    double sum = 0;
    for (const ports::TokenLogprob& top : one.top) sum += std::exp(top.logprob);
    EXPECT_LE(sum, 1.0001);
    text += one.chosen.token;
  }
  EXPECT_THAT(text, HasSubstr(answer.text));
}

TEST_F(EngineTest, BiasForcesAndForbidsTokens) {
  Start();
  ports::GenerationRequest request = Greedy("habari", 1);
  request.logprobs = true;
  request.top_logprobs = 1;
  // The last token of the vocabulary is the digit 9.
  const std::int32_t nine = 7 + 256 + 7 + 5 + 1 + 26 + 20 + 1 - 1;
  request.sampling.logit_bias = {{nine, 100.0F}};
  request.max_completion_tokens = 3;
  EXPECT_EQ(Ask(request).text, "999");
  request.sampling.logit_bias = {{nine, 101.0F}};
  EXPECT_THAT(Refusal(request).message, HasSubstr("logit_bias"));
  request.sampling.logit_bias = {{100000, 1.0F}};
  EXPECT_THAT(Refusal(request).message, HasSubstr("100000"));
}

TEST_F(EngineTest, SchemaIsFollowedWhateverTheModelWouldSay) {
  StartStarter();
  for (const std::uint32_t seed : {1U, 2U, 3U}) {
    ports::GenerationRequest request = AskChat("How do I register a birth?", 120);
    request.sampling.temperature = 1;
    request.sampling.seed = seed;
    request.constraint = ports::JsonSchemaConstraint{kSchema};
    const Answer answer = Ask(request);
    EXPECT_EQ(answer.finished.reason, ports::FinishReason::kStop) << answer.text;
    const json value = json::parse(answer.text, nullptr, false);
    ASSERT_TRUE(value.is_object()) << answer.text;
    EXPECT_EQ(value.size(), 3U);
    EXPECT_TRUE(value["kind"] == "birth" || value["kind"] == "death") << answer.text;
    EXPECT_GE(value["age"], 1);
    EXPECT_LE(value["age"], 99);
  }
}

TEST_F(EngineTest, WhatASchemaSaysHoldsForEveryAnswerThatEnds) {
  // Random weights: the schema alone gives the answer its shape.
  Start();
  int ended = 0;
  for (
      const char* text : {
          R"({"type":"string","pattern":"^\\d{3}-\\w$"})",
          R"({"type":"string","pattern":"^\"q\"$"})",
          R"({"type":"string","pattern":"^a\nb$"})",
          R"({"type":"string","pattern":"^😀{2}$"})",
          R"({"type":"string","pattern":"^[a-c]+$","maxLength":3})",
          R"({"type":"string","format":"date"})",
          R"({"type":"number","minimum":0,"maximum":1})",
          R"({"type":"integer","exclusiveMinimum":-3,"multipleOf":4})",
          R"({"type":"object","properties":{"":{"type":"null"}},"required":[""]})",
          R"({"type":"array","items":{"type":"boolean"},"minItems":1,"maxItems":3})",
          R"({"type":"object","properties":{"a":{"type":"boolean"}},"allOf":[{"required":["b"],"properties":{"b":{"const":5}}}]})",
          R"({"$ref":"#/$defs/t","maxLength":2,"$defs":{"t":{"type":"string","minLength":2}}})",
          R"({"oneOf":[{"type":"null"},{"type":"string","maxLength":1}]})",
      }) {
    const schema::Document document(schema::Json::parse(text));
    for (const std::uint32_t seed : {1U, 2U, 3U}) {
      ports::GenerationRequest request = Greedy("a", 300);
      request.sampling.temperature = 1;
      request.sampling.seed = seed;
      request.constraint = ports::JsonSchemaConstraint{text};
      const Answer answer = Ask(request);
      if (answer.finished.reason != ports::FinishReason::kStop) continue;
      ++ended;
      const auto value = schema::Json::parse(answer.text, nullptr, false);
      ASSERT_FALSE(value.is_discarded()) << text << "\n" << answer.text;
      EXPECT_TRUE(schema::Allows(document.root(), value)) << text << "\n" << answer.text;
    }
  }
  EXPECT_GT(ended, 20);
}

TEST_F(EngineTest, EachChoiceFollowsTheConstraint) {
  StartStarter({.max_sequences = 4});
  ports::GenerationRequest request = AskChat("How do I register a birth?", 120);
  request.sampling.temperature = 1;
  request.choices = 3;
  request.constraint = ports::GrammarConstraint{R"(root ::= "yes" | "no" | "who knows")"};
  for (const auto& [choice, text] : Ask(request).texts) {
    EXPECT_TRUE(text == "yes" || text == "no" || text == "who knows") << choice << ": " << text;
  }
}

TEST_F(EngineTest, ConstraintsThatAreNoneAreRefused) {
  Start();
  ports::GenerationRequest request = Greedy("a", 4);
  const auto reason = [&](ports::OutputConstraint constraint) {
    request.constraint = std::move(constraint);
    return Refusal(request).reason;
  };
  EXPECT_EQ(reason(ports::JsonSchemaConstraint{"{"}), "INVALID_CONSTRAINT");
  EXPECT_EQ(reason(ports::JsonSchemaConstraint{"[]"}), "INVALID_CONSTRAINT");
  EXPECT_EQ(reason(ports::JsonSchemaConstraint{R"({"type":"nonsense"})"}), "INVALID_CONSTRAINT");
  EXPECT_EQ(reason(ports::JsonSchemaConstraint{"{\"title\":\"" + std::string(70000, 'x') + "\"}"}),
            "INVALID_CONSTRAINT");
  std::string deep = "{}";
  for (int i = 0; i < 20; ++i) deep = R"({"type":"object","properties":{"a":)" + deep + "}}";
  EXPECT_EQ(reason(ports::JsonSchemaConstraint{deep}), "INVALID_CONSTRAINT");
  request.constraint = ports::JsonSchemaConstraint{R"({"properties":{"a":{"not":{}}}})"};
  EXPECT_THAT(Refusal(request).message, HasSubstr(R"(at "/properties/a/not": the keyword "not")"));
  EXPECT_EQ(reason(ports::GrammarConstraint{"root ::= ("}), "INVALID_CONSTRAINT");
  EXPECT_THAT(Refusal(request).message, HasSubstr("line 1, column 11: expected ')'"));
  EXPECT_EQ(reason(ports::GrammarConstraint{"other ::= \"a\""}), "INVALID_CONSTRAINT");
  EXPECT_EQ(reason(ports::GrammarConstraint{"root ::= root \"a\""}), "INVALID_CONSTRAINT");
}

TEST_F(EngineTest, HostileConstraintsEndSoon) {
  Start();
  ports::GenerationRequest request = Greedy("a", 40);
  const auto try_it = [&](ports::OutputConstraint constraint) {
    request.constraint = std::move(constraint);
    const auto start = std::chrono::steady_clock::now();
    auto generation = engine_->Submit(request);
    // It may be refused, fail on its way, or come to its end.
    const auto answer = generation ? ReadAll(**generation) : Result<Answer>(Answer{});
    EXPECT_TRUE(answer || answer.error().reason == "CONSTRAINT_TOO_COSTLY");
    EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
    // The engine is as it was.
    ports::GenerationRequest plain = Greedy("b", 4);
    EXPECT_EQ(Ask(plain).finished.completion_tokens, 4);
  };
  try_it(ports::JsonSchemaConstraint{
      R"({"type":"array","items":{"type":"string"},"minItems":1000000,"maxItems":2000000})"});
  try_it(ports::JsonSchemaConstraint{R"({"type":"string","minLength":100000000})"});
  try_it(ports::JsonSchemaConstraint{R"({"$ref":"#"})"});
  try_it(ports::JsonSchemaConstraint{
      R"({"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}})"});
  try_it(ports::JsonSchemaConstraint{R"({"type":"string","pattern":"^((((a{1,100}){1,100}){1,100}){1,100})$"})"});
  // The ways from the value to the last definition double with each one.
  std::string doubling = R"({"const":{"x":null},"properties":{"x":{"$ref":"#/$defs/a0"}},"$defs":{)";
  for (int i = 0; i < 40; ++i) {
    doubling +=
        fmt::format(R"("a{}":{{"allOf":[{{"$ref":"#/$defs/a{}"}},{{"$ref":"#/$defs/a{}"}}]}},)", i, i + 1, i + 1);
  }
  doubling += R"("a40":{"type":"null"}}})";
  request.constraint = ports::JsonSchemaConstraint{doubling};
  EXPECT_EQ(Refusal(request).reason, "INVALID_CONSTRAINT");
  // The number of parses doubles with each letter.
  try_it(ports::GrammarConstraint{"root ::= l root r | l root s | l\nl ::= [a-z0-9 ]\nr ::= \"!\"\ns ::= \"?\""});
  try_it(ports::GrammarConstraint{"root ::= " + std::string(20000, '(')});
}

std::string Repeat(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

// `rule` is a format, of which {1} is the name of the next one.
std::string Chain(int rules, const std::string& rule, const std::string& last) {
  std::string out = "root ::= r0\n";
  for (int i = 0; i < rules; ++i) {
    out += fmt::format("r{} ::= ", i) + fmt::format(fmt::runtime(rule), 0, fmt::format("r{}", i + 1)) + "\n";
  }
  return out + fmt::format("r{} ::= ", rules) + last;
}

TEST_F(EngineTest, GrammarsThatDoubleWithEachRuleAreRefusedBeforeLlamaSeesThem) {
  Start();
  const text::Vocabulary vocabulary(*model_);
  struct Row {
    std::string grammar;
    const char* why;
  };
  for (const auto& [grammar, why] :
       {Row{Chain(45, "{1} {1} | {1}", R"("a" | "")"), "less ambiguous"},
        Row{Chain(45, "{1} | {1} | \"b\" {1}", R"("a")"), "less ambiguous"},
        Row{Chain(45, "({1}{{0,3}} {1}?)?", R"("a"?)"), "less ambiguous"},
        Row{Chain(45, "[] {1} | [] {1}", R"("a")"), "line 2, column 8: an empty class"},
        Row{Chain(45, "[^] {1} | [^] {1}", R"("a")"), "line 2, column 8: an empty class"},
        Row{Chain(19, "{1} \"x\" | {1} \"y\"", "\"" + std::string(60'000, 'a') + "\""), "less ambiguous"},
        Row{Chain(18, "{1} \"x\" | {1} \"y\"", "\"" + std::string(1'000, 'a') + "\"{400}"), "less ambiguous"}}) {
    ports::GenerationRequest request = Greedy("a", 4);
    request.constraint = ports::GrammarConstraint{grammar};
    const auto start = text::ProcessorTimeWithDeepStacks();
    const Error error = Refusal(request);
    EXPECT_EQ(error.reason, "INVALID_CONSTRAINT");
    // Instrumented code may come to the end of its time first.
    if (!test::kInstrumented) {
      EXPECT_THAT(error.message, HasSubstr(why));
    }
    // So is a text that no client wrote: the rules of tools' arguments come here in the notation of a template.
    for (const bool is_lazy : {false, true}) {
      const auto compiled = text::Constraint::Compile(vocabulary.llama(), {.gbnf = grammar, .is_lazy = is_lazy});
      ASSERT_FALSE(compiled);
      EXPECT_THAT(compiled.error().message, HasSubstr(why));
    }
    EXPECT_LT(text::ProcessorTimeWithDeepStacks() - start, test::kSlowness * 200ms);
  }
}

TEST_F(EngineTest, WhatIsJustNotRefusedIsCompiledInTime) {
  Start();
  const text::Vocabulary vocabulary(*model_);
  const std::string letters(1'000, 'a');
  const std::string table[] = {
      Chain(20, "{1} | {1}", R"("a")"),
      Chain(7, "{1} \"x\" | {1} \"y\"", "\"" + std::string(60'000, 'a') + "\""),
      Chain(4, "{1} \"x\" | {1} \"y\"", "\"" + letters + "\"{400}"),
      "root ::= \"" + letters + "\"{900}",
      Chain(24, "\"a\"{{0,2000}}", R"("a")"),
      // Few beginnings that come to many states: each is a stack of its own, or many of them are the same.
      Chain(17, "{1} {1} | \"\"", R"("a" | "")"),
      Chain(16, "{1} \"x\" | {1} \"y\"", R"("a")"),
      "root ::= (" + Repeat("e|", 600) + "e)\ne ::= \"y\" " + Repeat("|", 15'000) + " \"x\"",
      Chain(20, "e{{0,1900}} {1}", "\"x\"\ne ::= \"\" | \"y\""),
  };
  for (const std::string& grammar : table) {
    const auto start = text::ProcessorTimeWithDeepStacks();
    const auto compiled = text::Constraint::Compile(vocabulary.llama(), {.gbnf = grammar});
    EXPECT_LT(text::ProcessorTimeWithDeepStacks() - start, test::kSlowness * 400ms) << grammar.substr(0, 80);
    // By the budget, not by the bound.
    if (compiled) continue;
    EXPECT_THAT(compiled.error().message, HasSubstr("too much memory, time")) << grammar.substr(0, 80);
  }
}

TEST_F(EngineTest, AGrammarThatKeepsMuchOpenEndsInTime) {
  Start();
  // What may be nothing in several ways stands behind each letter, so that a long answer has as much of it to go
  // through.
  for (const char* grammar :
       {"root ::= w\nw ::= [^\\x00] w n n | \"\"\nn ::= m | m m | \"\"\nm ::= \"!\" | \"\" | \"\"",
        "root ::= w\nw ::= [^\\x00] w n n | \"\"\nn ::= m m m m m m m m\nm ::= [^\\x00] | \"\""}) {
    ports::GenerationRequest request = Greedy("a", 400);
    request.constraint = ports::GrammarConstraint{grammar};
    const auto start = std::chrono::steady_clock::now();
    auto generation = engine_->Submit(request);
    ASSERT_TRUE(generation) << generation.error().message;
    const auto answer = ReadAll(**generation);
    EXPECT_TRUE(answer || answer.error().reason == "CONSTRAINT_TOO_COSTLY") << answer.error().message;
    EXPECT_LT(std::chrono::steady_clock::now() - start, test::kSlowness * 10s);
    EXPECT_EQ(Ask(Greedy("b", 4)).finished.completion_tokens, 4);
  }
}

TEST_F(EngineTest, AConstraintBeyondItsBudgetEndsWithAnErrorThatSaysSo) {
  Start();
  // Each letter multiplies the ways in which what was said so far can be read; any letter may follow.
  ports::GenerationRequest request = Greedy("a", 200);
  std::string doubling = "root ::= w\nw ::= l | l w | l l w | l l l w";
  for (char c = 'a'; c <= 'z'; ++c) doubling += fmt::format(" | l w{0} \"{0}\"", c);
  for (char c = 'a'; c <= 'z'; ++c) doubling += fmt::format("\nw{} ::= w", c);
  request.constraint = ports::GrammarConstraint{doubling + "\nl ::= [^\\x00]"};
  auto generation = engine_->Submit(request);
  ASSERT_TRUE(generation) << generation.error().message;
  const auto answer = ReadAll(**generation);
  ASSERT_FALSE(answer) << answer->text;
  EXPECT_EQ(answer.error().code, Code::kInvalidArgument);
  EXPECT_EQ(answer.error().reason, "CONSTRAINT_TOO_COSTLY");
  EXPECT_THAT(answer.error().message, HasSubstr("less ambiguous"));
  EXPECT_EQ(Ask(Greedy("b", 4)).finished.completion_tokens, 4);
}

TEST_F(EngineTest, RequiredToolCallIsToADeclaredFunctionAndFitsItsSchema) {
  StartStarter();
  for (const std::uint32_t seed : {1U, 2U, 3U}) {
    ports::GenerationRequest request = AskChat("Register the birth of Amina.", 200);
    request.sampling.temperature = 1;
    request.sampling.seed = seed;
    auto& chat = std::get<ports::ChatPrompt>(request.prompt);
    chat.tools = {{"register", "Registers an event.", kSchema},
                  {"lookup", "Looks up.", R"({"type":"object","properties":{}})"}};
    chat.tool_choice = ports::ToolChoice::kRequired;
    const Answer answer = Ask(request);
    EXPECT_EQ(answer.finished.reason, ports::FinishReason::kToolCalls) << answer.text;
    EXPECT_EQ(answer.reasons.at(0), ports::FinishReason::kToolCalls);
    EXPECT_EQ(answer.delta_tokens, answer.finished.completion_tokens);
    ASSERT_EQ(answer.tool_calls.size(), 1U);
    const ports::ToolCall& call = answer.tool_calls[0];
    EXPECT_FALSE(call.id.empty());
    EXPECT_TRUE(call.name == "register" || call.name == "lookup") << call.name;
    const json arguments = json::parse(call.arguments, nullptr, false);
    ASSERT_TRUE(arguments.is_object()) << call.arguments;
    if (call.name != "register") continue;
    EXPECT_TRUE(arguments["kind"] == "birth" || arguments["kind"] == "death") << call.arguments;
  }
}

TEST_F(EngineTest, ToolResultsAreAPartOfTheConversation) {
  StartStarter();
  ports::GenerationRequest request = AskChat("How old is Amina?", 16);
  auto& chat = std::get<ports::ChatPrompt>(request.prompt);
  chat.tools = {{"lookup", "Looks up.", R"({"type":"object","properties":{"name":{"type":"string"}}})"}};
  const std::int32_t before = Ask(request).finished.prompt_tokens;
  chat.messages.push_back({"assistant", "", {{"call_1", "lookup", R"({"name":"Amina"})"}}});
  chat.messages.push_back({"tool", R"({"age":7})", {}, "call_1"});
  const Answer answer = Ask(request);
  EXPECT_GT(answer.finished.prompt_tokens, before);
  // Whatever it says: text, since it was never taught to call.
  EXPECT_EQ(answer.delta_tokens, answer.finished.completion_tokens);
}

TEST_F(EngineTest, ToolsThatAreNoneAreRefused) {
  Start();
  ports::GenerationRequest request = AskChat("a", 4);
  auto& chat = std::get<ports::ChatPrompt>(request.prompt);
  const auto message = [&](ports::Tool tool) {
    chat.tools = {std::move(tool)};
    EXPECT_EQ(Refusal(request).reason, "INVALID_TOOL");
    return Refusal(request).message;
  };
  EXPECT_THAT(message({"no good", "", ""}), HasSubstr("tools[0].name"));
  EXPECT_THAT(message({"f", "", "{"}), HasSubstr("JSON"));
  EXPECT_THAT(message({"f", "", R"({"title":"</s>"})"}), HasSubstr("control token"));
  EXPECT_THAT(message({"f", "", R"({"properties":{"a":{"not":{}}}})"}),
              HasSubstr(R"('f' cannot be used: at "/properties/a/not")"));
  EXPECT_THAT(message({"f", "", R"({"type":"string"})"}), HasSubstr("no value can satisfy it"));
  chat.tools = {};
  chat.tool_choice = ports::ToolChoice::kRequired;
  EXPECT_EQ(Refusal(request).reason, "INVALID_TOOL");
}

class HostileTemplate : public EngineTest, public ::testing::WithParamInterface<std::string> {};

TEST_P(HostileTemplate, CostsItsOwnRequestAndNothingElse) {
  const auto start = std::chrono::steady_clock::now();
  Start({}, {.chat_template = GetParam()});
  // Those that are only long may work.
  if (auto generation = engine_->Submit(AskChat("a", 4))) {
    EXPECT_TRUE(ReadAll(**generation));
  } else {
    const std::string& reason = generation.error().reason;
    EXPECT_TRUE(reason == "TEMPLATE_FAILED" || reason == "TEMPLATE_TOO_COSTLY" || reason == "CONTEXT_LENGTH_EXCEEDED" ||
                reason == "EMPTY_PROMPT")
        << reason;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, 30s);
  EXPECT_EQ(Ask(Greedy("b", 4)).finished.completion_tokens, 4);
}

INSTANTIATE_TEST_SUITE_P(
    Templates, HostileTemplate,
    ::testing::Values(
        "{% for a in range(1000000000) %}x{% endfor %}",
        "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}{{ a }}{% endfor %}"
        "{% endfor %}{% endfor %}",
        "{% set ns = namespace(s='aaaaaaaa') %}{% for a in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}"
        "{{ ns.s }}",
        "{{ 'a' * 2000000000 }}", Repeat("{% set s = (s ~ s) if s else 'aaaaaaaa' %}", 60) + "{{ s }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m(x) %}{{ m(x + 1) }}{{ m(x + 1) }}{% endmacro %}{{ m(1) }}",
        "{{ " + Repeat("(", 5000) + "1" + Repeat(")", 5000) + " }}",
        Repeat("{% if true %}", 8000) + "x" + Repeat("{% endif %}", 8000),
        "{% if false %}" + Repeat("{% elif false %}", 12000) + "{% endif %}", "{{ " + Repeat("1 + ", 20000) + "1 }}",
        "{{ " + Repeat("-", 8000) + "1 }}", "{{ " + Repeat("not ", 60000) + " }}", "{{ " + Repeat("[", 8000) + " }}",
        "{% set ns = namespace(l=[]) %}{% for a in range(300000) %}{% set ns.l = [ns.l] %}{% endfor %}x",
        std::string(300 << 10, 'x')));

}  // namespace
}  // namespace allod::inference::engine::llama_engine_output_test
