#include "gateway/openai/output_format.h"
#include "gateway/openai/parameters.h"

namespace allod::gateway::openai {
namespace {

// What OpenAI's reference gives for an absent max_tokens.
constexpr std::int32_t kDefaultMaxTokens = 16;
constexpr std::int64_t kCompletionLogprobsMax = 5;

http::ParamResult<std::string> ParsePrompt(http::JsonFields& fields) {
  const http::Json* prompt = fields.Find("prompt");
  if (!prompt) return http::BadParam("prompt", "MISSING_PARAMETER", "prompt is required");
  if (prompt->is_string()) return prompt->get<std::string>();
  if (prompt->is_array() && prompt->size() == 1 && prompt->front().is_string())
    return prompt->front().get<std::string>();
  if (prompt->is_array()) {
    return UnsupportedParam("prompt", "prompt must be one string: batches and token arrays are not supported");
  }
  return http::BadParam("prompt", "INVALID_TYPE", "prompt must be a string");
}

}  // namespace

http::ParamResult<Request> ParseCompletionRequest(std::string_view body) {
  ALLOD_TRY(const http::Json json, http::ParseOrderedJsonObject(body, kJsonDepthMax));
  http::JsonFields fields(json);
  Request out;
  ALLOD_CHECK_OK(ParseCommonParameters(fields, out));
  ALLOD_TRY(*out.generate.mutable_text(), ParsePrompt(fields));
  ALLOD_TRY(const auto max_tokens, fields.Integer("max_tokens", 1, INT32_MAX));
  out.generate.set_max_completion_tokens(static_cast<std::int32_t>(max_tokens.value_or(kDefaultMaxTokens)));
  ALLOD_CHECK_OK(ParseGrammar(fields, out.generate));
  ALLOD_TRY(const auto logprobs, fields.Integer("logprobs", 0, kCompletionLogprobsMax));
  out.generate.set_logprobs(logprobs.has_value());
  out.generate.set_top_logprobs(static_cast<std::int32_t>(logprobs.value_or(0)));
  ALLOD_CHECK_OK(RefuseUnless(fields, "echo", false));
  ALLOD_CHECK_OK(RefuseUnless(fields, "best_of", out.generate.choice_count()));
  ALLOD_CHECK_OK(RefuseUnless(fields, "suffix", nullptr));
  ALLOD_CHECK_OK(fields.CheckUnknown());
  return out;
}

}  // namespace allod::gateway::openai
