#include "gateway/serving/peer_errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "gateway/http/error.h"
#include "gateway/metering/funds_errors.h"

namespace allod::gateway::serving {
namespace {

// peer_errors_test.cc holds it against what inference/ raises.
constexpr std::array<std::string_view, 15> kRefusals = {
    "CONSTRAINT_TOO_COSTLY", "CONTEXT_LENGTH_EXCEEDED", "EMPTY_PROMPT",     "INVALID_CONSTRAINT",
    "INVALID_INPUT",         "INVALID_MESSAGE",         "INVALID_SAMPLING", "INVALID_TOOL",
    "MODEL_NOT_EMBEDDING",   "MODEL_NOT_GENERATIVE",    "READER_TOO_SLOW",  "TEMPLATE_FAILED",
    "TEMPLATE_TOO_COSTLY",   "TOKENIZE_FAILED",         "WRONG_DIMENSIONS"};

bool IsRefusal(const Error& error) { return std::ranges::find(kRefusals, error.reason) != kRefusals.end(); }

bool LooksLikeTheCallers(const Error& error) { return http::OpenAiShapeOf(error).status < 500; }

}  // namespace

std::span<const std::string_view> RefusalsOfWorkers() { return kRefusals; }

bool IsCallersDoing(const Error& error) { return IsRefusal(error) || metering::IsMissingMoney(error); }

Error OfWorker(Error error) {
  // Not cancelled by us, or nobody would read this: a worker that ends says so to who does not take its words.
  if (error.code == Code::kCancelled) return {Code::kUnavailable, "DRAINED", std::move(error.message)};
  // A shared worker that does not know its new member yet soon will.
  if (error.reason == "UNKNOWN_INSTANCE") error.code = Code::kUnavailable;
  if (error.code == Code::kUnavailable) {
    if (LooksLikeTheCallers(error)) error.reason = "WORKER_LOST";
    return error;
  }
  if (IsRefusal(error) || !LooksLikeTheCallers(error)) return error;
  // It lacks something: another replica may have it.
  if (error.code == Code::kResourceExhausted) {
    error.reason = "QUEUE_FULL";
    return error;
  }
  return {Code::kInternal, "WORKER_FAILED", fmt::format("the replica failed: {} ({})", error.message, error.reason)};
}

Error OfBilling(Error error) {
  if (error.reason == "INSUFFICIENT_FUNDS") {
    error.message = "the tenant's credit does not cover the cost that this request could have: " + error.message;
  }
  if (metering::IsMissingMoney(error) || !LooksLikeTheCallers(error)) return error;
  const std::string message = fmt::format("the request cannot be metered and was not run: {}", error.message);
  if (error.code == Code::kResourceExhausted) {
    return {Code::kUnavailable, "BILLING_BUSY", message, error.retry_after};
  }
  return {Code::kInternal, "BILLING_FAILED", message};
}

}  // namespace allod::gateway::serving
