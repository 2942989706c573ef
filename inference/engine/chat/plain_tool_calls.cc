#include "inference/engine/chat/plain_tool_calls.h"

#include <fmt/format.h>

#include <algorithm>

#include "inference/schema/schema.h"

namespace allod::inference::engine::chat {
namespace {

constexpr std::string_view kAnySchema = R"({"type":"object","properties":{}})";

// A JSON string literal.
std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string_view ParametersOf(const ports::Tool& tool) {
  return tool.parameters.empty() ? kAnySchema : tool.parameters;
}

// Follows a text along what is expected; at its end everything is still possible.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  // False when something else stands there.
  bool Skip(std::string_view expected) {
    SkipSpace();
    const std::size_t bytes = std::min(expected.size(), rest_.size());
    if (rest_.substr(0, bytes) != expected.substr(0, bytes)) return false;
    rest_.remove_prefix(bytes);
    at_end_ = at_end_ || bytes < expected.size();
    return true;
  }
  bool at_end() const { return at_end_; }
  std::string_view rest() {
    SkipSpace();
    return rest_;
  }
  void Advance(std::size_t bytes) { rest_.remove_prefix(bytes); }

 private:
  void SkipSpace() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size())); }

  std::string_view rest_;
  bool at_end_ = false;
};

// The object at the front, or what is there of it.
std::string_view FrontObject(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      return text.substr(0, i + 1);
    }
  }
  return text;
}

}  // namespace

std::vector<ports::ChatMessage> DescribeTools(const ports::ChatPrompt& chat) {
  std::string description = "You can call these functions:\n";
  for (const ports::Tool& tool : chat.tools) {
    description += fmt::format("{{\"name\": {}, \"description\": {}, \"parameters\": {}}}\n", Quoted(tool.name),
                               Quoted(tool.description), ParametersOf(tool));
  }
  description += "To call one, answer only with {\"name\": <its name>, \"arguments\": {<its arguments>}}.";
  std::vector<ports::ChatMessage> messages;
  if (chat.messages.front().role != "system") messages.push_back({"system", description, {}, ""});
  for (const ports::ChatMessage& message : chat.messages) {
    ports::ChatMessage& out = messages.emplace_back();
    out.role = message.role == "tool" ? "user" : message.role;
    out.content = message.content;
    if (messages.size() == 1) out.content += "\n\n" + description;
    if (message.role == "tool") out.content = fmt::format("Result of the call: {}", message.content);
    for (const ports::ToolCall& call : message.tool_calls) {
      if (!out.content.empty()) out.content += '\n';
      out.content += fmt::format("{{\"name\": {}, \"arguments\": {}}}", Quoted(call.name), call.arguments);
    }
  }
  return messages;
}

schema::RuleId AddPlainCall(const std::vector<ports::Tool>& tools, const std::vector<schema::RuleId>& arguments,
                            bool after_text, schema::Grammar& grammar) {
  using schema::Literal;
  using schema::Ref;
  const schema::Symbol space = Ref(schema::AddSpace(grammar));
  schema::Symbol free = space;
  if (after_text) {
    const schema::Symbol blank = schema::OneOf({{'\t', '\n'}, {'\r', '\r'}, {' ', ' '}});
    free = Ref(grammar.Repeat("blank", blank, 0, schema::Grammar::kUnlimited));
  }
  const schema::RuleId call = grammar.Add("call");
  for (std::size_t i = 0; i < tools.size(); ++i) {
    grammar.AddAlternative(
        call, {Literal("{"), free, Literal("\"name\""), free, Literal(":"), space, Literal(Quoted(tools[i].name)),
               Literal(","), space, Literal("\"arguments\":"), space, Ref(arguments.at(i)), space, Literal("}")});
  }
  return call;
}

PlainCall ReadPlainCall(std::string_view answer) {
  PlainCall call;
  Scanner scanner(answer);
  const auto text = [] {
    PlainCall none;
    none.may_be_one = false;
    return none;
  };
  for (const std::string_view expected : {"{", "\"name\"", ":", "\""}) {
    if (!scanner.Skip(expected)) return text();
    if (scanner.at_end()) return call;
  }
  const std::string_view rest = scanner.rest();
  const std::size_t end = rest.find('"');
  if (end == std::string_view::npos) return call;
  std::string name(rest.substr(0, end));
  scanner.Advance(end + 1);
  for (const std::string_view expected : {",", "\"arguments\"", ":"}) {
    if (!scanner.Skip(expected)) return text();
    if (scanner.at_end()) return call;
  }
  call.name = std::move(name);
  call.arguments = FrontObject(scanner.rest());
  return call;
}

}  // namespace allod::inference::engine::chat
