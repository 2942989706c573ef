#include "inference/engine/chat/llama_chat.h"

#include <chat.h>
#include <fmt/format.h>
#include <llama.h>
#include <log.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "inference/engine/chat/chat_check.h"
#include "inference/engine/chat/llama_call_grammar.h"
#include "inference/engine/chat/llama_template_error.h"
#include "inference/engine/chat/llama_tool_calls_format.h"
#include "inference/engine/chat/plain_tool_calls.h"
#include "inference/engine/text/allocation_budget.h"
#include "inference/engine/text/deep_stack.h"
#include "inference/schema/schema.h"

namespace allod::inference::engine::chat {
namespace {

const std::string kNoParameters = R"({"type":"object","properties":{}})";
constexpr std::size_t kRenderedBytesMax = 8 << 20;
// Memory beyond what is given to it is measured by what it is given.
constexpr std::size_t kMemoryPerByte = 24;
constexpr std::size_t kMemoryPerValue = 1024;

constexpr text::AllocationBudget::Limits kTrialLimits{.bytes_max = 64 << 20,
                                                      .allocation_bytes_max = 8 << 20,
                                                      .processor_time_max = std::chrono::milliseconds(2000),
                                                      .stack_bytes_max = 48 << 20};

text::AllocationBudget::Limits RenderLimits(const ChatSize& size) {
  return {.bytes_max = (32 << 20) + size.bytes * kMemoryPerByte + size.values * kMemoryPerValue,
          .allocation_bytes_max = (2 << 20) + size.bytes * 4,
          .processor_time_max = std::chrono::milliseconds(2000),
          .stack_bytes_max = 16 << 20};
}

std::unexpected<Error> TemplateFailed(std::string_view what) {
  return InvalidArgument("TEMPLATE_FAILED",
                         fmt::format("the model's chat template cannot render these messages: {}", what));
}

std::unexpected<Error> TooCostly() {
  return Fail(Code::kResourceExhausted, "TEMPLATE_TOO_COSTLY",
              "the model's chat template takes too much memory, processor time or depth for these messages; send fewer "
              "or shorter ones, or use another model");
}

bool WantsTools(const ports::ChatPrompt& chat) {
  return !chat.tools.empty() && chat.tool_choice != ports::ToolChoice::kNone;
}

// For the prompt alone; how calls are written is NotationOf's.
common_chat_templates_inputs InputsOf(const ports::ChatPrompt& chat, bool with_tools,
                                      const text::ControlText& control_text) {
  common_chat_templates_inputs inputs;
  inputs.use_jinja = true;
  const bool describes_tools = WantsTools(chat) && !with_tools;
  for (const ports::ChatMessage& message : describes_tools ? DescribeTools(chat) : chat.messages) {
    common_chat_msg converted;
    converted.role = message.role;
    converted.content = control_text.Guard(message.content);
    converted.tool_call_id = message.tool_call_id;
    for (const ports::ToolCall& call : message.tool_calls) {
      converted.tool_calls.push_back({call.name, control_text.Guard(call.arguments), call.id});
    }
    inputs.messages.push_back(std::move(converted));
  }
  // No call is asked for here: llama.cpp would convert the tools' schemas.
  inputs.tool_choice = COMMON_CHAT_TOOL_CHOICE_NONE;
  if (with_tools) {
    for (const ports::Tool& tool : chat.tools) {
      inputs.tools.push_back(
          {tool.name, control_text.Guard(tool.description), tool.parameters.empty() ? kNoParameters : tool.parameters});
    }
  }
  // Without tools only the prompt is wanted: llama.cpp would else derive a parser for the answer by rendering the
  // template many times.
  inputs.force_pure_content = !with_tools;
  return inputs;
}

// The grammar of the arguments of each tool.
struct ToolRules {
  schema::Grammar grammar;
  std::vector<schema::RuleId> arguments;
};

Result<ToolRules> RulesOf(const std::vector<ports::Tool>& tools) {
  ToolRules out;
  for (const ports::Tool& tool : tools) {
    const auto rule = schema::AddSchema(tool.parameters.empty() ? kNoParameters : tool.parameters,
                                        schema::Values::kObjects, out.grammar);
    if (!rule) {
      return InvalidArgument(
          "INVALID_TOOL", fmt::format("the parameters of the tool '{}' cannot be used: {}", tool.name, rule.error()));
    }
    out.arguments.push_back(*rule);
  }
  return out;
}

std::string Escaped(std::string_view word) {
  std::string out;
  for (const char c : word) {
    if (std::string_view(".^$|()*+?[]{}\\").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

std::string Anchored(const std::string& pattern) {
  return fmt::format("{}{}{}", pattern.starts_with('^') ? "" : "^", pattern, pattern.ends_with('$') ? "" : "$");
}

// What llama.cpp's own server does with what the template support tells it; a call that is required is the whole
// answer.
Status AddToolCalls(const CallNotation& notation, bool is_required, const text::Vocabulary& vocabulary,
                    RenderedChat& out) {
  const common_chat_params& params = notation.params;
  auto format = std::make_unique<ToolCallFormat::Impl>();
  format->parser = common_chat_parser_params(params);
  format->parser.parser.load(params.parser);
  out.tool_calls = std::make_shared<ToolCallFormat>(std::move(format));
  out.stops = params.additional_stops;
  for (const std::string& text : params.preserved_tokens) {
    if (const auto token = vocabulary.SingleToken(text)) out.spoken_tokens.push_back(*token);
  }
  out.grammar.gbnf = notation.gbnf;
  out.grammar.is_lazy = !is_required;
  if (is_required) return {};
  for (const common_grammar_trigger& trigger : params.grammar_triggers) {
    switch (trigger.type) {
      case COMMON_GRAMMAR_TRIGGER_TYPE_TOKEN:
        out.grammar.trigger_tokens.push_back(trigger.token);
        break;
      case COMMON_GRAMMAR_TRIGGER_TYPE_WORD:
        if (const auto token = vocabulary.SingleToken(trigger.value);
            token && std::ranges::find(out.spoken_tokens, *token) != out.spoken_tokens.end()) {
          out.grammar.trigger_tokens.push_back(*token);
        } else {
          out.grammar.trigger_patterns.push_back(Escaped(trigger.value));
        }
        break;
      case COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN:
        out.grammar.trigger_patterns.push_back(trigger.value);
        break;
      case COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN_FULL:
        out.grammar.trigger_patterns.push_back(Anchored(trigger.value));
        break;
    }
  }
  return {};
}

// For a template that knows no tools.
void AddPlainToolCalls(const ports::ChatPrompt& chat, const ToolRules& rules, RenderedChat& out) {
  auto format = std::make_unique<ToolCallFormat::Impl>();
  format->is_plain = true;
  out.tool_calls = std::make_shared<ToolCallFormat>(std::move(format));
  out.grammar.is_lazy = chat.tool_choice != ports::ToolChoice::kRequired;
  if (out.grammar.is_lazy) out.grammar.trigger_patterns = {kPlainCallPattern};
  schema::Grammar grammar = rules.grammar;
  const schema::RuleId call = AddPlainCall(chat.tools, rules.arguments, out.grammar.is_lazy, grammar);
  out.grammar.gbnf = grammar.Text(call);
}

// Whether the template renders tools, and writes calls so that answers can be held to the tools' schemas.
bool KnowsTools(const common_chat_templates& templates) {
  const auto capabilities = common_chat_templates_get_caps(&templates);
  const auto has = [&](const char* name) {
    const auto found = capabilities.find(name);
    return found != capabilities.end() && found->second;
  };
  if (!has("supports_tools") || !has("supports_tool_calls")) return false;
  ports::ChatPrompt sample;
  sample.tools = {{"sample", "", ""}};
  const auto is_noted = [&](ports::ToolChoice choice) {
    sample.tool_choice = choice;
    schema::Grammar grammar;
    const schema::RuleId arguments = grammar.Add("arguments", {{schema::Literal("{}")}});
    return NotationOf(templates, sample, {arguments}, std::move(grammar)).has_value();
  };
  return is_noted(ports::ToolChoice::kAuto) && is_noted(ports::ToolChoice::kRequired);
}

}  // namespace

struct ChatTemplate::Impl {
  common_chat_templates_ptr templates;
  bool knows_tools = false;
  std::string failure;  // why there are none
};

ChatTemplate::ChatTemplate(const llama_model& model) {
  // llama.cpp's tools log to standard error from a thread of their own, which starts with the first line; none is let
  // through.
  common_log_set_verbosity_thold(-1);
  auto impl = std::make_unique<Impl>();
  const char* source = llama_model_chat_template(&model, nullptr);
  if (source != nullptr) impl->failure = WhyNotParsed(source);
  if (impl->failure.empty()) {
    // Parsing runs the template too, to find out what it can do.
    const Status parsed = text::RunOnDeepStack([&] {
      const text::AllocationBudget budget(kTrialLimits);
      try {
        // llama.cpp's own message of what does not parse is lost on its way out.
        if (source != nullptr) impl->failure = WhyTemplateDoesNotParse(source);
        if (!impl->failure.empty()) return;
        impl->templates = common_chat_templates_init(&model, "");
      } catch (const std::exception& e) {
        impl->failure = WhatTemplateSaid(e.what());
      }
      // One that ran out of its budget while it was tried out would do so at each request.
      if (budget.is_exceeded()) {
        impl->failure = text::BudgetExceeded().what();
        impl->templates.reset();
      }
    });
    if (!parsed) impl->failure = parsed.error().message;
  }
  if (impl->templates) {
    // A template that fails here still renders messages; its calls are then described by us.
    (void)text::RunOnDeepStack([&] {
      const text::AllocationBudget budget(kTrialLimits);
      try {
        impl->knows_tools = KnowsTools(*impl->templates);
      } catch (const std::exception&) {
        impl->knows_tools = false;
      }
      if (budget.is_exceeded()) impl->knows_tools = false;
    });
  }
  impl_ = std::move(impl);
}

ChatTemplate::~ChatTemplate() {
  // A tree as deep as the template is long is freed by recursion.
  (void)text::RunOnDeepStack([this] { impl_.reset(); });
}

Result<RenderedChat> ChatTemplate::Render(const ports::ChatPrompt& chat, const text::Vocabulary& vocabulary) const {
  ALLOD_TRY(const ChatSize size, CheckChat(chat, vocabulary.control_text()));
  if (!impl_->templates) return TemplateFailed(impl_->failure);
  const bool with_tools = WantsTools(chat) && impl_->knows_tools;
  const common_chat_templates_inputs inputs = InputsOf(chat, with_tools, vocabulary.control_text());
  common_chat_params params;
  Result<ToolRules> rules = ToolRules{};
  std::optional<CallNotation> notation;
  Status rendered;
  ALLOD_CHECK_OK(text::RunOnDeepStack([&] {
    const text::AllocationBudget budget(RenderLimits(size));
    try {
      if (WantsTools(chat)) rules = RulesOf(chat.tools);
      if (!rules) return;
      if (with_tools) notation = NotationOf(*impl_->templates, chat, rules->arguments, rules->grammar);
      params = common_chat_templates_apply(impl_->templates.get(), inputs);
    } catch (const std::exception& e) {
      rendered = budget.is_exceeded() ? Status(TooCostly()) : Status(TemplateFailed(WhatTemplateSaid(e.what())));
    }
  }));
  ALLOD_CHECK_OK(rendered);
  ALLOD_CHECK_OK(rules);
  if (params.prompt.size() > kRenderedBytesMax) return TooCostly();
  RenderedChat out;
  out.parts = text::ControlText::Split(params.prompt);
  if (!WantsTools(chat)) return out;
  try {
    if (!with_tools) {
      AddPlainToolCalls(chat, *rules, out);
    } else if (!notation) {
      return TemplateFailed("it does not write calls of these tools as JSON");
    } else {
      ALLOD_CHECK_OK(AddToolCalls(*notation, chat.tool_choice == ports::ToolChoice::kRequired, vocabulary, out));
    }
  } catch (const std::exception& e) {
    return TemplateFailed(WhatTemplateSaid(e.what()));
  }
  return out;
}

}  // namespace allod::inference::engine::chat
