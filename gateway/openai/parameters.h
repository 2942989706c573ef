// The parameters that chat completions and completions have in common.
#pragma once

#include "gateway/http/json_input.h"
#include "gateway/openai/request.h"

namespace allod::gateway::openai {

inline constexpr int kJsonDepthMax = 48;
inline constexpr std::int64_t kChoicesMax = 8;  // `n`, where the instance's concurrency allows as many

std::unexpected<http::ParamError> UnsupportedParam(std::string param, std::string message);

// model, stream, stream_options, n, sampling, logit_bias, stop, and the hints common to both endpoints.
// The id of an instance.
http::ParamResult<std::string> ParseModel(http::JsonFields& fields);

http::ParamResult<void> ParseCommonParameters(http::JsonFields& fields, Request& out);

// `n` on an instance that answers so many at once (0: not said). OUT_OF_RANGE.
http::ParamResult<void> CheckChoices(std::int64_t choices, std::int64_t max_concurrency);

// `name` may be absent, null, or equal to `harmless`; anything else is UNSUPPORTED_PARAMETER.
http::ParamResult<void> RefuseUnless(http::JsonFields& fields, const std::string& name, const http::Json& harmless);

}  // namespace allod::gateway::openai
