#include "gateway/http/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>

#include "gateway/http/content_encoding.h"

namespace allod::gateway::http {
namespace {

using std::chrono::milliseconds;

struct ReasonShape {
  std::string_view reason;
  int status;
  std::string_view type;
  std::string_view code;
};

// Reasons whose HTTP shape does not follow from their code alone.
constexpr std::array kReasonShapes = {
    ReasonShape{"INVALID_API_KEY", 401, "invalid_request_error", "invalid_api_key"},
    ReasonShape{"MODEL_NOT_FOUND", 404, "invalid_request_error", "model_not_found"},
    ReasonShape{"CONTEXT_LENGTH_EXCEEDED", 400, "invalid_request_error", "context_length_exceeded"},
    ReasonShape{"RATE_LIMIT_EXCEEDED", 429, "rate_limit_error", "rate_limit_exceeded"},
    ReasonShape{"INSUFFICIENT_FUNDS", 429, "insufficient_quota", "insufficient_quota"},
    ReasonShape{"NO_BILLING_ACCOUNT", 429, "insufficient_quota", "insufficient_quota"},
    ReasonShape{"BUDGET_EXHAUSTED", 429, "insufficient_quota", "insufficient_quota"},
    ReasonShape{"TEMPLATE_TOO_COSTLY", 400, "invalid_request_error", "template_too_costly"},
    ReasonShape{"QUEUE_FULL", 503, "server_error", "overloaded"},
    ReasonShape{"QUEUE_TIMEOUT", 503, "server_error", "overloaded"},
    ReasonShape{"USAGE_RING_FULL", 503, "server_error", "overloaded"},
    ReasonShape{"UNKNOWN_PATH", 404, "invalid_request_error", "unknown_path"},
    ReasonShape{"METHOD_NOT_ALLOWED", 405, "invalid_request_error", "method_not_allowed"},
    ReasonShape{"REQUEST_TIMEOUT", 408, "invalid_request_error", "request_timeout"},
    ReasonShape{"REQUEST_TOO_LARGE", 413, "invalid_request_error", "request_too_large"},
    ReasonShape{"HEADERS_TOO_LARGE", 431, "invalid_request_error", "headers_too_large"},
    ReasonShape{"UNSUPPORTED_MEDIA_TYPE", 415, "invalid_request_error", "unsupported_media_type"},
    ReasonShape{"UNSUPPORTED_CONTENT_ENCODING", 415, "invalid_request_error", "unsupported_content_encoding"},
    ReasonShape{"EXPECTATION_FAILED", 417, "invalid_request_error", "expectation_failed"},
    // Codes that mean the caller, reasons that mean us.
    ReasonShape{"DATABASE_FULL", 503, "server_error", "overloaded"},
    ReasonShape{"DATABASE_OVERLOADED", 503, "server_error", "overloaded"},
    ReasonShape{"DISK_FULL", 503, "server_error", "overloaded"},
    ReasonShape{"LOCK_TIMEOUT", 503, "server_error", "overloaded"},
    ReasonShape{"TOO_MANY_PROCESSES", 503, "server_error", "overloaded"},
    ReasonShape{"TYPESETTING_TOO_LONG", 503, "server_error", "overloaded"},
    ReasonShape{"TOO_MANY_WAITERS", 503, "server_error", "overloaded"},
    ReasonShape{"TOO_MANY_WATCHERS", 503, "server_error", "overloaded"},
    ReasonShape{"NO_CALLER", 500, "server_error", "internal"},
};

const ReasonShape* FindReason(std::string_view reason) {
  const auto* it = std::ranges::find(kReasonShapes, reason, &ReasonShape::reason);
  return it == kReasonShapes.end() ? nullptr : it;
}

// The status that google.rpc.Code documents for each code.
int StatusOf(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
    case Code::kFailedPrecondition:
    case Code::kOutOfRange:
      return 400;
    case Code::kUnauthenticated:
      return 401;
    case Code::kPermissionDenied:
      return 403;
    case Code::kNotFound:
      return 404;
    case Code::kAlreadyExists:
    case Code::kAborted:
      return 409;
    case Code::kResourceExhausted:
      return 429;
    case Code::kUnimplemented:
      return 501;
    case Code::kUnavailable:
    case Code::kCancelled:
      return 503;
    case Code::kDeadlineExceeded:
      return 504;
    case Code::kOk:
    case Code::kUnknown:
    case Code::kInternal:
    case Code::kDataLoss:
      return 500;
  }
  return 500;
}

// What openai clients may see for each code: as above, but a business conflict is the caller's mistake (400) and an
// aborted attempt is worth a retry (503).
int OpenAiStatusOf(Code code) {
  switch (code) {
    case Code::kAlreadyExists:
      return 400;
    case Code::kAborted:
      return 503;
    default:
      return StatusOf(code);
  }
}

// A call that failed without a word of the service (services/common/rpc/status.cc) is no mistake of the caller's.
int OursIfNobodySaid(const Error& error, int status) {
  return error.reason == "RPC_FAILED" && status < 500 ? 500 : status;
}

std::string LowerCase(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string_view TypeOf(int status) {
  if (status == 403) return "permission_error";
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

// Not when something is used up that time does not give back: credit, or the number of things that one may have.
bool WaitingHelps(const Error& error) {
  if (const ReasonShape* shape = FindReason(error.reason)) return shape->code != "insufficient_quota";
  return error.code != Code::kResourceExhausted || error.retry_after || !error.reason.starts_with("TOO_MANY_");
}

void AddRetryHeaders(const Error& error, int status, Headers& headers) {
  if (status != 429 && status != 503) return;
  if (!WaitingHelps(error)) {
    headers.emplace_back("x-should-retry", "false");
    return;
  }
  const milliseconds wait = std::max(error.retry_after.value_or(milliseconds(1000)), milliseconds(1));
  headers.emplace_back("retry-after-ms", std::to_string(wait.count()));
  headers.emplace_back("retry-after", std::to_string((wait.count() + 999) / 1000));
}

std::string Dump(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

ErrorStyle ErrorStyleOf(std::string_view path) {
  return path.starts_with("/portal/") || path.starts_with("/auth/") ? ErrorStyle::kProblem : ErrorStyle::kOpenAi;
}

OpenAiShape OpenAiShapeOf(const Error& error) {
  if (const ReasonShape* shape = FindReason(error.reason)) {
    return {shape->status, std::string(shape->type), std::string(shape->code)};
  }
  const int status = OursIfNobodySaid(error, OpenAiStatusOf(error.code));
  return {status, std::string(TypeOf(status)), LowerCase(error.reason.empty() ? CodeName(error.code) : error.reason)};
}

int ProblemStatusOf(const Error& error) {
  const ReasonShape* shape = FindReason(error.reason);
  return shape ? shape->status : OursIfNobodySaid(error, StatusOf(error.code));
}

std::string OpenAiErrorJson(const Error& error, std::string_view param) {
  const OpenAiShape shape = OpenAiShapeOf(error);
  nlohmann::ordered_json body;
  body["message"] = error.message;
  body["type"] = shape.type;
  body["param"] = param.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(std::string(param));
  body["code"] = shape.code;
  nlohmann::ordered_json out;
  out["error"] = std::move(body);
  return Dump(out);
}

Response MethodNotAllowed(ErrorStyle style, std::string_view method, const std::string& allow) {
  const Error error{Code::kUnimplemented, "METHOD_NOT_ALLOWED",
                    fmt::format("{} is not possible here, only {}", method, allow)};
  Response response = ErrorResponse(style, error);
  response.headers.emplace_back("allow", allow);
  return response;
}

Response ErrorResponse(ErrorStyle style, const Error& error, std::string_view param) {
  Response response;
  if (style == ErrorStyle::kOpenAi) {
    const OpenAiShape shape = OpenAiShapeOf(error);
    response.status = shape.status;
    response.body = OpenAiErrorJson(error, param);
  } else {
    response.status = ProblemStatusOf(error);
    response.content_type = "application/problem+json";
    nlohmann::ordered_json body;
    body["type"] = "about:blank";
    body["title"] = std::string(StatusPhrase(response.status));
    body["status"] = response.status;
    body["detail"] = error.message;
    body["code"] = std::string(CodeName(error.code));
    body["reason"] = error.reason;
    if (!param.empty()) body["param"] = std::string(param);
    response.body = Dump(body);
  }
  if (error.reason == "UNSUPPORTED_CONTENT_ENCODING") {
    response.headers.emplace_back("accept-encoding", kAcceptedEncodings);
  }
  if (response.status == 401) response.headers.emplace_back("www-authenticate", "Bearer");
  AddRetryHeaders(error, response.status, response.headers);
  return response;
}

}  // namespace allod::gateway::http
