// One Generate call to a worker, read message by message from a coroutine.
//
// The next message is asked for only when Next() is called, so a client that does not read holds the worker back: at
// most one message waits here, the rest in gRPC's flow-control window. Cancel() frees the worker at its next step.
#pragma once

#include <memory>

#include "allod/inference/v1/worker.pb.h"
#include "gateway/awaitable.h"

namespace allod::gateway {

class WorkerCall {
 public:
  enum class Event { kMessage, kTimeout, kEnd };

  // Starts the call. `executor` is the strand that uses it.
  WorkerCall(const std::shared_ptr<grpc::Channel>& channel, const inference::v1::GenerateRequest& request,
             std::chrono::steady_clock::time_point deadline, const boost::asio::any_io_executor& executor);
  ~WorkerCall();  // Cancel()
  WorkerCall(const WorkerCall&) = delete;

  // Waits for the next message until `until`; after kEnd no more.
  Awaitable<Event> Next(std::chrono::steady_clock::time_point until);
  // After kMessage, until the next Next().
  const inference::v1::GenerateResponse& message() const;
  // After kEnd.
  const grpc::Status& status() const;
  void Cancel();
  // Cancels and waits until gRPC is done with the call.
  Awaitable<void> Finish();

 private:
  class Reactor;
  std::shared_ptr<Reactor> reactor_;
};

}  // namespace allod::gateway
