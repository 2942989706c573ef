#include "gateway/openai/output_format.h"

#include <fmt/format.h>

#include "gateway/openai/parameters.h"
#include "gateway/openai/tools.h"

namespace allod::gateway::openai {
namespace {

constexpr std::size_t kGrammarBytesMax = 64 << 10;

http::ParamResult<void> ParseJsonSchema(http::JsonFields& format, inference::v1::OutputConstraint& out) {
  const std::string path = format.Path("json_schema");
  const http::Json* wrapper = format.Find("json_schema");
  if (!wrapper) return http::BadParam(path, "MISSING_PARAMETER", path + " is required for the type json_schema");
  if (!wrapper->is_object()) return http::BadParam(path, "INVALID_TYPE", path + " must be an object");
  http::JsonFields fields(*wrapper, path + ".");
  ALLOD_TRY([[maybe_unused]] const std::string name, ParseFunctionName(fields));
  ALLOD_TRY([[maybe_unused]] const auto description, fields.String("description"));
  // Answers always follow the schema, strict or not.
  ALLOD_TRY([[maybe_unused]] const auto strict, fields.Bool("strict"));
  const http::Json* schema = fields.Find("schema");
  if (!schema) return http::BadParam(path + ".schema", "MISSING_PARAMETER", path + ".schema is required");
  if (!schema->is_object()) return http::BadParam(path + ".schema", "INVALID_TYPE", path + ".schema must be an object");
  out.set_json_schema(schema->dump());
  return fields.CheckUnknown();
}

}  // namespace

http::ParamResult<void> ParseResponseFormat(http::JsonFields& fields, inference::v1::GenerateRequest& out) {
  const http::Json* format = fields.Find("response_format");
  if (!format) return {};
  if (!format->is_object())
    return http::BadParam("response_format", "INVALID_TYPE", "response_format must be an object");
  http::JsonFields inner(*format, "response_format.");
  ALLOD_TRY(const auto type, inner.String("type"));
  if (type == "json_object") {
    out.mutable_constraint()->set_json_object(true);
  } else if (type == "json_schema") {
    ALLOD_CHECK_OK(ParseJsonSchema(inner, *out.mutable_constraint()));
  } else if (type != "text") {
    return http::BadParam("response_format.type", "INVALID_VALUE",
                          "response_format.type must be text, json_object or json_schema");
  }
  if (out.has_constraint() && out.chat().tool_choice() == inference::v1::TOOL_CHOICE_REQUIRED) {
    return http::BadParam("response_format", "INVALID_PARAMETER",
                          "response_format cannot shape an answer that tool_choice requires to be a tool call");
  }
  return inner.CheckUnknown();
}

http::ParamResult<void> ParseGrammar(http::JsonFields& fields, inference::v1::GenerateRequest& out) {
  ALLOD_TRY(const auto grammar, fields.String("grammar"));
  if (!grammar) return {};
  if (grammar->empty() || grammar->size() > kGrammarBytesMax) {
    return http::BadParam("grammar", "OUT_OF_RANGE", fmt::format("grammar must have 1 to {} bytes", kGrammarBytesMax));
  }
  if (out.has_constraint() || out.chat().tools_size() > 0) {
    return http::BadParam("grammar", "INVALID_PARAMETER", "grammar cannot be combined with response_format or tools");
  }
  out.mutable_constraint()->set_grammar(*grammar);
  return {};
}

}  // namespace allod::gateway::openai
