#include "inference/engine/chat/chat_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "inference/schema/schema.h"

namespace allod::inference::engine::chat {
namespace {

constexpr std::size_t kChatBytesMax = 8 << 20;
// The interpreter takes some 450 bytes for each: what a client can send never exhausts the memory of a rendering.
constexpr std::size_t kValuesMax = 32 << 10;
constexpr std::size_t kValuesPerMessage = 16;
constexpr std::size_t kValuesPerCall = 8;
constexpr std::size_t kToolsMax = 64;
constexpr std::size_t kNameBytesMax = 64;
constexpr std::size_t kTemplateBytesMax = 256 << 10;
// The parser takes 2.3 KiB of stack for each level of nesting, and finds their ends only then.
constexpr std::ptrdiff_t kBracketsMax = 16 << 10;

std::unexpected<Error> InvalidMessage(std::size_t i, std::string_view what) {
  return InvalidArgument("INVALID_MESSAGE", fmt::format("chat.messages[{}]{}", i, what));
}

Status CheckMessage(const ports::ChatMessage& message, std::size_t i) {
  const std::string& role = message.role;
  if (role != "system" && role != "user" && role != "assistant" && role != "tool") {
    return InvalidMessage(i, ".role must be system, user, assistant or tool");
  }
  if (!message.tool_calls.empty() && role != "assistant") {
    return InvalidMessage(i, ".tool_calls: only an assistant calls tools");
  }
  if (message.tool_calls.size() > kToolsMax) return InvalidMessage(i, " has more than 64 tool calls");
  return {};
}

// Each value of a JSON text but the first comes after one of these; in strings they count too.
std::size_t ValuesAtMost(std::string_view json) {
  return 1 + static_cast<std::size_t>(
                 std::ranges::count_if(json, [](char c) { return c == ',' || c == ':' || c == '[' || c == '{'; }));
}

bool IsName(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= kNameBytesMax && std::ranges::all_of(name, allowed);
}

Status CheckTool(const ports::Tool& tool, std::size_t i, const text::ControlText& control_text) {
  if (!IsName(tool.name)) {
    return InvalidArgument("INVALID_TOOL",
                           fmt::format("chat.tools[{}].name must be 1 to 64 letters, digits, '_' or '-'", i));
  }
  if (tool.parameters.empty()) return {};
  const std::string what = fmt::format("chat.tools[{}].parameters", i);
  if (const std::string why = schema::WhyNotRead(tool.parameters); !why.empty()) {
    return InvalidArgument("INVALID_TOOL", fmt::format("{} {}", what, why));
  }
  if (control_text.Guard(tool.parameters) != tool.parameters) {
    return InvalidArgument("INVALID_TOOL", fmt::format("{} has the text of one of the model's control tokens", what));
  }
  return {};
}

}  // namespace

Result<ChatSize> CheckChat(const ports::ChatPrompt& chat, const text::ControlText& control_text) {
  if (chat.messages.empty()) {
    return InvalidArgument("INVALID_MESSAGE", "chat.messages is empty; send at least one message");
  }
  ChatSize size;
  for (std::size_t i = 0; i < chat.messages.size(); ++i) {
    const ports::ChatMessage& message = chat.messages[i];
    ALLOD_CHECK_OK(CheckMessage(message, i));
    size.bytes += message.content.size() + message.tool_call_id.size();
    size.values += kValuesPerMessage;
    for (const ports::ToolCall& call : message.tool_calls) {
      size.bytes += call.name.size() + call.arguments.size() + call.id.size();
      size.values += kValuesPerCall + ValuesAtMost(call.arguments);
    }
  }
  if (chat.tools.size() > kToolsMax) {
    return InvalidArgument(
        "INVALID_TOOL", fmt::format("chat.tools has {} tools; at most {} are accepted", chat.tools.size(), kToolsMax));
  }
  for (std::size_t i = 0; i < chat.tools.size(); ++i) {
    ALLOD_CHECK_OK(CheckTool(chat.tools[i], i, control_text));
    const auto same = [&](const ports::Tool& other) { return other.name == chat.tools[i].name; };
    if (std::ranges::count_if(chat.tools, same) > 1) {
      return InvalidArgument("INVALID_TOOL", fmt::format("chat.tools names '{}' twice", chat.tools[i].name));
    }
    size.bytes += chat.tools[i].name.size() + chat.tools[i].description.size() + chat.tools[i].parameters.size();
    size.values += kValuesPerCall + ValuesAtMost(chat.tools[i].parameters);
  }
  if (chat.tool_choice == ports::ToolChoice::kRequired && chat.tools.empty()) {
    return InvalidArgument("INVALID_TOOL", "chat.tool_choice requires a call, but chat.tools is empty");
  }
  if (size.bytes > kChatBytesMax) return InvalidArgument("INVALID_MESSAGE", "chat has more than 8 MiB; shorten it");
  if (size.values > kValuesMax) {
    return InvalidArgument(
        "INVALID_MESSAGE",
        fmt::format("chat has more than {} messages, tool calls, tools and values in their arguments and "
                    "parameters (a message counts {} times, a call or tool {} times); shorten it",
                    kValuesMax, kValuesPerMessage, kValuesPerCall));
  }
  return size;
}

std::string WhyNotParsed(std::string_view chat_template) {
  if (chat_template.size() > kTemplateBytesMax) return "it is larger than 256 KiB";
  const auto opens = std::ranges::count_if(chat_template, [](char c) { return c == '(' || c == '[' || c == '{'; });
  if (opens > kBracketsMax) return "it has more than 16,384 brackets";
  return {};
}

}  // namespace allod::inference::engine::chat
