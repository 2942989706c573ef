// The one error vocabulary: what every function that can fail for a reason outside the program returns.
//
// An Error has the canonical gRPC code, a stable UPPER_SNAKE reason that programs may test, and a message that is safe
// to show to the caller and says what was wrong, where, and what to do. services/common/rpc/status.* maps it to gRPC
// and back, gateway/http/error.* to HTTP. Broken invariants abort; bad input never does.
#pragma once

#include <chrono>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace allod {

// The canonical codes of gRPC, with its numbers (grpc/status.h).
enum class Code : int {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

struct Error {
  Code code = Code::kUnknown;
  std::string reason;   // e.g. "REGION_OUTSIDE_RESIDENCY"
  std::string message;  // safe to show
  std::optional<std::chrono::milliseconds> retry_after = std::nullopt;

  bool operator==(const Error&) const = default;
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

inline std::unexpected<Error> Fail(Code code, std::string reason, std::string message) {
  return std::unexpected(Error{code, std::move(reason), std::move(message)});
}
inline std::unexpected<Error> InvalidArgument(std::string reason, std::string message) {
  return Fail(Code::kInvalidArgument, std::move(reason), std::move(message));
}
inline std::unexpected<Error> NotFound(std::string message) {
  return Fail(Code::kNotFound, "NOT_FOUND", std::move(message));
}
inline std::unexpected<Error> FailedPrecondition(std::string reason, std::string message) {
  return Fail(Code::kFailedPrecondition, std::move(reason), std::move(message));
}
inline std::unexpected<Error> Internal(std::string message) {
  return Fail(Code::kInternal, "INTERNAL", std::move(message));
}

// "INVALID_ARGUMENT" and so on.
std::string_view CodeName(Code code);

}  // namespace allod

// Returns the error of `expr` from the enclosing function; otherwise defines `lhs` with its value.
// NOLINTBEGIN(bugprone-macro-parentheses): `lhs` is a declaration.
#define ALLOD_CONCAT_(a, b) a##b
#define ALLOD_CONCAT(a, b) ALLOD_CONCAT_(a, b)
#define ALLOD_TRY_IMPL_(tmp, lhs, expr)                     \
  auto tmp = (expr);                                        \
  if (!tmp) return std::unexpected(std::move(tmp).error()); \
  lhs = *std::move(tmp)
#define ALLOD_TRY(lhs, expr) ALLOD_TRY_IMPL_(ALLOD_CONCAT(allod_try_, __LINE__), lhs, expr)
// NOLINTEND(bugprone-macro-parentheses)
// The same for a Status.
#define ALLOD_CHECK_OK(expr)                                                                                \
  do {                                                                                                      \
    if (auto allod_status = (expr); !allod_status) return std::unexpected(std::move(allod_status).error()); \
  } while (false)
