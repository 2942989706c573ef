// One call to a worker, followed from a coroutine: its messages as they come, or that nothing came for a while.
//
// Used on one strand. Cancel() frees the worker at its next step.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>

#include "gateway/http/awaitable.h"
#include "services/common/trace.h"

namespace allod::gateway::serving {

class WorkerCall {
 public:
  enum class Event { kMessage, kTimeout, kEnd };
  using SteadyTime = std::chrono::steady_clock::time_point;

  virtual ~WorkerCall() = default;
  // Waits for the next message until `until`; after kEnd no more. A message is only asked for here, so that a client
  // that does not read holds the worker back.
  virtual http::Awaitable<Event> Next(SteadyTime until) = 0;
  // After kEnd.
  virtual const grpc::Status& status() const = 0;
  virtual void Cancel() = 0;
  // Cancels and waits until gRPC is done with the call.
  http::Awaitable<void> Finish();
};

// The context of a call to a worker: our identity, the deadline, the request's trace, and patience for a worker that is
// being started.
std::unique_ptr<grpc::ClientContext> MakeWorkerContext(std::chrono::steady_clock::time_point deadline,
                                                       const Trace& trace);

}  // namespace allod::gateway::serving
