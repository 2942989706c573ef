#include "services/common/rpc/call.h"

#include <fmt/format.h>
#include <grpcpp/server_context.h>

#include <iterator>
#include <string_view>
#include <utility>

#include "services/common/rpc/access.h"

namespace allod {

Result<Caller> Authorise(const Method& method, const grpc::ServerContextBase& context,
                         const google::protobuf::Message* request) {
  ALLOD_TRY(Caller caller, Caller::From(context));
  const std::string resource = request != nullptr ? ResourceOf(method, *request) : "";
  return Admit(method, std::move(caller), resource);
}

Deadline DeadlineOf(const grpc::ServerContextBase& context) {
  using std::chrono::system_clock;
  const auto deadline = context.deadline();
  if (deadline == system_clock::time_point::max()) return Deadline::None();
  return Deadline::At(Deadline::Clock::now() + (deadline - system_clock::now()) - kAnswerTime);
}

Trace TraceOf(const grpc::ServerContextBase& context) {
  const auto range = context.client_metadata().equal_range(Trace::kKey);
  if (range.first != range.second && std::next(range.first) == range.second) {
    const grpc::string_ref text = range.first->second;
    if (auto trace = Trace::Parse({text.data(), text.size()})) return *std::move(trace);
  }
  return Trace::New();
}

Status CheckAwaited(const Call& call) {
  if (call.deadline.passed()) {
    return Fail(Code::kDeadlineExceeded, "DEADLINE_TOO_NEAR",
                fmt::format("less than {} ms of the deadline were left when the call arrived; allow more time",
                            kAnswerTime.count()));
  }
  if (call.context != nullptr && call.context->IsCancelled()) {
    return Fail(Code::kCancelled, "CANCELLED", "the caller went away");
  }
  return {};
}

}  // namespace allod
