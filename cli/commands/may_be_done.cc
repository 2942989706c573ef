#include "cli/commands/may_be_done.h"

#include <fmt/format.h>

#include "services/common/ids.h"

namespace allod::cli::commands {

bool MayBeDone(const Error& error) {
  switch (error.code) {
    case Code::kCancelled:
    case Code::kUnknown:
    case Code::kDeadlineExceeded:
    case Code::kInternal:
    case Code::kUnavailable:
    case Code::kDataLoss:
      return true;
    default:
      return false;
  }
}

std::string RequestIdOr(const std::string& given) { return given.empty() ? Uuid::V7().ToString() : given; }

Error ToRepeat(Error error, const std::string& request_id) {
  if (!MayBeDone(error)) return error;
  error.message += fmt::format(
      "; it may have been done: repeat the same command with --request-id {}, and it is done once", request_id);
  return error;
}

}  // namespace allod::cli::commands
