#include "gateway/http/error.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace allod::gateway::http::error_test {
namespace {

std::string HeaderOf(const Response& response, const std::string& name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return "";
}

TEST(HttpError, EveryCodeHasAStatusInBothStyles) {
  struct Row {
    Code code;
    int openai;
    int problem;
  };
  const Row table[] = {{Code::kOk, 500, 500},
                       {Code::kCancelled, 503, 503},
                       {Code::kUnknown, 500, 500},
                       {Code::kInvalidArgument, 400, 400},
                       {Code::kDeadlineExceeded, 504, 504},
                       {Code::kNotFound, 404, 404},
                       {Code::kAlreadyExists, 400, 409},
                       {Code::kPermissionDenied, 403, 403},
                       {Code::kResourceExhausted, 429, 429},
                       {Code::kFailedPrecondition, 400, 400},
                       {Code::kAborted, 503, 409},
                       {Code::kOutOfRange, 400, 400},
                       {Code::kUnimplemented, 501, 501},
                       {Code::kInternal, 500, 500},
                       {Code::kUnavailable, 503, 503},
                       {Code::kDataLoss, 500, 500},
                       {Code::kUnauthenticated, 401, 401}};
  for (const Row& row : table) {
    const Error error{row.code, "SOME_REASON", "what happened"};
    EXPECT_EQ(ErrorResponse(ErrorStyle::kOpenAi, error).status, row.openai) << static_cast<int>(row.code);
    EXPECT_EQ(ErrorResponse(ErrorStyle::kProblem, error).status, row.problem) << static_cast<int>(row.code);
    EXPECT_NE(OpenAiShapeOf(error).status, 409) << "openai clients retry 409";
    const auto json = nlohmann::json::parse(ErrorResponse(ErrorStyle::kOpenAi, error).body);
    EXPECT_EQ(json["error"].size(), 4U);
    EXPECT_EQ(json["error"]["code"], "some_reason");
  }
}

TEST(HttpError, ReasonsThatOpenAiClientsKnow) {
  struct Row {
    Code code;
    const char* reason;
    int status;
    const char* openai_code;
  };
  const Row table[] = {{Code::kUnauthenticated, "INVALID_API_KEY", 401, "invalid_api_key"},
                       {Code::kNotFound, "MODEL_NOT_FOUND", 404, "model_not_found"},
                       {Code::kInvalidArgument, "CONTEXT_LENGTH_EXCEEDED", 400, "context_length_exceeded"},
                       {Code::kResourceExhausted, "RATE_LIMIT_EXCEEDED", 429, "rate_limit_exceeded"},
                       {Code::kResourceExhausted, "INSUFFICIENT_FUNDS", 429, "insufficient_quota"},
                       {Code::kResourceExhausted, "BUDGET_EXHAUSTED", 429, "insufficient_quota"},
                       {Code::kResourceExhausted, "QUEUE_FULL", 503, "overloaded"},
                       {Code::kResourceExhausted, "QUEUE_TIMEOUT", 503, "overloaded"},
                       {Code::kResourceExhausted, "USAGE_RING_FULL", 503, "overloaded"}};
  for (const Row& row : table) {
    const OpenAiShape shape = OpenAiShapeOf({row.code, row.reason, ""});
    EXPECT_EQ(shape.status, row.status) << row.reason;
    EXPECT_EQ(shape.code, row.openai_code) << row.reason;
  }
}

TEST(HttpError, RetryHeadersRoundUpAndQuotaIsNotRetried) {
  const Error slow{Code::kUnavailable, "X", "m", std::chrono::milliseconds(1200)};
  const Response response = ErrorResponse(ErrorStyle::kOpenAi, slow);
  EXPECT_EQ(HeaderOf(response, "retry-after-ms"), "1200");
  EXPECT_EQ(HeaderOf(response, "retry-after"), "2");
  EXPECT_EQ(HeaderOf(response, "x-should-retry"), "");
  const Error broke{Code::kResourceExhausted, "INSUFFICIENT_FUNDS", "m"};
  const Error full{Code::kResourceExhausted, "TOO_MANY_INSTANCES", "m"};
  for (const Error& error : {broke, full}) {
    for (const ErrorStyle style : {ErrorStyle::kOpenAi, ErrorStyle::kProblem}) {
      const Response hopeless = ErrorResponse(style, error);
      EXPECT_EQ(hopeless.status, 429);
      EXPECT_EQ(HeaderOf(hopeless, "x-should-retry"), "false") << error.reason;
      EXPECT_EQ(HeaderOf(hopeless, "retry-after"), "") << "waiting does not help";
      EXPECT_EQ(HeaderOf(hopeless, "retry-after-ms"), "");
    }
  }
  const Error limited{Code::kResourceExhausted, "RATE_LIMIT_EXCEEDED", "m", std::chrono::milliseconds(3)};
  EXPECT_EQ(HeaderOf(ErrorResponse(ErrorStyle::kOpenAi, limited), "retry-after"), "1");
  EXPECT_EQ(HeaderOf(ErrorResponse(ErrorStyle::kOpenAi, limited), "x-should-retry"), "");
}

TEST(HttpError, A405SaysWhatIsAllowedAndA415WhatIsAccepted) {
  for (const ErrorStyle style : {ErrorStyle::kOpenAi, ErrorStyle::kProblem}) {
    const Response not_allowed = MethodNotAllowed(style, "PUT", "GET, HEAD, OPTIONS");
    EXPECT_EQ(not_allowed.status, 405);
    EXPECT_EQ(HeaderOf(not_allowed, "allow"), "GET, HEAD, OPTIONS");
    const Response encoded = ErrorResponse(style, {Code::kInvalidArgument, "UNSUPPORTED_CONTENT_ENCODING", "m"});
    EXPECT_EQ(encoded.status, 415);
    EXPECT_EQ(HeaderOf(encoded, "accept-encoding"), "gzip, deflate, identity");
  }
}

TEST(HttpError, ProblemDetailsCarryTheReason) {
  const Error error{Code::kFailedPrecondition, "REGION_OUTSIDE_RESIDENCY", "region tz-1 lies outside ke"};
  const Response response = ErrorResponse(ErrorStyle::kProblem, error, "spec.region");
  EXPECT_EQ(response.content_type, "application/problem+json");
  const auto json = nlohmann::json::parse(response.body);
  EXPECT_EQ(json["reason"], "REGION_OUTSIDE_RESIDENCY");
  EXPECT_EQ(json["detail"], error.message);
  EXPECT_EQ(json["param"], "spec.region");
}

TEST(HttpError, MessagesThatAreNotUtf8StillMakeJson) {
  const auto json = nlohmann::json::parse(OpenAiErrorJson({Code::kInvalidArgument, "X", "bad \xff byte"}));
  EXPECT_EQ(json["error"]["param"], nullptr);
}

}  // namespace
}  // namespace allod::gateway::http::error_test
