// Reads `messages` of a chat request: system, developer, user, assistant (with tool_calls) and tool messages. Pure.
#pragma once

#include "allod/inference/v1/worker.pb.h"
#include "gateway/http/json_input.h"

namespace allod::gateway::openai {

// 1 to 1024 messages of text. A tool message must answer a call that an assistant message before it made.
http::ParamResult<void> ParseMessages(http::JsonFields& fields, inference::v1::ChatPrompt& out);

}  // namespace allod::gateway::openai
