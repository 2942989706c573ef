#include "gateway/generation.h"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/gateway_metrics.h"
#include "services/common/log.h"
#include "services/common/rpc/client.h"

namespace allod::gateway {

namespace asio = boost::asio;
using inference::v1::GenerateResponse;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

// Between two tries when no other replica is known and the table does not change.
constexpr milliseconds kRetryPause(100);

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

// Counts a replica's promised tokens while a call on it runs.
class Outstanding {
 public:
  Outstanding(Replica& replica, std::int64_t tokens) : replica_(replica), tokens_(tokens) {
    replica_.outstanding_tokens += tokens_;
  }
  ~Outstanding() { replica_.outstanding_tokens -= tokens_; }
  Outstanding(const Outstanding&) = delete;

 private:
  Replica& replica_;
  const std::int64_t tokens_;
};

}  // namespace

std::int64_t CompletionTokensMax(const inference::v1::GenerateRequest& request, const InstanceRoute& route) {
  const std::int64_t asked = request.max_completion_tokens();
  return asked > 0 ? std::min<std::int64_t>(asked, route.context_tokens) : route.context_tokens;
}

Generation::Generation(GenerationContext& context, std::shared_ptr<const InstanceRoute> route,
                       inference::v1::GenerateRequest request, MeteredRequest& metered, AnswerWriter& answer,
                       ResponseWriter& out)
    : context_(context),
      route_(std::move(route)),
      request_(std::move(request)),
      metered_(metered),
      answer_(answer),
      out_(out),
      completion_tokens_max_(CompletionTokensMax(request_, *route_)),
      start_(steady_clock::now()),
      start_deadline_(start_ + milliseconds(context.config.start_wait_ms)),
      deadline_(start_ + milliseconds(context.config.http.request_timeout_ms)),
      next_comment_(start_ + milliseconds(context.config.keep_alive_comment_ms)) {}

Awaitable<void> Generation::Run(const billing::v1::ReserveRequest& reserve) {
  request_.set_request_id(reserve.request_id());
  const Status reserved = co_await Reserve(reserve);
  if (!reserved) {
    metered_.Finish(out_.gone() ? billing::v1::OUTCOME_CLIENT_CANCELLED : billing::v1::OUTCOME_FAULT);
    const std::string no_param;
    co_await answer_.Fail(reserved.error(), no_param);
    co_return;
  }
  const Attempt attempt = co_await TryUntilStarted();
  co_await Conclude(attempt);
}

Awaitable<Status> Generation::Reserve(const billing::v1::ReserveRequest& reserve) {
  const auto rpc = MakeContext(Caller::Service("gateway"), milliseconds(context_.config.reserve_timeout_ms));
  // Billing may just be restarting: that is worth a moment of the client's time.
  rpc->set_wait_for_ready(true);
  billing::v1::ReserveResponse response;
  const std::function<void(std::function<void(grpc::Status)>)> start = [&](std::function<void(grpc::Status)> done) {
    context_.usage.async()->Reserve(rpc.get(), &reserve, &response, std::move(done));
  };
  out_.OnInterrupt([&rpc] { rpc->TryCancel(); });
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

Awaitable<Generation::Attempt> Generation::TryUntilStarted() {
  Attempt attempt;
  while (true) {
    Result<std::shared_ptr<Replica>> replica = co_await FindReplica();
    if (!replica) {
      // What the last replica said is better news than that no other was found in time.
      if (!attempt.retry) attempt.error = replica.error();
      co_return attempt;
    }
    attempt = co_await Try(**replica);
    if (!attempt.retry) co_return attempt;
    failed_targets_.push_back((*replica)->target);
  }
}

Awaitable<Result<std::shared_ptr<Replica>>> Generation::FindReplica() {
  while (true) {
    if (out_.gone() || out_.shutting_down()) {
      co_return std::unexpected(
          Unavailable("SHUTTING_DOWN", "the gateway is restarting; try again", milliseconds(1000)));
    }
    if (auto current = context_.routes.Find(route_->instance)) route_ = std::move(current);
    std::shared_ptr<Replica> replica = PickReplica(*route_, failed_targets_);
    const SteadyTime now = steady_clock::now();
    if (replica && (failed_targets_.empty() || now < start_deadline_)) co_return replica;
    if (now >= start_deadline_) {
      co_return std::unexpected(Unavailable("NO_READY_REPLICA",
                                            "the instance has no ready replica yet; it is being started, try again",
                                            milliseconds(2000)));
    }
    const SteadyTime until = std::min({start_deadline_, next_comment_, now + kRetryPause});
    const bool place_to_wait = co_await WaitForRoutes(until);
    if (!place_to_wait) {
      co_return std::unexpected(
          Unavailable("TOO_MANY_WAITING", "too many requests wait for an instance to start", milliseconds(2000)));
    }
    // Everything known has failed once: after a pause all are worth another try.
    failed_targets_.clear();
    if (steady_clock::now() >= next_comment_) {
      co_await answer_.KeepAlive();
      next_comment_ = steady_clock::now() + milliseconds(context_.config.keep_alive_comment_ms);
    }
  }
}

Awaitable<bool> Generation::WaitForRoutes(SteadyTime until) {
  const int limit = context_.config.start_waiters_max;
  if (context_.start_waiters.fetch_add(1) >= limit) {
    context_.start_waiters.fetch_sub(1);
    co_return false;
  }
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto wakeup = std::make_shared<Wakeup>(executor);
  const auto notify = [executor, wakeup] { asio::post(executor, [wakeup] { wakeup->Notify(); }); };
  const std::uint64_t id = context_.routes.OnNextChange(notify);
  out_.OnInterrupt(notify);
  co_await wakeup->Wait(until);
  out_.OnInterrupt(nullptr);
  context_.routes.Forget(id);
  context_.start_waiters.fetch_sub(1);
  co_return true;
}

Awaitable<Generation::Attempt> Generation::Try(Replica& replica) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const Outstanding outstanding(replica, completion_tokens_max_);
  WorkerCall call(replica.channel, request_, deadline_, executor);
  out_.OnInterrupt([&call] { call.Cancel(); });
  Attempt attempt = co_await Pump(call);
  out_.OnInterrupt(nullptr);
  co_await call.Finish();
  if (attempt.finished) co_return attempt;
  if (attempt.error.code == Code::kOk) attempt.error = Error{Code::kCancelled, "CLIENT_GONE", "the client is gone"};
  const Code code = attempt.error.code;
  const bool replaceable = code == Code::kUnavailable || attempt.error.reason == "QUEUE_FULL";
  attempt.retry = replaceable && !answer_.has_text() && !out_.gone() && !out_.shutting_down();
  co_return attempt;
}

