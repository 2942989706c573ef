// The parameters that chat completions and completions have in common.
#pragma once

#include "gateway/http/json_input.h"
#include "gateway/openai/request.h"

namespace allod::gateway::openai {

inline constexpr int kJsonDepthMax = 48;

std::unexpected<http::ParamError> UnsupportedParam(std::string param, std::string message);

// model, stream, stream_options, n, sampling, logit_bias, stop, and the hints common to both endpoints.
// The id of an instance.
http::ParamResult<std::string> ParseModel(http::JsonFields& fields);

http::ParamResult<void> ParseCommonParameters(http::JsonFields& fields, Request& out);

// `name` may be absent, null, or equal to `harmless`; anything else is UNSUPPORTED_PARAMETER.
http::ParamResult<void> RefuseUnless(http::JsonFields& fields, const std::string& name, const http::Json& harmless);

}  // namespace allod::gateway::openai
