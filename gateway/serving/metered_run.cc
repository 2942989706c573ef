#include "gateway/serving/metered_run.h"

#include "gateway/serving/outcome.h"
#include "gateway/serving/peer_errors.h"
#include "services/common/fault_point.h"
#include "services/common/log.h"

namespace allod::gateway::serving {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

// A worker is told of a request's limit as the deadline of its call, so that it ends also if this gateway does not say
// so. It is told a later one: an answer is ended here, and a deadline would cut the call under it.
constexpr milliseconds kCallOutlastsLimit(1000);

}  // namespace

http::Awaitable<void> MeteredRun::Run(Hold::Owner owner) {
  const steady_clock::time_point start = steady_clock::now();
  PassFaultPoint(FaultPoint::kRunAdmitted);
  Hold hold(context_.funds, std::move(owner), metered_, out_);
  HoldTerms terms = TermsOn(*route_, job_);
  const Status held = co_await hold.Make(std::move(terms));
  if (!held) {
    metered_.Finish(billing::v1::OUTCOME_FAULT);  // there is nothing to settle
    co_await job_.Fail(held.error());
    co_return;
  }
  if (out_.gone()) {
    metered_.Finish(billing::v1::OUTCOME_CLIENT_CANCELLED);
    co_return;
  }
  const steady_clock::time_point limit = start + context_.request_timeout;
  const Dispatch::Times times{start, limit, limit + kCallOutlastsLimit};
  Dispatch dispatch(context_.limits, context_.routes, context_.room, route_, times, hold, job_, out_);
  PassFaultPoint(FaultPoint::kRunDispatching);
  const Dispatch::Ending ending = co_await dispatch.Run();
  co_await Conclude(ending, hold.request_id());
}

http::Awaitable<void> MeteredRun::Conclude(const Dispatch::Ending& ending, const std::string& request_id) {
  const RunEnd end{.answered = ending.answered,
                   .client_gone = out_.gone(),
                   .started = job_.started(),
                   .delivered = job_.delivered(),
                   .error = ending.error};
  const billing::v1::Outcome outcome = OutcomeOf(end);
  PassFaultPoint(FaultPoint::kRunEnded);
  metered_.Finish(outcome);
  if (end.answered || end.client_gone) co_return;
  Error error = ending.error;
  if (outcome == billing::v1::OUTCOME_FAULT) {
    Log(LogLevel::kWarning, "request failed",
        {{"request_id", request_id},
         {"instance", route_->instance},
         {"reason", error.reason},
         {"error", error.message},
         {"trace", out_.trace().trace_id}});
    if (IsCallersDoing(error)) error = {Code::kInternal, "WORKER_FAILED", "the replica broke off its answer"};
  }
  if (out_.shutting_down()) {
    error = {Code::kUnavailable, "SHUTTING_DOWN", "the gateway is restarting; try again", milliseconds(1000)};
  }
  if (error.code == Code::kUnavailable && (error.reason == "RPC_FAILED" || error.reason == "DRAINED")) {
    error = {Code::kUnavailable, "WORKER_LOST", "the replica that was answering was lost; try again",
             milliseconds(1000)};
  }
  co_await job_.Fail(error);
}

}  // namespace allod::gateway::serving
