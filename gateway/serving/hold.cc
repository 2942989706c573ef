#include "gateway/serving/hold.h"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/serving/peer_errors.h"
#include "services/common/log.h"
#include "services/common/rpc/client.h"

namespace allod::gateway::serving {

using std::chrono::milliseconds;

namespace {

// Of an instance that is updated faster than a request gets through.
constexpr int kReplacementsMax = 8;

Error Unavailable(std::string reason, std::string message) {
  Error out{Code::kUnavailable, std::move(reason), std::move(message)};
  out.retry_after = milliseconds(1000);
  return out;
}

// Whether billing may have carried it out although we got an error.
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

// Whether billing did nothing, and will soon have room.
bool IsFull(const Error& error) {
  return error.reason == "TOO_MANY_CALLS" || error.reason == "SERVER_BUSY" || error.reason == "DATABASE_BUSY";
}

}  // namespace

http::Awaitable<Status> Hold::Ask(const HoldTerms& terms) {
  request_.set_variant(terms.variant);
  request_.set_price_book(terms.price_book);
  request_.set_isolation_class(terms.isolation_class);
  request_.set_prompt_tokens_max(terms.bounds.prompt);
  request_.set_completion_tokens_max(terms.bounds.completion);
  const auto executor = co_await boost::asio::this_coro::executor;
  const auto end = std::chrono::steady_clock::now() + kFullPatience * milliseconds(limits_.reserve_timeout_ms);
  for (milliseconds pause(20);; pause = std::min(2 * pause, milliseconds(250))) {
    Status held = co_await AskOnce();
    const bool again = !held && IsFull(held.error()) && !out_.gone() && !out_.shutting_down();
    if (held) co_return held;
    if (!again || std::chrono::steady_clock::now() >= end) {
      co_return std::unexpected(OfBilling(std::move(held).error()));
    }
    http::Wakeup wait(executor);
    co_await wait.Wait(std::chrono::steady_clock::now() + pause);
  }
}

http::Awaitable<Status> Hold::AskOnce() {
  const auto rpc = MakeContext(Caller::Service("gateway"), milliseconds(limits_.reserve_timeout_ms), &out_.trace());
  // Billing may just be restarting: that is worth a moment of the client's time.
  rpc->set_wait_for_ready(true);
  billing::v1::ReserveResponse response;
  const std::function<void(std::function<void(grpc::Status)>)> start = [&](std::function<void(grpc::Status)> done) {
    usage_.async()->Reserve(rpc.get(), &request_, &response, std::move(done));
  };
  out_.OnInterrupt([&rpc, this] {
    if (out_.shutting_down()) rpc->TryCancel();
  });
  const grpc::Status status = co_await http::AwaitRpc(start);
  out_.OnInterrupt(nullptr);
  if (status.ok()) co_return Status();
  Error error = FromGrpc(status);
  if (IsFull(error)) co_return std::unexpected(std::move(error));
  if (!IsCallersDoing(error)) {
    Log(LogLevel::kWarning, "reservation failed",
        {{"request_id", request_.request_id()},
         {"revision", std::to_string(request_.revision())},
         {"reason", error.reason},
         {"error", error.message},
         {"trace", out_.trace().trace_id}});
  }
  if (InDoubt(error.code)) {
    co_return std::unexpected(
        Unavailable("BILLING_UNAVAILABLE", "the request cannot be metered right now and was not run"));
  }
  if (error.reason == "INSUFFICIENT_FUNDS") {
    error.message = "the tenant's credit does not cover the cost that this request could have: " + error.message;
  }
  co_return std::unexpected(std::move(error));
}

http::Awaitable<Status> Hold::Make(HoldTerms terms) {
  const Status made = co_await Ask(terms);
  if (made) {
    terms_ = std::move(terms);
    metered_.MarkReserved();
  } else if (made.error().reason != "BILLING_UNAVAILABLE") {
    metered_.Drop();
  }
  co_return made;
}

http::Awaitable<Status> Hold::Replace(HoldTerms terms) {
  if (request_.revision() >= kReplacementsMax) {
    co_return std::unexpected(Unavailable(
        "INSTANCE_CHANGING",
        fmt::format("the instance was updated {} times while this request waited; try again", request_.revision())));
  }
  request_.set_revision(request_.revision() + 1);
  const Status replaced = co_await Ask(terms);
  if (replaced) terms_ = std::move(terms);
  co_return replaced;
}

}  // namespace allod::gateway::serving
