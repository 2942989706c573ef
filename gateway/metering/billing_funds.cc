#include "gateway/metering/billing_funds.h"

#include <algorithm>

#include "gateway/metering/funds_errors.h"
#include "services/common/log.h"
#include "services/common/rpc/client.h"

namespace allod::gateway::metering {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPauseMin(20);
constexpr milliseconds kPauseMax(250);

// Whether billing may have carried it out although we got an error.
bool MayHaveBeenDone(Code code) {
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

// Whether billing did nothing, and will soon have room.
bool IsFull(const Error& error) {
  return error.reason == "TOO_MANY_CALLS" || error.reason == "SERVER_BUSY" || error.reason == "DATABASE_BUSY";
}

}  // namespace

http::Awaitable<Status> BillingFunds::Reserve(const billing::v1::ReserveRequest& request, http::ResponseWriter& out) {
  const auto executor = co_await boost::asio::this_coro::executor;
  const auto end = steady_clock::now() + kFullPatience * call_timeout_;
  for (milliseconds pause = kPauseMin;; pause = std::min(2 * pause, kPauseMax)) {
    Status held = co_await Ask(request, out);
    const bool again = !held && IsFull(held.error()) && !out.gone() && !out.shutting_down();
    if (!again || steady_clock::now() >= end) co_return held;
    http::Wakeup wait(executor);
    co_await wait.Wait(steady_clock::now() + pause);
  }
}

http::Awaitable<Status> BillingFunds::Ask(const billing::v1::ReserveRequest& request, http::ResponseWriter& out) {
  const auto rpc = MakeContext(Caller::Service("gateway"), call_timeout_, &out.trace());
  // Billing may just be restarting: that is worth a moment of the client's time.
  rpc->set_wait_for_ready(true);
  billing::v1::ReserveResponse response;
  const std::function<void(std::function<void(grpc::Status)>)> start = [&](std::function<void(grpc::Status)> done) {
    stub_->async()->Reserve(rpc.get(), &request, &response, std::move(done));
  };
  out.OnInterrupt([&rpc, &out] {
    if (out.shutting_down()) rpc->TryCancel();
  });
  const grpc::Status status = co_await http::AwaitRpc(start);
  out.OnInterrupt(nullptr);
  if (status.ok()) co_return Status();
  Error error = FromGrpc(status);
  if (IsFull(error)) co_return std::unexpected(std::move(error));
  if (!IsMissingMoney(error)) {
    Log(LogLevel::kWarning, "reservation failed",
        {{"request_id", request.request_id()},
         {"revision", std::to_string(request.revision())},
         {"reason", error.reason},
         {"error", error.message},
         {"trace", out.trace().trace_id}});
  }
  if (MayHaveBeenDone(error.code)) co_return std::unexpected(InDoubt());
  co_return std::unexpected(std::move(error));
}

}  // namespace allod::gateway::metering
