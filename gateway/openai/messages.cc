#include "gateway/openai/messages.h"

#include <fmt/format.h>

#include <set>

#include "gateway/openai/parameters.h"
#include "gateway/openai/tools.h"

namespace allod::gateway::openai {
namespace {

constexpr std::size_t kMessagesMax = 1024;
constexpr std::size_t kPartsMax = 256;
constexpr std::size_t kCallIdBytesMax = 128;

std::unexpected<http::ParamError> Missing(const std::string& path) {
  return http::BadParam(path, "MISSING_PARAMETER", path + " is required");
}

http::ParamResult<std::string> WorkerRole(const std::string& path, const std::string& role) {
  if (role == "developer") return std::string("system");
  if (role == "system" || role == "user" || role == "assistant" || role == "tool") return role;
  if (role == "function") return UnsupportedParam(path, fmt::format("{}: use tool messages instead", path));
  return http::BadParam(path, "INVALID_VALUE",
                        fmt::format("{} must be system, developer, user, assistant or tool", path));
}

// The text of {"type":"text","text":...}, or in an assistant message of {"type":"refusal","refusal":...}: what the
// model said then, as clients send it back.
http::ParamResult<std::string> ParsePart(const std::string& at, const http::Json& content, const std::string& role) {
  if (!content.is_object()) return http::BadParam(at, "INVALID_TYPE", at + " must be an object");
  http::JsonFields part(content, at + ".");
  ALLOD_TRY(const auto type, part.String("type"));
  const bool refusal = type == "refusal" && role == "assistant";
  if (type != "text" && !refusal) {
    return UnsupportedParam(
        at + ".type", at + ".type must be \"text\", or \"refusal\" in an assistant message: only text is supported");
  }
  const char* name = refusal ? "refusal" : "text";
  ALLOD_TRY(auto text, part.String(name));
  if (!text) return Missing(at + "." + name);
  ALLOD_CHECK_OK(part.CheckUnknown());
  return *std::move(text);
}

// A string, or an array of parts.
http::ParamResult<std::string> ParseContent(const std::string& path, const http::Json& content,
                                            const std::string& role) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) {
    return http::BadParam(path, "INVALID_TYPE", path + " must be a string or an array of text parts");
  }
  if (content.size() > kPartsMax) {
    return http::BadParam(path, "OUT_OF_RANGE", fmt::format("{} has more than {} parts", path, kPartsMax));
  }
  std::string out;
  for (std::size_t i = 0; i < content.size(); ++i) {
    ALLOD_TRY(const std::string text, ParsePart(fmt::format("{}[{}]", path, i), content[i], role));
    out += text;
  }
  return out;
}

http::ParamResult<std::string> ParseCallId(http::JsonFields& fields, const std::string& name) {
  ALLOD_TRY(const auto id, fields.String(name));
  if (!id) return Missing(fields.Path(name));
  if (id->empty() || id->size() > kCallIdBytesMax) {
    return http::BadParam(fields.Path(name), "OUT_OF_RANGE",
                          fmt::format("{} must have 1 to {} bytes", fields.Path(name), kCallIdBytesMax));
  }
  return *id;
}

// {"id":...,"type":"function","function":{"name":...,"arguments":"..."}}
http::ParamResult<void> ParseToolCall(const std::string& path, const http::Json& call, inference::v1::ToolCall& out) {
  if (!call.is_object()) return http::BadParam(path, "INVALID_TYPE", path + " must be an object");
  http::JsonFields fields(call, path + ".");
  ALLOD_TRY(*out.mutable_id(), ParseCallId(fields, "id"));
  ALLOD_TRY(const auto type, fields.String("type"));
  if (type.value_or("function") != "function") {
    return UnsupportedParam(path + ".type", path + ".type must be \"function\"");
  }
  const http::Json* function = fields.Find("function");
  if (!function) return Missing(path + ".function");
  if (!function->is_object())
    return http::BadParam(path + ".function", "INVALID_TYPE", path + ".function must be an object");
  http::JsonFields inner(*function, path + ".function.");
  ALLOD_TRY(*out.mutable_name(), ParseFunctionName(inner));
  ALLOD_TRY(const auto arguments, inner.String("arguments"));
  out.set_arguments(arguments.value_or("{}"));
  ALLOD_CHECK_OK(inner.CheckUnknown());
  return fields.CheckUnknown();
}

