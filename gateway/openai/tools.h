// Reads `tools`, `tool_choice` and `parallel_tool_calls` of a chat request. Pure.
#pragma once

#include <string>

#include "allod/inference/v1/worker.pb.h"
#include "gateway/http/json_input.h"

namespace allod::gateway::openai {

inline constexpr std::size_t kToolsMax = 64;

// A choice of one function becomes "required" with that tool alone.
http::ParamResult<void> ParseTools(http::JsonFields& fields, inference::v1::ChatPrompt& out);

// The member `name`: 1 to 64 of [A-Za-z0-9_-].
http::ParamResult<std::string> ParseFunctionName(http::JsonFields& fields);

}  // namespace allod::gateway::openai
