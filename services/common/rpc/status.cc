#include "services/common/rpc/status.h"

#include <algorithm>
#include <string_view>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace allod {
namespace {

constexpr char kDomain[] = "allod";
// Status and details travel as HTTP/2 trailers, of which gRPC accepts 8 KiB; a message counts up to three times there.
constexpr std::size_t kMessageBytesMax = 1024;
constexpr std::size_t kReasonBytesMax = 63;  // AIP-193

// Trailers and proto strings must be UTF-8: cuts at a character and replaces what is not.
std::string SafeText(std::string_view text, std::size_t bytes_max) {
  std::string out;
  std::size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i]);
    std::size_t length = 1;
    if (lead >= 0xc2 && lead < 0xe0) length = 2;
    if (lead >= 0xe0 && lead < 0xf0) length = 3;
    if (lead >= 0xf0 && lead < 0xf5) length = 4;
    bool valid = lead < 0x80 || length > 1;
    if (i + length > text.size()) valid = false;
    for (std::size_t k = 1; valid && k < length; ++k) valid = (static_cast<unsigned char>(text[i + k]) & 0xc0) == 0x80;
    // Overlong forms and surrogates.
    if (valid && length > 2) {
      const auto second = static_cast<unsigned char>(text[i + 1]);
      valid = !((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) || (lead == 0xf0 && second < 0x90) ||
                (lead == 0xf4 && second > 0x8f));
    }
    const std::string_view piece = valid ? text.substr(i, length) : std::string_view("?");
    if (out.size() + piece.size() > bytes_max) break;
    out += piece;
    i += valid ? length : 1;
  }
  return out;
}

Code CodeFrom(int number) {
  if (number > static_cast<int>(Code::kOk) && number <= static_cast<int>(Code::kUnauthenticated)) {
    return static_cast<Code>(number);
  }
  return Code::kUnknown;
}

}  // namespace

google::rpc::Status ToRpcStatus(const Error& error) {
  google::rpc::Status out;
  out.set_code(static_cast<int>(error.code == Code::kOk ? Code::kUnknown : error.code));
  out.set_message(SafeText(error.message, kMessageBytesMax));
  if (!error.reason.empty()) {
    google::rpc::ErrorInfo info;
    info.set_reason(SafeText(error.reason, kReasonBytesMax));
    info.set_domain(kDomain);
    out.add_details()->PackFrom(info);
  }
  if (error.retry_after) {
    const auto ms = std::max<std::int64_t>(error.retry_after->count(), 0);
    google::rpc::RetryInfo info;
    info.mutable_retry_delay()->set_seconds(ms / 1000);
    info.mutable_retry_delay()->set_nanos(static_cast<std::int32_t>(ms % 1000 * 1'000'000));
    out.add_details()->PackFrom(info);
  }
  return out;
}

Error FromRpcStatus(const google::rpc::Status& status) {
  Error out{CodeFrom(status.code()), "RPC_FAILED", status.message()};
  for (const auto& detail : status.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::RetryInfo retry;
    if (detail.Is<google::rpc::ErrorInfo>() && detail.UnpackTo(&info) && info.domain() == kDomain) {
      out.reason = info.reason();
    } else if (detail.Is<google::rpc::RetryInfo>() && detail.UnpackTo(&retry)) {
      constexpr std::int64_t kSecondsMax = 86'400;
      const std::int64_t seconds = std::clamp<std::int64_t>(retry.retry_delay().seconds(), 0, kSecondsMax);
      const std::int64_t nanos = std::clamp<std::int64_t>(retry.retry_delay().nanos(), 0, 999'999'999);
      out.retry_after = std::chrono::milliseconds(seconds * 1000 + nanos / 1'000'000);
    }
  }
  return out;
}

grpc::Status ToGrpc(const Error& error) {
  const google::rpc::Status status = ToRpcStatus(error);
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), status.message(), status.SerializeAsString());
}

Error FromGrpc(const grpc::Status& status) {
  constexpr std::string_view kThreadsBusy = "Server Threadpool Exhausted";
  google::rpc::Status details;
  if (!status.error_details().empty() && details.ParseFromString(status.error_details()) &&
      details.code() == static_cast<int>(status.error_code())) {
    return FromRpcStatus(details);
  }
  // Not our services' word: gRPC itself refuses a call when all of a server's threads are busy. That passes.
  if (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED && status.error_message() == kThreadsBusy) {
    return Error{Code::kUnavailable, "SERVER_BUSY", "the service has as many calls as it can take; try again",
                 std::chrono::milliseconds(500)};
  }
  const Code code = CodeFrom(static_cast<int>(status.error_code()));
  // gRPC itself may fail a call without a word: whoever reads the error still learns what kind it is.
  return Error{code, "RPC_FAILED",
               status.error_message().empty() ? "the call failed without a message: " + std::string(CodeName(code))
                                              : status.error_message()};
}

}  // namespace allod
