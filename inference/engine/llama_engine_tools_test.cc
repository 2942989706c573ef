// Tool calls in the notation of a template that renders tools itself: where a call is required it comes at once, and
// its arguments follow the schema.

#include <nlohmann/json.hpp>

#include "inference/engine/chat/llama_chat.h"
#include "inference/engine/llama_engine_fixture.h"
#include "inference/engine/text/llama_vocabulary.h"
#include "inference/schema/gbnf.h"
#include "tests/schema/grammar_walk.h"
#include "tests/support/instrumented.h"

namespace allod::inference::engine::llama_engine_tools_test {
namespace {

using nlohmann::json;

// Calls as JSON between tags.
constexpr const char* kTagsAroundJson =
    R"({% if tools %}<|system|>You may call these functions:
<tools>
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}</tools>
A call is written as
<tool_call>
{"name": <name>, "arguments": <arguments>}
</tool_call></s>{% endif %})"
    R"({% for m in messages %}<|{{ m.role }}|>{% if m.role == 'tool' %}<tool_response>
{{ m.content }}
</tool_response>{% else %}{{ m.content }}{% if m.tool_calls %}{% for call in m.tool_calls %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}{% endif %}{% endif %}</s>{% endfor %})"
    R"({% if add_generation_prompt %}<|assistant|>{% endif %})";

// Each argument between tags of its own, strings as they are.
constexpr const char* kTagsAroundArguments =
    R"({% if tools %}<|system|>{% for tool in tools %}{{ tool | tojson }}{% endfor %}</s>{% endif %})"
    R"({% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% if m.tool_calls %}{% for call in m.tool_calls %})"
    R"(<tool_call>
<function={{ call.function.name }}>
{% for name, value in call.function.arguments | items %}<parameter={{ name }}>
{{ value }}
</parameter>
{% endfor %}</function>
</tool_call>{% endfor %}{% endif %}</s>{% endfor %})"
    R"({% if add_generation_prompt %}<|assistant|>{% endif %})";

constexpr const char* kSchema = R"({"type":"object","properties":{"kind":{"enum":["birth","death"]},
  "code":{"type":"string","pattern":"^[A-Z]{2}$"}},"required":["kind"],"additionalProperties":false})";

class ToolsTest : public EngineTest {
 protected:
  static ports::ChatPrompt Asked(ports::ToolChoice choice, bool parallel) {
    ports::ChatPrompt chat;
    chat.messages = {{"user", "Register the birth of Amina.", {}, ""}};
    chat.tools = {{"register_event", "Registers an event.", kSchema}, {"look-up", "Looks up.", ""}};
    chat.tool_choice = choice;
    chat.parallel_tool_calls = parallel;
    return chat;
  }

  // Which of `texts` the grammar of a template's calls accepts.
  std::vector<std::string> Taken(const char* chat_template, const ports::ChatPrompt& chat,
                                 const std::vector<std::string>& texts) {
    Start({}, {.context_length = 4096, .chat_template = chat_template});
    const auto rendered = chat::ChatTemplate(*model_).Render(chat, text::Vocabulary(*model_));
    if (!rendered) {
      ADD_FAILURE() << rendered.error().message;
      return {};
    }
    EXPECT_EQ(rendered->grammar.is_lazy, chat.tool_choice == ports::ToolChoice::kAuto);
    const auto gbnf = schema::ParseGbnf(rendered->grammar.gbnf);
    if (!gbnf) {
      ADD_FAILURE() << gbnf.error() << "\n" << rendered->grammar.gbnf;
      return {};
    }
    std::vector<std::string> out;
    for (const std::string& text : texts) {
      if (test::Accepts(gbnf->grammar, gbnf->rules.at("root"), text)) out.push_back(text);
    }
    return out;
  }
};

std::string Tagged(const std::string& call) { return "<tool_call>\n" + call + "\n</tool_call>"; }

TEST_F(ToolsTest, GrammarOfATemplatesCallsHasNothingBeforeThemAndFollowsTheSchema) {
  const std::string good = Tagged(R"({"name": "register_event", "arguments": {"kind": "birth", "code": "KE"}})");
  const std::string other = Tagged(R"({"name": "look-up", "arguments": {}})");
  for (const ports::ToolChoice choice : {ports::ToolChoice::kAuto, ports::ToolChoice::kRequired}) {
    const auto taken =
        Taken(kTagsAroundJson, Asked(choice, false),
              {good, other, "", "I will. " + good, "Prose.", Tagged(R"({"name": "other", "arguments": {}})"),
               Tagged(R"({"name": "register_event", "arguments": {"kind": "wedding"}})"),
               Tagged(R"({"name": "register_event", "arguments": {"kind": "birth", "code": "ke"}})"),
               Tagged(R"({"name": "register_event", "arguments": {}})"),
               Tagged(R"({"name": "look-up", "arguments": {"a": 1}})"), good + "\n" + other});
    EXPECT_EQ(taken, (std::vector<std::string>{good, other})) << static_cast<int>(choice);
    EXPECT_EQ(Taken(kTagsAroundJson, Asked(choice, true), {good, good + "\n" + other}),
              (std::vector<std::string>{good, good + "\n" + other}));
  }
}

