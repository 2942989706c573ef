#include "gateway/serving/dispatch.h"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/serving/peer_errors.h"
#include "gateway/telemetry/instance_metrics.h"
#include "services/common/rpc/status.h"

namespace allod::gateway::serving {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

// Between tries when every known replica has failed: doubled each time.
constexpr milliseconds kPauseMin(25);
constexpr milliseconds kPauseMax(1000);
// How soon a new connection is noticed.
constexpr milliseconds kConnectionCheck(10);
// A request that a worker took up before it died may be what killed it.
constexpr int kTriesMax = 8;
constexpr int kTriesWhenStartedMax = 2;

Error Unavailable(std::string reason, std::string message, milliseconds retry_after) {
  Error out{Code::kUnavailable, std::move(reason), std::move(message)};
  out.retry_after = retry_after;
  return out;
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

Dispatch::Dispatch(const Limits& limits, RouteTable& routes, WaitingRoom& room,
                   std::shared_ptr<const InstanceRoute> route, const Times& times, Hold& hold, WorkerJob& job,
                   http::ResponseWriter& out)
    : limits_(limits),
      routes_(routes),
      room_(room),
      route_(std::move(route)),
      times_(times),
      hold_(hold),
      job_(job),
      out_(out),
      wait_ends_(times_.start + milliseconds(limits.wake_wait_ms_max)),
      next_comment_(times_.start + milliseconds(limits.keep_alive_comment_ms)),
      pause_(kPauseMin) {}

HoldTerms TermsOn(const InstanceRoute& route, const WorkerJob& job) {
  return {route.variant, route.price_book, route.isolation_class, job.WorstCase(route.context_tokens)};
}

http::Awaitable<Dispatch::Ending> Dispatch::Run() {
  while (true) {
    const Result<std::shared_ptr<Replica>> replica = co_await FindReplica();
    if (!replica) co_return Ending{.error = replica.error()};
    HoldTerms terms = TermsOn(*route_, job_);
    if (!hold_.Covers(terms)) {
      const Status held = co_await hold_.Replace(std::move(terms));
      if (!held) co_return Ending{.error = held.error()};
      continue;  // the route may have changed once more meanwhile
    }
    Ending ending = co_await Try(**replica);
    if (ending.answered) co_return ending;
    if (IsEndedByChange(**replica, ending.error)) {
      co_return Ending{.error = {Code::kFailedPrecondition, "INSTANCE_CHANGED",
                                 "the instance was changed or deleted while this answer was under way"}};
    }
    if (!MayTryAgain(ending.error)) co_return ending;
    failed_targets_.push_back((*replica)->target);
  }
}

bool Dispatch::IsEndedByChange(const Replica& replica, const Error& error) const {
  if (error.code != Code::kUnavailable || !job_.delivered() || out_.gone() || out_.shutting_down()) return false;
  const bool was_ended = error.reason == "DRAINED";
  return EndedByChange(*route_, replica.target, routes_.Find(route_->instance).get(), was_ended);
}

bool Dispatch::MayTryAgain(const Error& error) {
  ++tries_;
  if (out_.gone() || out_.shutting_down() || job_.delivered()) return false;
  if (error.reason == "QUEUE_FULL") {
    queue_full_ = true;
    return route_->replicas.size() > 1;
  }
  // What never reached a worker may be tried as often as the wait allows.
  if (error.code != Code::kUnavailable || error.reason == "TOO_MANY_WAITING") return false;
  const int tries_max = job_.started() ? kTriesWhenStartedMax : kTriesMax;
  return !connected_ || tries_ < tries_max;
}

http::Awaitable<Result<std::shared_ptr<Replica>>> Dispatch::FindReplica() {
  while (true) {
    if (out_.gone() || out_.shutting_down()) {
      co_return std::unexpected(
          Unavailable("SHUTTING_DOWN", "the gateway is restarting; try again", milliseconds(1000)));
    }
    if (auto current = routes_.Find(route_->instance)) route_ = std::move(current);
    const SteadyTime now = steady_clock::now();
    std::shared_ptr<Replica> replica = PickReplica(*route_, failed_targets_);
    if (replica && (tries_ == 0 || now < wait_ends_)) co_return replica;
    if (queue_full_) {
      co_return std::unexpected(Error{Code::kResourceExhausted, "QUEUE_FULL",
                                      "every replica of the instance has as many requests as it takes; try again",
                                      milliseconds(1000)});
    }
    if (now >= wait_ends_) co_return std::unexpected(NotInTime());
    if (tries_ == 1 && !failed_targets_.empty()) {
      // It may have gone to sleep in between: the next connection wakes it.
      failed_targets_.clear();
      ++tries_;
      continue;
    }
    if (const Status seat = TakeSeat(); !seat) co_return std::unexpected(seat.error());
    const SteadyTime until = std::min({wait_ends_, next_comment_, now + pause_});
    co_await WaitForRoutes(until);
    pause_ = std::min(pause_ * 2, kPauseMax);
    failed_targets_.clear();
    co_await CommentIfDue();
  }
}

http::Awaitable<void> Dispatch::WaitForRoutes(SteadyTime until) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto wakeup = std::make_shared<http::Wakeup>(executor);
  const auto notify = [executor, wakeup] { asio::post(executor, [wakeup] { wakeup->Notify(); }); };
  const std::uint64_t id = routes_.OnNextChange(notify);
  out_.OnInterrupt(notify);
  co_await wakeup->Wait(until);
  out_.OnInterrupt(nullptr);
  routes_.Forget(id);
}

http::Awaitable<Dispatch::Ending> Dispatch::Try(Replica& replica) {
  const std::shared_ptr<grpc::Channel> channel = replica.channel.Get();
  connected_ = channel->GetState(false) == GRPC_CHANNEL_READY;
  if (connected_) {
    Connected();
  } else if (const Status seat = TakeSeat(); !seat) {
    co_return Ending{.error = seat.error()};
  }
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const Outstanding outstanding(replica, hold_.bounds().completion);
  job_.Bound(hold_.bounds());
  WorkerCall& call = job_.Start(channel, times_.deadline, executor);
  out_.OnInterrupt([&call] { call.Cancel(); });
  Ending ending = co_await Follow(call, replica, channel);
  out_.OnInterrupt(nullptr);
  co_await call.Finish();
  co_return ending;
}

http::Awaitable<Dispatch::Ending> Dispatch::Follow(WorkerCall& call, Replica& replica,
                                                   const std::shared_ptr<grpc::Channel>& channel) {
  while (true) {
    const SteadyTime check = connected_ ? SteadyTime::max() : steady_clock::now() + kConnectionCheck;
    const WorkerCall::Event event = co_await call.Next(std::min(check, next_comment_));
    WorkerJob::Progress progress = WorkerJob::Progress::kMore;
    if (event == WorkerCall::Event::kTimeout) {
      if (!connected_) {
        const Result<bool> connected = CheckConnection(replica, channel);
        if (!connected) co_return Ending{.error = connected.error()};
        if (*connected) Connected();
      }
      const bool there = co_await CommentIfDue();
      if (!there) progress = WorkerJob::Progress::kClientGone;
    } else {
      Connected();
      next_comment_ = steady_clock::now() + milliseconds(limits_.keep_alive_comment_ms);
      if (event == WorkerCall::Event::kMessage) {
        progress = co_await job_.TakeMessage();
      } else if (call.status().ok()) {
        progress = co_await job_.TakeEnd();
      } else {
        Error error = OfWorker(FromGrpc(call.status()));
        // The connection broke, or the worker says that it ends: it must not be made anew by anything but a call.
        if (channel->GetState(false) != GRPC_CHANNEL_READY) replica.channel.Discard(channel);
        co_return Ending{.error = std::move(error)};
      }
    }
    if (progress == WorkerJob::Progress::kAnswered) co_return Ending{.answered = true};
    if (progress == WorkerJob::Progress::kRefused) co_return Ending{.error = job_.error()};
    if (progress == WorkerJob::Progress::kClientGone) {
      co_return Ending{.error = {Code::kCancelled, "CLIENT_GONE", "the client is gone"}};
    }
  }
}

Result<bool> Dispatch::CheckConnection(Replica& replica, const std::shared_ptr<grpc::Channel>& channel) {
  const grpc_connectivity_state state = channel->GetState(false);
  if (state == GRPC_CHANNEL_READY) return true;
  if (state == GRPC_CHANNEL_TRANSIENT_FAILURE || state == GRPC_CHANNEL_SHUTDOWN) {
    replica.channel.Discard(channel);
    return std::unexpected(Unavailable("REPLICA_UNREACHABLE", "the replica cannot be reached", milliseconds(1000)));
  }
  if (steady_clock::now() < wait_ends_) return false;
  replica.channel.Discard(channel);
  return std::unexpected(NotInTime());
}

http::Awaitable<bool> Dispatch::CommentIfDue() {
  if (steady_clock::now() < next_comment_) co_return true;
  next_comment_ = steady_clock::now() + milliseconds(limits_.keep_alive_comment_ms);
  const bool there = co_await job_.KeepAlive();
  co_return there;
}

Status Dispatch::TakeSeat() {
  if (seat_) return {};
  std::optional<WaitingRoom::Seat> seat = room_.Enter(route_->instance);
  if (!seat) {
    return std::unexpected(Unavailable(
        "TOO_MANY_WAITING",
        fmt::format("{} requests wait for this instance to start already; try again", limits_.waiting_per_instance_max),
        milliseconds(2000)));
  }
  seat_.emplace(*std::move(seat));
  return {};
}

void Dispatch::Connected() {
  connected_ = true;
  seat_.reset();
}

Error Dispatch::NotInTime() const {
  return Unavailable(
      "NO_READY_REPLICA",
      fmt::format("the instance was not ready within {} ms: try again while it is being started; if it cannot be, its "
                  "status says why (GET /portal/v1/{})",
                  limits_.wake_wait_ms_max, route_->instance),
      milliseconds(2000));
}

}  // namespace allod::gateway::serving
