// Parses the bodies of POST /v1/chat/completions and /v1/completions straight into the worker's GenerateRequest.
//
// Strict: every member is known, typed and within bounds, or the request is refused with the name of the parameter.
// What would change the answer and is not offered (audio, echo, best_of, ...) is refused with UNSUPPORTED_PARAMETER
// rather than silently ignored; hints that change nothing (user, metadata, ...) are accepted. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "allod/inference/v1/worker.pb.h"
#include "gateway/http/json_input.h"

namespace allod::gateway::openai {

struct Request {
  bool chat = false;
  std::string model;
  bool stream = false;
  bool include_usage = false;
  inference::v1::GenerateRequest generate;  // without request_id, tenant_uid and instance
};

http::ParamResult<Request> ParseChatRequest(std::string_view body);
http::ParamResult<Request> ParseCompletionRequest(std::string_view body);

}  // namespace allod::gateway::openai