http::ParamResult<void> ParseToolCalls(http::JsonFields& fields, inference::v1::ChatMessage& out,
                                       std::set<std::string>& call_ids) {
  const http::Json* calls = fields.Find("tool_calls");
  if (!calls) return {};
  const std::string path = fields.Path("tool_calls");
  if (!calls->is_array()) return http::BadParam(path, "INVALID_TYPE", path + " must be an array");
  if (calls->empty()) return {};
  if (out.role() != "assistant") {
    return http::BadParam(path, "INVALID_PARAMETER", path + " is only allowed in an assistant message");
  }
  if (calls->size() > kToolsMax) {
    return http::BadParam(path, "OUT_OF_RANGE", fmt::format("{} has more than {} entries", path, kToolsMax));
  }
  for (std::size_t i = 0; i < calls->size(); ++i) {
    auto& call = *out.add_tool_calls();
    ALLOD_CHECK_OK(ParseToolCall(fmt::format("{}[{}]", path, i), (*calls)[i], call));
    call_ids.insert(call.id());
  }
  return {};
}

http::ParamResult<void> ParseToolAnswer(http::JsonFields& fields, inference::v1::ChatMessage& out,
                                        const std::set<std::string>& call_ids) {
  const std::string path = fields.Path("tool_call_id");
  if (out.role() != "tool") {
    if (!fields.Find("tool_call_id")) return {};
    return http::BadParam(path, "INVALID_PARAMETER", path + " is only allowed in a tool message");
  }
  ALLOD_TRY(*out.mutable_tool_call_id(), ParseCallId(fields, "tool_call_id"));
  if (!call_ids.contains(out.tool_call_id())) {
    return http::BadParam(path, "INVALID_VALUE", path + " names no call of an assistant message before it");
  }
  return {};
}

// What the model said instead of an answer.
http::ParamResult<std::optional<std::string>> ParseRefusal(http::JsonFields& fields, const std::string& role) {
  ALLOD_TRY(auto refusal, fields.String("refusal"));
  if (refusal && role != "assistant") {
    return http::BadParam(fields.Path("refusal"), "INVALID_PARAMETER",
                          fields.Path("refusal") + " is only allowed in an assistant message");
  }
  return refusal;
}

// Changes nothing here, and must still be what it is.
http::ParamResult<void> CheckMessageHints(http::JsonFields& fields) {
  ALLOD_CHECK_OK(fields.String("name"));
  const http::Json* annotations = fields.Find("annotations");
  if (!annotations || annotations->is_array()) return {};
  const std::string path = fields.Path("annotations");
  return http::BadParam(path, "INVALID_TYPE", path + " must be an array");
}

http::ParamResult<void> ParseMessage(const std::string& path, const http::Json& message,
                                     inference::v1::ChatMessage& out, std::set<std::string>& call_ids) {
  if (!message.is_object()) return http::BadParam(path, "INVALID_TYPE", path + " must be an object");
  http::JsonFields fields(message, path + ".");
  ALLOD_TRY(const auto role, fields.String("role"));
  if (!role) return Missing(path + ".role");
  ALLOD_TRY(*out.mutable_role(), WorkerRole(path + ".role", *role));
  ALLOD_CHECK_OK(ParseToolCalls(fields, out, call_ids));
  ALLOD_CHECK_OK(ParseToolAnswer(fields, out, call_ids));
  ALLOD_TRY(const auto refusal, ParseRefusal(fields, out.role()));
  if (const http::Json* content = fields.Find("content")) {
    ALLOD_TRY(*out.mutable_content(), ParseContent(path + ".content", *content, out.role()));
  } else if (!refusal && out.tool_calls_size() == 0) {
    return Missing(path + ".content");
  }
  if (refusal) out.mutable_content()->append(*refusal);
  for (const char* name : {"function_call", "audio"}) ALLOD_CHECK_OK(RefuseUnless(fields, name, nullptr));
  ALLOD_CHECK_OK(CheckMessageHints(fields));
  return fields.CheckUnknown();
}

}  // namespace

http::ParamResult<void> ParseMessages(http::JsonFields& fields, inference::v1::ChatPrompt& out) {
  const http::Json* messages = fields.Find("messages");
  if (!messages) return Missing("messages");
  if (!messages->is_array()) return http::BadParam("messages", "INVALID_TYPE", "messages must be an array");
  if (messages->empty() || messages->size() > kMessagesMax) {
    return http::BadParam("messages", "OUT_OF_RANGE", fmt::format("messages must have 1 to {} entries", kMessagesMax));
  }
  std::set<std::string> call_ids;
  for (std::size_t i = 0; i < messages->size(); ++i) {
    ALLOD_CHECK_OK(ParseMessage(fmt::format("messages[{}]", i), (*messages)[i], *out.add_messages(), call_ids));
  }
  return {};
}

}  // namespace allod::gateway::openai
