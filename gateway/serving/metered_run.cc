#include "gateway/serving/metered_run.h"

#include <fmt/format.h>

#include "gateway/serving/peer_errors.h"
#include "services/common/log.h"

namespace allod::gateway::serving {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

// How a request ends for billing that has no answer, or not all of one. What a caller's own constraint, its way of
// reading or its change of the instance cuts short ends as if the caller had left: else a constraint that fails after
// the last token, or a change before it, would make an answer free. Nothing else that a worker says in the middle of an
// answer is the caller's doing.
billing::v1::Outcome OutcomeOf(const Error& error, const WorkerJob& job) {
  if (error.reason == "INSTANCE_CHANGED" || error.reason == "READER_TOO_SLOW")
    return billing::v1::OUTCOME_CLIENT_CANCELLED;
  if (!IsCallersDoing(error)) return billing::v1::OUTCOME_FAULT;
  if (!job.started()) return billing::v1::OUTCOME_COMPLETED;  // refused before anything was computed
  if (job.delivered() && error.reason != "CONSTRAINT_TOO_COSTLY") return billing::v1::OUTCOME_FAULT;
  return billing::v1::OUTCOME_CLIENT_CANCELLED;
}

}  // namespace

http::Awaitable<void> MeteredRun::Run(billing::v1::ReserveRequest reserve) {
  const steady_clock::time_point start = steady_clock::now();
  Hold hold(context_.funds, std::move(reserve), metered_, out_);
  HoldTerms terms = TermsOn(*route_, job_);
  const Status held = co_await hold.Make(std::move(terms));
  if (!held) {
    metered_.Finish(out_.gone() ? billing::v1::OUTCOME_CLIENT_CANCELLED : billing::v1::OUTCOME_FAULT);
    co_await job_.Fail(held.error());
    co_return;
  }
  if (out_.gone()) {
    metered_.Finish(billing::v1::OUTCOME_CLIENT_CANCELLED);
    co_return;
  }
  const Dispatch::Times times{start, start + context_.request_timeout};
  Dispatch dispatch(context_.limits, context_.routes, context_.room, route_, times, hold, job_, out_);
  const Dispatch::Ending ending = co_await dispatch.Run();
  co_await Conclude(ending, hold.request_id());
}

http::Awaitable<void> MeteredRun::Conclude(const Dispatch::Ending& ending, const std::string& request_id) {
  if (ending.answered) {
    metered_.Finish(billing::v1::OUTCOME_COMPLETED);
    co_return;
  }
  if (out_.gone()) {
    metered_.Finish(billing::v1::OUTCOME_CLIENT_CANCELLED);
    co_return;
  }
  Error error = ending.error;
  if (error.code == Code::kDeadlineExceeded && job_.held_by_client() > context_.request_timeout / 2) {
    error = {Code::kFailedPrecondition, "READER_TOO_SLOW",
             fmt::format("the answer was not taken within {} ms", context_.request_timeout.count())};
  }
  const billing::v1::Outcome outcome = OutcomeOf(error, job_);
  metered_.Finish(outcome);
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
