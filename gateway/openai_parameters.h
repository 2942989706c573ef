// The parameters that chat completions and completions have in common.
#pragma once

#include "gateway/json_input.h"
#include "gateway/openai_request.h"

namespace allod::gateway {

inline constexpr int kJsonDepthMax = 16;

std::unexpected<ParamError> UnsupportedParam(std::string param, std::string message);

// model, stream, stream_options, sampling, stop, and the hints and refusals common to both endpoints.
ParamResult<void> ParseCommonParameters(JsonFields& fields, OpenAiRequest& out);

// `name` may be absent, null, or equal to `harmless`; anything else is UNSUPPORTED_PARAMETER.
ParamResult<void> RefuseUnless(JsonFields& fields, const std::string& name, const nlohmann::json& harmless);

}  // namespace allod::gateway
