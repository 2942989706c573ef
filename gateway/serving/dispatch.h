// Finds a replica for a job and runs it there, waiting for one that is started or woken, and replacing one that fails.
// Nothing runs on terms that the request's hold does not cover: when the instance was updated meanwhile, the money is
// held again, on the terms of the route that was chosen, before the call is made.
//
// The wait is bounded in time (`wake_wait_ms_max`, from admission) and in number (a seat in the waiting room per
// request until its connection stands). While it waits, a stream gets comments. A replica that cannot be reached, or
// dies before anything was delivered, is replaced by another or tried again within the wait; one that took the request
// up and died, once. The client's leaving cancels the worker's call at once. One per request; used by one coroutine.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/http/response_writer.h"
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
    SteadyTime deadline;  // of the whole request
  };
  // How it ended: answered, or an error for the client (which may be gone).
  struct Ending {
    bool answered = false;
    Error error{Code::kUnknown};
  };

  // All references must outlive Run().
  Dispatch(const Limits& limits, RouteTable& routes, WaitingRoom& room, std::shared_ptr<const InstanceRoute> route,
           const Times& times, Hold& hold, WorkerJob& job, http::ResponseWriter& out);

  http::Awaitable<Ending> Run();

 private:
  http::Awaitable<Result<std::shared_ptr<Replica>>> FindReplica();
  http::Awaitable<void> WaitForRoutes(SteadyTime until);
  http::Awaitable<Ending> Try(Replica& replica);
  http::Awaitable<Ending> Follow(WorkerCall& call, Replica& replica, const std::shared_ptr<grpc::Channel>& channel);
  // Whether the connection stands; an error when it will not.
  Result<bool> CheckConnection(Replica& replica, const std::shared_ptr<grpc::Channel>& channel);
  bool MayTryAgain(const Error& error);
  // A stream whose replica is gone because of what the tenant did to its instance.
  bool IsEndedByChange(const Replica& replica, const Error& error) const;
  http::Awaitable<bool> CommentIfDue();
  // The error when every seat is taken.
  Status TakeSeat();
  void Connected();
  Error NotInTime() const;

  const Limits& limits_;
  RouteTable& routes_;
  WaitingRoom& room_;
  std::shared_ptr<const InstanceRoute> route_;
  const Times times_;
  Hold& hold_;
  WorkerJob& job_;
  http::ResponseWriter& out_;
  const SteadyTime wait_ends_;
  SteadyTime next_comment_;
  std::chrono::milliseconds pause_;
  std::optional<WaitingRoom::Seat> seat_;
  std::vector<std::string> failed_targets_;
  bool connected_ = false;
  bool queue_full_ = false;  // somewhere; no reason to wait
  int tries_ = 0;
};

// On what terms the job would run on a replica of this route.
HoldTerms TermsOn(const InstanceRoute& route, const WorkerJob& job);

}  // namespace allod::gateway::serving