Awaitable<Generation::Attempt> Generation::Pump(WorkerCall& call) {
  Attempt attempt{.error = Error{Code::kOk}};
  bool client_there = true;
  while (client_there) {
    const WorkerCall::Event event =
        co_await call.Next(steady_clock::now() + milliseconds(context_.config.keep_alive_comment_ms));
    if (event == WorkerCall::Event::kTimeout) {
      client_there = co_await answer_.KeepAlive();
    } else if (event == WorkerCall::Event::kEnd) {
      attempt.error = call.status().ok()
                          ? Error{Code::kUnavailable, "WORKER_LOST", "the replica ended without an answer"}
                          : FromGrpc(call.status());
      co_return attempt;
    } else if (call.message().has_started()) {
      client_there = co_await answer_.Started(call.message().started().prompt_tokens());
    } else if (call.message().has_delta()) {
      const GenerateResponse::Delta& delta = call.message().delta();
      client_there = co_await answer_.Delta(delta.text(), delta.token_count());
      if (client_there) CountDelta();
    } else if (call.message().has_finished()) {
      attempt.finished = co_await answer_.Finished(call.message().finished().reason());
      co_return attempt;
    }
  }
  co_return attempt;
}

void Generation::CountDelta() {
  const SteadyTime now = steady_clock::now();
  if (last_delta_ == SteadyTime{}) {
    ObserveFirstToken(now - start_);
  } else {
    ObserveNextToken(now - last_delta_);
  }
  last_delta_ = now;
}

Awaitable<void> Generation::Conclude(const Attempt& attempt) {
  if (attempt.finished) {
    metered_.Finish(billing::v1::OUTCOME_COMPLETED);
    co_return;
  }
  if (out_.gone()) {
    metered_.Finish(billing::v1::OUTCOME_CLIENT_CANCELLED);
    co_return;
  }
  Error error = attempt.error;
  const bool callers_mistake = error.code == Code::kInvalidArgument || error.code == Code::kOutOfRange;
  if (callers_mistake) {
    // Refused before any compute: nothing to bill, and no fault of ours.
    metered_.SetPromptTokens(0);
    metered_.Finish(billing::v1::OUTCOME_COMPLETED);
  } else {
    metered_.Finish(billing::v1::OUTCOME_FAULT);
    Log(LogLevel::kWarning, "generation failed",
        {{"request_id", request_.request_id()}, {"instance", route_->instance}, {"error", error.message}});
  }
  if (out_.shutting_down())
    error = Unavailable("SHUTTING_DOWN", "the gateway is restarting; try again", milliseconds(1000));
  if (error.code == Code::kUnavailable && error.reason == "RPC_FAILED") {
    error = Unavailable("WORKER_LOST", "the replica that was answering was lost; try again", milliseconds(1000));
  }
  const std::string param = error.reason != "CONTEXT_LENGTH_EXCEEDED" ? ""
                            : request_.has_chat()                     ? "messages"
                                                                      : "prompt";
  co_await answer_.Fail(error, param);
}

}  // namespace allod::gateway
