#include "gateway/openai/tools.h"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/openai/parameters.h"

namespace allod::gateway::openai {
namespace {

using inference::v1::ChatPrompt;
using inference::v1::Tool;

constexpr std::size_t kNameBytesMax = 64;
constexpr std::size_t kDescriptionBytesMax = 8192;

bool IsNameByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

// {"type":"function","function":{"name","description","parameters","strict"}}
http::ParamResult<void> ParseTool(const std::string& path, const http::Json& tool, Tool& out) {
  if (!tool.is_object()) return http::BadParam(path, "INVALID_TYPE", path + " must be an object");
  http::JsonFields fields(tool, path + ".");
  ALLOD_TRY(const auto type, fields.String("type"));
  if (type != "function") return UnsupportedParam(path + ".type", path + ".type must be \"function\"");
  const std::string at = path + ".function";
  const http::Json* function = fields.Find("function");
  if (!function) return http::BadParam(at, "MISSING_PARAMETER", at + " is required");
  if (!function->is_object()) return http::BadParam(at, "INVALID_TYPE", at + " must be an object");
  http::JsonFields inner(*function, at + ".");
  ALLOD_TRY(*out.mutable_name(), ParseFunctionName(inner));
  ALLOD_TRY(const auto description, inner.String("description"));
  if (description && description->size() > kDescriptionBytesMax) {
    return http::BadParam(at + ".description", "OUT_OF_RANGE",
                          fmt::format("{}.description has more than {} bytes", at, kDescriptionBytesMax));
  }
  out.set_description(description.value_or(""));
  const http::Json* parameters = inner.Find("parameters");
  if (parameters && !parameters->is_object()) {
    return http::BadParam(at + ".parameters", "INVALID_TYPE", at + ".parameters must be an object (a JSON schema)");
  }
  const http::Json nothing = {{"type", "object"}, {"properties", http::Json::object()}};
  out.set_parameters((parameters && !parameters->empty() ? *parameters : nothing).dump());
  // Arguments always follow the schema: they are written under a grammar made from it.
  ALLOD_TRY([[maybe_unused]] const auto strict, inner.Bool("strict"));
  ALLOD_CHECK_OK(inner.CheckUnknown());
  return fields.CheckUnknown();
}

http::ParamResult<void> ParseToolList(http::JsonFields& fields, ChatPrompt& out) {
  const http::Json* tools = fields.Find("tools");
  if (!tools) return {};
  if (!tools->is_array()) return http::BadParam("tools", "INVALID_TYPE", "tools must be an array");
  if (tools->size() > kToolsMax) {
    return http::BadParam("tools", "OUT_OF_RANGE",
                          fmt::format("tools has {} entries; at most {} are allowed", tools->size(), kToolsMax));
  }
  for (std::size_t i = 0; i < tools->size(); ++i) {
    const std::string path = fmt::format("tools[{}]", i);
    Tool tool;
    ALLOD_CHECK_OK(ParseTool(path, (*tools)[i], tool));
    if (std::ranges::any_of(out.tools(), [&](const Tool& other) { return other.name() == tool.name(); })) {
      return http::BadParam(path + ".function.name", "INVALID_VALUE",
                            fmt::format("{}.function.name: there is another tool of that name", path));
    }
    *out.add_tools() = std::move(tool);
  }
  return {};
}

// {"type":"function","function":{"name":...}}
http::ParamResult<void> ChooseOne(const http::Json& choice, ChatPrompt& out) {
  http::JsonFields fields(choice, "tool_choice.");
  ALLOD_TRY(const auto type, fields.String("type"));
  if (type != "function") {
    return UnsupportedParam("tool_choice.type", "tool_choice.type must be \"function\"");
  }
  const http::Json* function = fields.Find("function");
  if (!function || !function->is_object()) {
    return http::BadParam("tool_choice.function", "MISSING_PARAMETER",
                          "tool_choice.function must be an object with a name");
  }
  http::JsonFields inner(*function, "tool_choice.function.");
  ALLOD_TRY(const std::string name, ParseFunctionName(inner));
  ALLOD_CHECK_OK(inner.CheckUnknown());
  ALLOD_CHECK_OK(fields.CheckUnknown());
  const auto chosen = std::ranges::find(out.tools(), name, [](const Tool& tool) { return tool.name(); });
  if (chosen == out.tools().end()) {
    return http::BadParam("tool_choice.function.name", "INVALID_VALUE",
                          "tool_choice.function.name is not the name of one of tools");
  }
  const Tool tool = *chosen;
  out.clear_tools();
  *out.add_tools() = tool;
  out.set_tool_choice(inference::v1::TOOL_CHOICE_REQUIRED);
  return {};
}

http::ParamResult<void> ParseToolChoice(http::JsonFields& fields, ChatPrompt& out) {
  if (out.tools_size() > 0) out.set_tool_choice(inference::v1::TOOL_CHOICE_AUTO);
  const http::Json* choice = fields.Find("tool_choice");
  if (!choice) return {};
  const bool none = *choice == "none";
  if (out.tools_size() == 0 && !none) {
    return http::BadParam("tool_choice", "INVALID_PARAMETER", "tool_choice is only allowed together with tools");
  }
  if (none) {
    out.set_tool_choice(inference::v1::TOOL_CHOICE_NONE);
  } else if (*choice == "required") {
    out.set_tool_choice(inference::v1::TOOL_CHOICE_REQUIRED);
  } else if (choice->is_object()) {
    return ChooseOne(*choice, out);
  } else if (*choice != "auto") {
    return http::BadParam("tool_choice", "INVALID_VALUE",
                          "tool_choice must be none, auto, required, or an object that names one function");
  }
  return {};
}

}  // namespace

http::ParamResult<std::string> ParseFunctionName(http::JsonFields& fields) {
  ALLOD_TRY(const auto name, fields.String("name"));
  const std::string path = fields.Path("name");
  if (!name) return http::BadParam(path, "MISSING_PARAMETER", path + " is required");
  if (name->empty() || name->size() > kNameBytesMax || !std::ranges::all_of(*name, IsNameByte)) {
    return http::BadParam(path, "INVALID_VALUE",
                          fmt::format("{} must have 1 to {} letters, digits, '_' or '-'", path, kNameBytesMax));
  }
  return *name;
}

http::ParamResult<void> ParseTools(http::JsonFields& fields, ChatPrompt& out) {
  ALLOD_CHECK_OK(ParseToolList(fields, out));
  ALLOD_CHECK_OK(ParseToolChoice(fields, out));
  ALLOD_TRY(const auto parallel, fields.Bool("parallel_tool_calls"));
  out.set_parallel_tool_calls(out.tools_size() > 0 && parallel.value_or(true));
  return {};
}

}  // namespace allod::gateway::openai
