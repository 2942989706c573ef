#include "gateway/metered_run.h"

#include "services/common/log.h"
#include "services/common/rpc/client.h"

namespace allod::gateway {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

Error Unavailable(std::string reason, std::string message, milliseconds retry_after) {
  Error out{Code::kUnavailable, std::move(reason), std::move(message)};
  out.retry_after = retry_after;
  return out;
}

// Whether billing may have taken the reservation although we got an error.
bool InDoubt(Code code) {
  switch (code) {
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
    case Code::kCancelled:
    case Code::kUnknown:
    case Code::kInternal:
    case Code::kDataLoss:
      return true;
    default:
      return false;
  }
}

// Refused before any compute: nothing to bill, and no fault of ours.
bool CallersMistake(const Error& error) {
  return error.code == Code::kInvalidArgument || error.code == Code::kOutOfRange ||
         error.reason == "MODEL_NOT_EMBEDDING" || error.reason == "MODEL_NOT_GENERATIVE";
}

}  // namespace

Awaitable<void> MeteredRun::Run(const billing::v1::ReserveRequest& reserve) {
  const steady_clock::time_point start = steady_clock::now();
  const Status reserved = co_await Reserve(reserve);
  if (!reserved) {
    metered_.Finish(out_.gone() ? billing::v1::OUTCOME_CLIENT_CANCELLED : billing::v1::OUTCOME_FAULT);
    co_await job_.Fail(reserved.error());
    co_return;
  }
  if (out_.gone()) {
    metered_.Finish(billing::v1::OUTCOME_CLIENT_CANCELLED);
    co_return;
  }
  const Dispatch::Limits limits{reserve.completion_tokens_max(), start,
                                start + milliseconds(context_.config.http.request_timeout_ms)};
  Dispatch dispatch(context_.config, context_.routes, context_.room, route_, limits, job_, out_);
  const Dispatch::Ending ending = co_await dispatch.Run();
  co_await Conclude(ending, reserve.request_id());
}

Awaitable<Status> MeteredRun::Reserve(const billing::v1::ReserveRequest& reserve) {
  const auto rpc = MakeContext(Caller::Service("gateway"), milliseconds(context_.config.reserve_timeout_ms));
  // Billing may just be restarting: that is worth a moment of the client's time.
  rpc->set_wait_for_ready(true);
  billing::v1::ReserveResponse response;
  const std::function<void(std::function<void(grpc::Status)>)> start = [&](std::function<void(grpc::Status)> done) {
    context_.usage.async()->Reserve(rpc.get(), &reserve, &response, std::move(done));
  };
  // A client that leaves does not cancel it: billing might carry it out all the same, after it was told that the
  // request is over, and the hold would stay.
  out_.OnInterrupt([&rpc, this] {
    if (out_.shutting_down()) rpc->TryCancel();
  });
  const grpc::Status status = co_await AwaitRpc(start);
  out_.OnInterrupt(nullptr);
  if (status.ok()) {
    metered_.MarkReserved();
    co_return Status();
  }
  Error error = FromGrpc(status);
  if (InDoubt(error.code)) {
    Log(LogLevel::kWarning, "reservation failed", {{"request_id", reserve.request_id()}, {"error", error.message}});
    co_return std::unexpected(Unavailable(
        "BILLING_UNAVAILABLE", "the request cannot be metered right now and was not run", milliseconds(1000)));
  }
  metered_.Drop();
  if (error.reason == "INSUFFICIENT_FUNDS") {
    error.message = "the tenant's credit does not cover the cost that this request could have: " + error.message;
  }
  co_return std::unexpected(std::move(error));
}

Awaitable<void> MeteredRun::Conclude(const Dispatch::Ending& ending, const std::string& request_id) {
  if (ending.answered) {
    metered_.Finish(billing::v1::OUTCOME_COMPLETED);
    co_return;
  }
  if (out_.gone()) {
    metered_.Finish(billing::v1::OUTCOME_CLIENT_CANCELLED);
    co_return;
  }
  Error error = ending.error;
  if (CallersMistake(error)) {
    metered_.SetPromptTokens(0, 0);
    metered_.Finish(billing::v1::OUTCOME_COMPLETED);
  } else {
    metered_.Finish(billing::v1::OUTCOME_FAULT);
    Log(LogLevel::kWarning, "request failed",
        {{"request_id", request_id}, {"instance", route_->instance}, {"error", error.message}});
  }
  if (out_.shutting_down())
    error = Unavailable("SHUTTING_DOWN", "the gateway is restarting; try again", milliseconds(1000));
  if (error.code == Code::kUnavailable && error.reason == "RPC_FAILED") {
    error = Unavailable("WORKER_LOST", "the replica that was answering was lost; try again", milliseconds(1000));
  }
  co_await job_.Fail(error);
}

}  // namespace allod::gateway
