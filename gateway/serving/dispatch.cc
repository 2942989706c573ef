#include "gateway/serving/dispatch.h"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/metering/funds_errors.h"
#include "gateway/serving/peer_errors.h"
#include "gateway/telemetry/instance_metrics.h"
#include "services/common/fault_point.h"
#include "services/common/rpc/status.h"

namespace allod::gateway::serving {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

// How soon a new connection is noticed.
constexpr milliseconds kConnectionCheck(10);

// No longer than the request may take.
milliseconds WaitMax(const Limits& limits, const Dispatch::Times& times) {
  return std::min(milliseconds(limits.wake_wait_ms_max),
                  std::chrono::duration_cast<milliseconds>(times.limit - times.start));
}

Error Stopped() {
  return {
      Code::kFailedPrecondition, "INSTANCE_CHANGED",
      "the instance was stopped: its tenant is suspended, or its region is no longer in the tenant's residency; its "
      "status says which"};
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
      state_{.wait_max = WaitMax(limits, times), .wait_ends = times_.start + WaitMax(limits, times)},
      next_comment_(times_.start + milliseconds(limits.keep_alive_comment_ms)) {}

HoldTerms TermsOn(const InstanceRoute& route, const WorkerJob& job) {
  return {{route.variant, route.price_book, route.isolation_class}, job.WorstCase(route.context_tokens)};
}

http::Awaitable<Dispatch::Ending> Dispatch::Run() {
  while (true) {
    if (routes_.IsStopped(route_->instance)) co_return Ending{.error = Stopped()};
    if (auto current = routes_.Find(route_->instance)) route_ = std::move(current);
    const DispatchStep step = NextStep(state_, *route_, leaving(), steady_clock::now());
    if (step.kind == DispatchStep::Kind::kGiveUp) co_return Ending{.error = step.error};
    if (step.kind == DispatchStep::Kind::kWait) {
      if (const Status seat = TakeSeat(); !seat) co_return Ending{.error = seat.error()};
      co_await WaitForRoutes(std::min(step.until, next_comment_));
      co_await CommentIfDue();
      continue;
    }
    HoldTerms terms = TermsOn(*route_, job_);
    if (!hold_.Covers(terms)) {
      const Status held = co_await hold_.Replace(std::move(terms));
      if (!held) co_return Ending{.error = held.error()};
      continue;  // the route may have changed once more meanwhile
    }
    Ending ending = co_await Try(*step.replica);
    if (ending.answered || ending.last) co_return ending;
    if (routes_.IsStopped(route_->instance) && !leaving()) co_return Ending{.error = Stopped()};
    const std::shared_ptr<const InstanceRoute> current = routes_.Find(route_->instance);
    const std::optional<Error> last = AfterFailure(state_, {.error = std::move(ending.error),
                                                            .target = step.replica->target,
                                                            .route = route_.get(),
                                                            .current = current.get(),
                                                            .leaving = leaving(),
                                                            .connected = connected_,
                                                            .started = job_.started(),
                                                            .delivered = job_.delivered()});
    if (last) co_return Ending{.error = *last};
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
  PassFaultPoint(FaultPoint::kWorkerCalled);
  out_.OnInterrupt([&call] { call.Cancel(); });
  // Said on a thread of the route table's; the call may be over when it is heard here.
  const auto running = std::make_shared<WorkerCall*>(&call);
  const std::uint64_t stopped = routes_.OnStopped(route_->instance, [executor, running] {
    asio::post(executor, [running] {
      if (*running != nullptr) (*running)->Cancel();
    });
  });
  Ending ending = co_await Follow(call, replica, channel);
  routes_.Forget(stopped);
  *running = nullptr;
  out_.OnInterrupt(nullptr);
  PassFaultPoint(FaultPoint::kWorkerFinished);
  co_await call.Finish();
  co_return ending;
}

http::Awaitable<Dispatch::Ending> Dispatch::Follow(WorkerCall& call, Replica& replica,
                                                   const std::shared_ptr<grpc::Channel>& channel) {
  while (true) {
    // Also when the client took the last message only now, and the call was cut meanwhile.
    if (steady_clock::now() >= times_.limit) break;
    const SteadyTime check = connected_ ? SteadyTime::max() : steady_clock::now() + kConnectionCheck;
    const WorkerCall::Event event = co_await call.Next(std::min(std::min(check, next_comment_), times_.limit));
    WorkerJob::Progress progress = WorkerJob::Progress::kMore;
    if (event == WorkerCall::Event::kTimeout) {
      if (!connected_) {
        const Result<bool> connected =
            CheckConnection(state_, channel->GetState(false), route_->instance, steady_clock::now());
        if (!connected) {
          replica.channel.Discard(channel);
          co_return Ending{.error = connected.error()};
        }
        if (*connected) Connected();
      }
      const bool there = co_await CommentIfDue();
      if (!there) progress = WorkerJob::Progress::kClientGone;
    } else {
      Connected();
      next_comment_ = steady_clock::now() + milliseconds(limits_.keep_alive_comment_ms);
      if (event == WorkerCall::Event::kMessage) {
        std::optional<Ending> ending = co_await CoverMessage(call);
        if (ending) co_return *std::move(ending);
        PassFaultPoint(FaultPoint::kWorkerMessage);
        progress = co_await job_.TakeMessage();
      } else if (call.status().ok()) {
        progress = co_await job_.TakeEnd();
      } else {
        Error error = OfWorker(FromGrpc(call.status()));
        if (error.code == Code::kDeadlineExceeded && steady_clock::now() >= times_.limit) break;
        // The connection broke, or the worker says that it ends: it must not be made anew by anything but a call.
        if (channel->GetState(false) != GRPC_CHANNEL_READY) replica.channel.Discard(channel);
        co_return Ending{.error = std::move(error)};
      }
    }
    if (progress != WorkerJob::Progress::kMore) co_return EndingOf(progress);
  }
  Ending ending = co_await EndAtLimit(call);
  co_return ending;
}

http::Awaitable<Dispatch::Ending> Dispatch::EndAtLimit(WorkerCall& call) {
  call.Cancel();  // the worker does not wait until the client has taken the end
  const WorkerJob::Progress progress = co_await job_.EndAtLimit();
  if (progress != WorkerJob::Progress::kMore) co_return EndingOf(progress);
  co_return Ending{
      .error = {Code::kDeadlineExceeded, "NO_ANSWER_IN_TIME",
                fmt::format("nothing of the answer came within the {} ms that a request may take; try again",
                            std::chrono::duration_cast<milliseconds>(times_.limit - times_.start).count())}};
}

http::Awaitable<std::optional<Dispatch::Ending>> Dispatch::CoverMessage(WorkerCall& call) {
  const std::int64_t tokens = job_.CompletionTokens();
  // What is more than the request may have is refused when it is taken.
  if (tokens <= hold_.completion_held() || tokens > hold_.bounds().completion) co_return std::nullopt;
  const Status extended = co_await hold_.Extend(tokens);
  out_.OnInterrupt([&call] { call.Cancel(); });  // whoever waited for money had its own
  if (extended) co_return std::nullopt;
  if (!metering::IsMissingMoney(extended.error())) co_return Ending{.error = extended.error(), .last = true};
  call.Cancel();  // as at the limit of its time
  const WorkerJob::Progress progress = co_await job_.EndAtLimit();
  if (progress != WorkerJob::Progress::kMore) co_return EndingOf(progress);
  co_return Ending{.error = extended.error(), .last = true};
}

Dispatch::Ending Dispatch::EndingOf(WorkerJob::Progress progress) const {
  if (progress == WorkerJob::Progress::kAnswered) return {.answered = true};
  if (progress == WorkerJob::Progress::kRefused) return {.error = job_.error()};
  return {.error = {Code::kCancelled, "CLIENT_GONE", "the client is gone"}};
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
    return std::unexpected(Error{
        Code::kUnavailable, "TOO_MANY_WAITING",
        fmt::format("{} requests wait for this instance to start already; try again", limits_.waiting_per_instance_max),
        milliseconds(2000)});
  }
  seat_.emplace(*std::move(seat));
  return {};
}

void Dispatch::Connected() {
  connected_ = true;
  seat_.reset();
}

}  // namespace allod::gateway::serving
