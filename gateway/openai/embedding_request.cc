#include "gateway/openai/embedding_request.h"

#include <fmt/format.h>

#include "gateway/openai/parameters.h"

namespace allod::gateway::openai {
namespace {

constexpr std::size_t kInputsMax = 256;

http::ParamResult<void> AddInput(const std::string& path, const http::Json& value, inference::v1::EmbedRequest& out) {
  if (value.is_number() || value.is_array()) {
    return UnsupportedParam(path, path + ": token arrays are not supported; send text");
  }
  if (!value.is_string()) return http::BadParam(path, "INVALID_TYPE", path + " must be a string");
  if (value.get_ref<const std::string&>().empty()) {
    return http::BadParam(path, "OUT_OF_RANGE", path + " must not be empty");
  }
  out.add_inputs(value.get<std::string>());
  return {};
}

http::ParamResult<void> ParseInput(http::JsonFields& fields, inference::v1::EmbedRequest& out) {
  const http::Json* input = fields.Find("input");
  if (!input) return http::BadParam("input", "MISSING_PARAMETER", "input is required");
  if (!input->is_array()) return AddInput("input", *input, out);
  if (!input->empty() && input->front().is_number()) return AddInput("input", *input, out);
  if (input->empty() || input->size() > kInputsMax) {
    return http::BadParam("input", "OUT_OF_RANGE", fmt::format("input must have 1 to {} entries", kInputsMax));
  }
  for (std::size_t i = 0; i < input->size(); ++i) {
    ALLOD_CHECK_OK(AddInput(fmt::format("input[{}]", i), (*input)[i], out));
  }
  return {};
}

}  // namespace

http::ParamResult<EmbeddingRequest> ParseEmbeddingRequest(std::string_view body) {
  ALLOD_TRY(const http::Json json, http::ParseOrderedJsonObject(body, kJsonDepthMax));
  http::JsonFields fields(json);
  EmbeddingRequest out;
  ALLOD_TRY(out.model, ParseModel(fields));
  ALLOD_CHECK_OK(ParseInput(fields, out.embed));
  ALLOD_TRY(const auto format, fields.String("encoding_format"));
  out.base64 = format == "base64";
  if (format && !out.base64 && format != "float") {
    return http::BadParam("encoding_format", "INVALID_VALUE", "encoding_format must be float or base64");
  }
  ALLOD_TRY(const auto dimensions, fields.Integer("dimensions", 1, kDimensionsMax));
  out.embed.set_dimensions(static_cast<std::int32_t>(dimensions.value_or(0)));
  ALLOD_CHECK_OK(fields.String("user"));
  ALLOD_CHECK_OK(fields.CheckUnknown());
  return out;
}

}  // namespace allod::gateway::openai
