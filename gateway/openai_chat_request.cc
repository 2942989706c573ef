#include <fmt/format.h>

#include "gateway/openai_parameters.h"

namespace allod::gateway {
namespace {

constexpr std::size_t kMessagesMax = 1024;
constexpr std::size_t kPartsMax = 256;

ParamResult<std::string> WorkerRole(const std::string& path, const std::string& role) {
  if (role == "developer") return std::string("system");
  if (role == "system" || role == "user" || role == "assistant") return role;
  if (role == "tool" || role == "function")
    return UnsupportedParam(path, fmt::format("{}: tool messages are not supported", path));
  return BadParam(path, "INVALID_VALUE", fmt::format("{} must be system, developer, user or assistant", path));
}

// A string, or an array of {"type":"text","text":...}.
ParamResult<std::string> ParseContent(const std::string& path, const nlohmann::json* content) {
  if (!content) return BadParam(path, "MISSING_PARAMETER", path + " is required");
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) {
    return BadParam(path, "INVALID_TYPE", path + " must be a string or an array of text parts");
  }
  if (content->size() > kPartsMax) {
    return BadParam(path, "OUT_OF_RANGE", fmt::format("{} has more than {} parts", path, kPartsMax));
  }
  std::string out;
  for (std::size_t i = 0; i < content->size(); ++i) {
    const std::string at = fmt::format("{}[{}]", path, i);
    if (!(*content)[i].is_object()) return BadParam(at, "INVALID_TYPE", at + " must be an object");
    JsonFields part((*content)[i], at + ".");
    ALLOD_TRY(const auto type, part.String("type"));
    if (type != "text") return UnsupportedParam(at + ".type", at + ".type must be \"text\": only text is supported");
    ALLOD_TRY(const auto text, part.String("text"));
    if (!text) return BadParam(at + ".text", "MISSING_PARAMETER", at + ".text is required");
    ALLOD_CHECK_OK(part.CheckUnknown());
    out += *text;
  }
  return out;
}

ParamResult<void> ParseMessage(const std::string& path, const nlohmann::json& message,
                               inference::v1::ChatMessage& out) {
  if (!message.is_object()) return BadParam(path, "INVALID_TYPE", path + " must be an object");
  JsonFields fields(message, path + ".");
  ALLOD_TRY(const auto role, fields.String("role"));
  if (!role) return BadParam(path + ".role", "MISSING_PARAMETER", path + ".role is required");
  ALLOD_TRY(*out.mutable_role(), WorkerRole(path + ".role", *role));
  ALLOD_TRY(*out.mutable_content(), ParseContent(path + ".content", fields.Find("content")));
  for (const char* name : {"tool_calls", "function_call", "audio", "tool_call_id"}) {
    ALLOD_CHECK_OK(RefuseUnless(fields, name, nlohmann::json::array()));
  }
  fields.Ignore({"name", "refusal", "annotations"});
  return fields.CheckUnknown();
}

ParamResult<void> ParseMessages(JsonFields& fields, OpenAiRequest& out) {
  const nlohmann::json* messages = fields.Find("messages");
  if (!messages) return BadParam("messages", "MISSING_PARAMETER", "messages is required");
  if (!messages->is_array()) return BadParam("messages", "INVALID_TYPE", "messages must be an array");
  if (messages->empty() || messages->size() > kMessagesMax) {
    return BadParam("messages", "OUT_OF_RANGE", fmt::format("messages must have 1 to {} entries", kMessagesMax));
  }
  for (std::size_t i = 0; i < messages->size(); ++i) {
    ALLOD_CHECK_OK(
        ParseMessage(fmt::format("messages[{}]", i), (*messages)[i], *out.generate.mutable_chat()->add_messages()));
  }
  return {};
}

ParamResult<void> RefuseWhatIsNotOffered(JsonFields& fields) {
  const nlohmann::json no = false;
  const nlohmann::json none = nlohmann::json::array();
  ALLOD_CHECK_OK(RefuseUnless(fields, "tools", none));
  ALLOD_CHECK_OK(RefuseUnless(fields, "functions", none));
  ALLOD_CHECK_OK(RefuseUnless(fields, "tool_choice", "none"));
  ALLOD_CHECK_OK(RefuseUnless(fields, "function_call", "none"));
  ALLOD_CHECK_OK(RefuseUnless(fields, "response_format", {{"type", "text"}}));
  ALLOD_CHECK_OK(RefuseUnless(fields, "logprobs", no));
  ALLOD_CHECK_OK(RefuseUnless(fields, "top_logprobs", 0));
  ALLOD_CHECK_OK(RefuseUnless(fields, "modalities", nlohmann::json::array({"text"})));
  ALLOD_CHECK_OK(RefuseUnless(fields, "store", no));
  for (const char* name : {"audio", "prediction", "web_search_options", "reasoning_effort", "verbosity"}) {
    ALLOD_CHECK_OK(RefuseUnless(fields, name, nullptr));
  }
  fields.Ignore({"parallel_tool_calls"});
  return {};
}

}  // namespace

ParamResult<OpenAiRequest> ParseChatRequest(std::string_view body) {
  ALLOD_TRY(const nlohmann::json json, ParseJsonObject(body, kJsonDepthMax));
  JsonFields fields(json);
  OpenAiRequest out;
  out.chat = true;
  ALLOD_CHECK_OK(ParseCommonParameters(fields, out));
  ALLOD_CHECK_OK(ParseMessages(fields, out));
  ALLOD_TRY(const auto max_tokens, fields.Integer("max_tokens", 1, INT32_MAX));
  ALLOD_TRY(const auto max_completion_tokens, fields.Integer("max_completion_tokens", 1, INT32_MAX));
  out.generate.set_max_completion_tokens(
      static_cast<std::int32_t>(max_completion_tokens.value_or(max_tokens.value_or(0))));
  ALLOD_CHECK_OK(RefuseWhatIsNotOffered(fields));
  ALLOD_CHECK_OK(fields.CheckUnknown());
  return out;
}

}  // namespace allod::gateway
