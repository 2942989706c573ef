#include "gateway/openai/messages.h"
#include "gateway/openai/output_format.h"
#include "gateway/openai/parameters.h"
#include "gateway/openai/tools.h"

namespace allod::gateway::openai {
namespace {

constexpr std::int64_t kChatTopLogprobsMax = 20;

http::ParamResult<void> ParseLogprobs(http::JsonFields& fields, inference::v1::GenerateRequest& out) {
  ALLOD_TRY(const auto logprobs, fields.Bool("logprobs"));
  ALLOD_TRY(const auto top, fields.Integer("top_logprobs", 0, kChatTopLogprobsMax));
  out.set_logprobs(logprobs.value_or(false));
  if (top.value_or(0) > 0 && !out.logprobs()) {
    return http::BadParam("top_logprobs", "INVALID_PARAMETER",
                          "top_logprobs is only allowed together with logprobs: true");
  }
  out.set_top_logprobs(static_cast<std::int32_t>(top.value_or(0)));
  return {};
}

http::ParamResult<void> RefuseWhatIsNotOffered(http::JsonFields& fields) {
  ALLOD_CHECK_OK(RefuseUnless(fields, "functions", http::Json::array()));
  ALLOD_CHECK_OK(RefuseUnless(fields, "function_call", "none"));
  ALLOD_CHECK_OK(RefuseUnless(fields, "modalities", http::Json::array({"text"})));
  ALLOD_CHECK_OK(RefuseUnless(fields, "store", false));
  for (const char* name : {"audio", "prediction", "web_search_options", "reasoning_effort", "verbosity"}) {
    ALLOD_CHECK_OK(RefuseUnless(fields, name, nullptr));
  }
  return {};
}

}  // namespace

http::ParamResult<Request> ParseChatRequest(std::string_view body) {
  ALLOD_TRY(const http::Json json, http::ParseOrderedJsonObject(body, kJsonDepthMax));
  http::JsonFields fields(json);
  Request out;
  out.chat = true;
  ALLOD_CHECK_OK(ParseCommonParameters(fields, out));
  ALLOD_CHECK_OK(ParseMessages(fields, *out.generate.mutable_chat()));
  ALLOD_CHECK_OK(ParseTools(fields, *out.generate.mutable_chat()));
  ALLOD_CHECK_OK(ParseResponseFormat(fields, out.generate));
  ALLOD_CHECK_OK(ParseGrammar(fields, out.generate));
  ALLOD_CHECK_OK(ParseLogprobs(fields, out.generate));
  ALLOD_TRY(const auto max_tokens, fields.Integer("max_tokens", 1, INT32_MAX));
  ALLOD_TRY(const auto max_completion_tokens, fields.Integer("max_completion_tokens", 1, INT32_MAX));
  out.generate.set_max_completion_tokens(
      static_cast<std::int32_t>(max_completion_tokens.value_or(max_tokens.value_or(0))));
  ALLOD_CHECK_OK(RefuseWhatIsNotOffered(fields));
  ALLOD_CHECK_OK(fields.CheckUnknown());
  return out;
}

}  // namespace allod::gateway::openai
