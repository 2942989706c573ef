// The one mapping from Error to HTTP: OpenAI's error object under /v1, RFC 9457 problem details everywhere else.
//
// Exhaustive over Code; some reasons have a shape of their own (see kReasonShapes in the .cc). 409 is never used under
// /v1, because OpenAI's clients retry it. 429 and 503 carry retry-after and retry-after-ms, unless waiting does not
// help (credit is used up, a tenant has as many instances as it may): then x-should-retry: false.
#pragma once

#include <string>
#include <string_view>

#include "gateway/http/message.h"
#include "services/common/result.h"

namespace allod::gateway::http {

enum class ErrorStyle { kOpenAi, kProblem };

// kProblem for the portal and where people sign in; kOpenAi for /v1 and below, and for paths that nothing answers.
ErrorStyle ErrorStyleOf(std::string_view path);

// An error together with the request parameter that caused it (dotted path such as `messages[0].content`; may be
// empty).
struct ParamError {
  Error error;
  std::string param;
};

// What an error looks like to an OpenAI client.
struct OpenAiShape {
  int status;
  std::string type;
  std::string code;
};
OpenAiShape OpenAiShapeOf(const Error& error);
// The status outside /v1.
int ProblemStatusOf(const Error& error);

// {"error":{"message","type","param","code"}}, all four keys.
std::string OpenAiErrorJson(const Error& error, std::string_view param = {});

// 405 with the Allow header that it must have; `allow` lists what is possible, e.g. "GET, HEAD, OPTIONS".
Response MethodNotAllowed(ErrorStyle style, std::string_view method, const std::string& allow);

Response ErrorResponse(ErrorStyle style, const Error& error, std::string_view param = {});

}  // namespace allod::gateway::http
