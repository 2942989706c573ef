#include "inference/engine/chat/llama_call_grammar.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "inference/schema/gbnf.h"

namespace allod::inference::engine::chat {
namespace {

using schema::Grammar;
using schema::RuleId;
using schema::Sequence;
using schema::Symbol;

std::string StandIn(std::size_t tool) { return fmt::format("allod-arguments-{}", tool); }

common_chat_templates_inputs InputsOf(const ports::ChatPrompt& chat, ports::ToolChoice choice) {
  common_chat_templates_inputs inputs;
  inputs.use_jinja = true;
  common_chat_msg question;
  question.role = "user";
  question.content = "?";
  inputs.messages = {question};
  for (std::size_t i = 0; i < chat.tools.size(); ++i) {
    // An object, for templates that look into it; as a value it can only be the text.
    inputs.tools.push_back(
        {chat.tools[i].name, "",
         fmt::format(R"({{"type":"object","properties":{{}},"required":[],"const":"{}"}})", StandIn(i))});
  }
  inputs.tool_choice =
      choice == ports::ToolChoice::kRequired ? COMMON_CHAT_TOOL_CHOICE_REQUIRED : COMMON_CHAT_TOOL_CHOICE_AUTO;
  inputs.parallel_tool_calls = chat.parallel_tool_calls;
  return inputs;
}

// The rules at which llama.cpp would begin a grammar that waits for a call.
std::set<RuleId> CallRules(const std::string& parser, const schema::ParsedGbnf& gbnf) {
  std::set<RuleId> out;
  const common_json json = common_json::parse(parser);
  for (const common_json& one : json.at("parsers")) {
    if (!one.contains("trigger") || !one.at("trigger").get<bool>()) continue;
    const auto rule = gbnf.rules.find(one.at("name").get<std::string>());
    if (rule != gbnf.rules.end()) out.insert(rule->second);
  }
  return out;
}

std::set<RuleId> ReachedFrom(const Grammar& grammar, RuleId start) {
  std::set<RuleId> out;
  std::vector<RuleId> open{start};
  while (!open.empty()) {
    const RuleId rule = open.back();
    open.pop_back();
    for (const Sequence& sequence : grammar.rule(rule).alternatives) {
      for (const Symbol& symbol : sequence) {
        const auto* next = std::get_if<RuleId>(&symbol.what);
        if (next != nullptr && out.insert(*next).second) open.push_back(*next);
      }
    }
  }
  return out;
}

// What an answer may begin with when it begins with a call: the outermost of the rules of calls. For one call only, the
// rule inside a repetition that it begins with.
std::vector<RuleId> Beginnings(const Grammar& grammar, const std::set<RuleId>& calls, bool only_one) {
  std::vector<RuleId> out;
  for (const RuleId call : calls) {
    const bool is_inner = std::ranges::any_of(
        calls, [&](RuleId other) { return other != call && ReachedFrom(grammar, other).contains(call); });
    if (!is_inner) out.push_back(call);
  }
  if (!only_one) return out;
  for (RuleId& rule : out) {
    for (RuleId at = rule; !grammar.rule(at).alternatives.empty();) {
      const Sequence& first = grammar.rule(at).alternatives.front();
      const auto* next = first.empty() ? nullptr : std::get_if<RuleId>(&first.front().what);
      if (next == nullptr || *next == at) break;
      at = *next;
      if (calls.contains(at)) rule = at;
    }
  }
  return out;
}

// Puts `arguments`, rules of the same grammar, where the stand-ins are in the rules from `first` on. False when one of
// them is nowhere.
bool PutIn(Grammar& grammar, RuleId first, const std::vector<RuleId>& arguments) {
  std::vector<bool> found(arguments.size());
  for (RuleId rule = first; rule < grammar.size(); ++rule) {
    std::vector<Sequence> alternatives = grammar.rule(rule).alternatives;
    for (Sequence& sequence : alternatives) {
      for (Symbol& symbol : sequence) {
        const auto* literal = std::get_if<std::string>(&symbol.what);
        if (literal == nullptr) continue;
        for (std::size_t i = 0; i < arguments.size(); ++i) {
          if (*literal != fmt::format("\"{}\"", StandIn(i))) continue;
          symbol = schema::Ref(arguments[i]);
          found[i] = true;
          break;
        }
      }
    }
    grammar.Replace(rule, std::move(alternatives));
  }
  return std::ranges::all_of(found, std::identity{});
}

}  // namespace

std::optional<CallNotation> NotationOf(const common_chat_templates& templates, const ports::ChatPrompt& chat,
                                       const std::vector<RuleId>& arguments, Grammar grammar) {
  CallNotation out;
  out.params = common_chat_templates_apply(&templates, InputsOf(chat, chat.tool_choice));
  common_chat_params required;
  if (chat.tool_choice == ports::ToolChoice::kRequired) {
    required = out.params;
  } else {
    // Where calls may be, their rules may be empty; the grammar begins to count only where one begins.
    if (out.params.grammar_triggers.empty()) return std::nullopt;
    required = common_chat_templates_apply(&templates, InputsOf(chat, ports::ToolChoice::kRequired));
  }
  if (required.grammar.empty() || required.parser.empty() || out.params.parser.empty()) return std::nullopt;
  auto gbnf = schema::ParseGbnf(required.grammar);
  if (!gbnf) return std::nullopt;
  const std::vector<RuleId> beginnings =
      Beginnings(gbnf->grammar, CallRules(required.parser, *gbnf), !chat.parallel_tool_calls);
  if (beginnings.empty()) return std::nullopt;
  const RuleId root = gbnf->grammar.Add("calls");
  for (const RuleId beginning : beginnings) gbnf->grammar.AddAlternative(root, {schema::Ref(beginning)});
  const auto first = static_cast<RuleId>(grammar.size());
  const RuleId imported = grammar.Import(gbnf->grammar, root);
  if (!PutIn(grammar, first, arguments)) return std::nullopt;
  out.gbnf = grammar.Text(imported);
  return out;
}

}  // namespace allod::inference::engine::chat
