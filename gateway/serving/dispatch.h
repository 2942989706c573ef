// Finds a replica for a job and runs it there, waiting for one that is started or woken, and replacing one that fails;
// dispatch_step.h decides which of these, when, and for how long. Nothing runs on terms that the request's hold does
// not cover: when the instance was updated meanwhile, the money is held again, on the terms of the route that was
// chosen, before the call is made.
//
// A rule that comes to forbid the instance to run (its tenant is suspended) ends a request at once, FAILED_PRECONDITION
// / INSTANCE_CHANGED: what was delivered stays.
//
// The wait is bounded in time (`wake_wait_ms_max`, from admission) and in number (a seat in the waiting room per
// request until its connection stands). While it waits, a stream gets comments. The client's leaving cancels the
// worker's call at once.
//
// A request's time has a limit. It is the client that decides how long an answer takes (by what it asks for, by its
// other requests, by how it reads), so the limit ends an answer as `max_tokens` does: the client gets what there is.
// Only one of which there is nothing fails. So it is with the tenant's money: an answer for which no more can be held
// ends with what there is. One per request; used by one coroutine.
#pragma once

#include <memory>
#include <optional>

#include "gateway/http/response_writer.h"
#include "gateway/serving/dispatch_step.h"
#include "gateway/serving/hold.h"
#include "gateway/serving/limits.h"
#include "gateway/serving/routes.h"
#include "gateway/serving/waiting_room.h"
#include "gateway/serving/worker_job.h"

namespace allod::gateway::serving {

class Dispatch {
 public:
  using SteadyTime = WorkerCall::SteadyTime;
  struct Times {
    SteadyTime start;     // when it was admitted
    SteadyTime limit;     // when its answer ends, with what there is of it
    SteadyTime deadline;  // of calls made for it: later, so that no call is cut before the answer was ended
  };
  // How it ended: answered, or an error for the client (which may be gone).
  struct Ending {
    bool answered = false;
    Error error{Code::kUnknown};
    bool last = false;  // whatever the error is, nothing is tried again
  };

  // All references must outlive Run().
  Dispatch(const Limits& limits, RouteTable& routes, WaitingRoom& room, std::shared_ptr<const InstanceRoute> route,
           const Times& times, Hold& hold, WorkerJob& job, http::ResponseWriter& out);

  http::Awaitable<Ending> Run();

 private:
  http::Awaitable<void> WaitForRoutes(SteadyTime until);
  http::Awaitable<Ending> Try(Replica& replica);
  http::Awaitable<Ending> Follow(WorkerCall& call, Replica& replica, const std::shared_ptr<grpc::Channel>& channel);
  http::Awaitable<Ending> EndAtLimit(WorkerCall& call);
  // What is held covers the message that came: nothing if it does, or now does.
  http::Awaitable<std::optional<Ending>> CoverMessage(WorkerCall& call);
  // Of any but kMore.
  Ending EndingOf(WorkerJob::Progress progress) const;
  http::Awaitable<bool> CommentIfDue();
  // The error when every seat is taken.
  Status TakeSeat();
  void Connected();
  bool leaving() const { return out_.gone() || out_.shutting_down(); }

  const Limits& limits_;
  RouteTable& routes_;
  WaitingRoom& room_;
  std::shared_ptr<const InstanceRoute> route_;
  const Times times_;
  Hold& hold_;
  WorkerJob& job_;
  http::ResponseWriter& out_;
  DispatchState state_;
  SteadyTime next_comment_;
  std::optional<WaitingRoom::Seat> seat_;
  bool connected_ = false;  // the connection of the newest try stands
};

// On what terms the job would run on a replica of this route.
HoldTerms TermsOn(const InstanceRoute& route, const WorkerJob& job);

}  // namespace allod::gateway::serving