TEST_F(ToolsTest, TemplatesThatTakeArgumentsApartUseOurNotation) {
  const std::string good = R"({"name": "register_event", "arguments": {"kind": "birth"}})";
  EXPECT_EQ(Taken(kTagsAroundArguments, Asked(ports::ToolChoice::kRequired, false),
                  {good, "Prose. " + good, R"({"name": "register_event", "arguments": {"kind": "wedding"}})",
                   "<tool_call>\n<function=look-up>\n</function>\n</tool_call>"}),
            (std::vector<std::string>{good}));
}

TEST_F(ToolsTest, RequiredCallsBeginAtOnceWhateverTheTemplate) {
  for (const std::string& text :
       std::vector<std::string>{kTagsAroundJson, kTagsAroundArguments, test::TinyModelOptions{}.chat_template}) {
    Start({}, {.context_length = 4096, .chat_template = text});
    for (const std::uint32_t seed : {1U, 2U, 3U, 4U}) {
      ports::GenerationRequest request = Greedy("", 150);
      request.prompt = Asked(ports::ToolChoice::kRequired, false);
      request.sampling.temperature = 1;
      request.sampling.seed = seed;
      const Answer answer = Ask(request);
      EXPECT_EQ(answer.text, "");
      ASSERT_EQ(answer.tool_calls.size(), 1U) << text;
      const ports::ToolCall& call = answer.tool_calls[0];
      EXPECT_TRUE(call.name == "register_event" || call.name == "look-up") << call.name;
      EXPECT_EQ(answer.delta_tokens, answer.finished.completion_tokens);
      if (answer.finished.reason == ports::FinishReason::kLength) continue;
      EXPECT_EQ(answer.finished.reason, ports::FinishReason::kToolCalls);
      const json arguments = json::parse(call.arguments, nullptr, false);
      ASSERT_TRUE(arguments.is_object()) << call.arguments;
      if (call.name == "look-up") {
        EXPECT_TRUE(arguments.empty()) << call.arguments;
      } else {
        EXPECT_TRUE(arguments["kind"] == "birth" || arguments["kind"] == "death") << call.arguments;
      }
    }
  }
}

TEST_F(ToolsTest, AnAnswerThatMayBeACallMayBeText) {
  Start({}, {.context_length = 4096, .chat_template = kTagsAroundJson});
  ports::GenerationRequest request = Greedy("", 20);
  request.prompt = Asked(ports::ToolChoice::kAuto, true);
  const Answer answer = Ask(request);
  EXPECT_FALSE(answer.text.empty());
  EXPECT_TRUE(answer.tool_calls.empty());
}

// What a client may send is within what a rendering may take; more is refused before, with the number.
TEST_F(ToolsTest, LongHistoriesOfCallsRenderOrAreRefusedAndNeverRunOut) {
  Start({}, {.context_length = 4096, .chat_template = kTagsAroundJson});
  const chat::ChatTemplate chat_template(*model_);
  const text::Vocabulary vocabulary(*model_);
  const auto render = [&](int messages, int calls, const std::string& arguments) {
    ports::ChatPrompt chat;
    for (int i = 0; i < messages; ++i) {
      ports::ChatMessage& message = chat.messages.emplace_back("assistant", "", std::vector<ports::ToolCall>{}, "");
      for (int k = 0; k < calls; ++k) message.tool_calls.push_back({"id" + std::to_string(k), "f", arguments});
    }
    const auto rendered = chat_template.Render(chat, vocabulary);
    // Instrumented code takes longer than a rendering may.
    const bool is_slow = test::kInstrumented && !rendered && rendered.error().reason == "TEMPLATE_TOO_COSTLY";
    return rendered || is_slow ? "" : rendered.error().reason;
  };
  const auto ones = [](int count) {
    std::string out = "[1";
    for (int i = 1; i < count; ++i) out += ",1";
    return out + "]";
  };
  std::string deep = "1";
  for (int i = 0; i < 25; ++i) deep = "[" + ones(1000) + "," + deep + "]";
  EXPECT_EQ(render(48, 64, "{}"), "");
  EXPECT_EQ(render(240, 64, ""), "INVALID_MESSAGE");
  EXPECT_EQ(render(1, 1, "{\"a\":" + ones(32'000) + "}"), "");
  EXPECT_EQ(render(1, 1, "{\"a\":" + ones(120'000) + "}"), "INVALID_MESSAGE");
  EXPECT_EQ(render(1, 1, "{\"a\":" + deep + ",\"b\":1}"), "");
  ports::ChatPrompt many_values;
  many_values.messages.push_back({"user", "Hello", {}, ""});
  for (int i = 0; i < 16; ++i) {
    const std::string parameters = R"({"type":"object","examples":)" + ones(16'000) + "}";
    many_values.tools.push_back({"f" + std::to_string(i), "", parameters});
  }
  const auto refused = chat_template.Render(many_values, vocabulary);
  EXPECT_EQ(refused ? "" : refused.error().reason, "INVALID_MESSAGE");
  EXPECT_EQ(render(2000, 0, ""), "");
  EXPECT_EQ(render(3000, 0, ""), "INVALID_MESSAGE");
}

}  // namespace
}  // namespace allod::inference::engine::llama_engine_tools_test
