// The parameters that chat completions and completions have in common.
#pragma once

#include "gateway/http/json_input.h"
#include "gateway/openai/request.h"

namespace allod::gateway {

inline constexpr int kJsonDepthMax = 48;

std::unexpected<ParamError> UnsupportedParam(std::string param, std::string message);

// model, stream, stream_options, n, sampling, logit_bias, stop, and the hints common to both endpoints.
// The id of an instance.
ParamResult<std::string> ParseModel(JsonFields& fields);

ParamResult<void> ParseCommonParameters(JsonFields& fields, OpenAiRequest& out);

// `name` may be absent, null, or equal to `harmless`; anything else is UNSUPPORTED_PARAMETER.
ParamResult<void> RefuseUnless(JsonFields& fields, const std::string& name, const Json& harmless);

}  // namespace allod::gateway
