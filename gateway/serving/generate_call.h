// One Generate call to a worker. A few messages wait here (8, or 2 KiB), the rest in gRPC's small flow-control window.
#pragma once

#include <memory>

#include "allod/inference/v1/worker.pb.h"
#include "gateway/serving/worker_call.h"

namespace allod::gateway::serving {

class GenerateCall final : public WorkerCall {
 public:
  // Starts the call. `executor` is the strand that uses it.
  GenerateCall(const std::shared_ptr<grpc::Channel>& channel,
               std::shared_ptr<const inference::v1::GenerateRequest> request, SteadyTime deadline, const Trace& trace,
               const boost::asio::any_io_executor& executor);
  ~GenerateCall() override;  // Cancel()
  GenerateCall(const GenerateCall&) = delete;

  http::Awaitable<Event> Next(SteadyTime until) override;
  const grpc::Status& status() const override;
  void Cancel() override;
  // After kMessage, until the next Next().
  inference::v1::GenerateResponse& message();

 private:
  class Reactor;
  std::shared_ptr<Reactor> reactor_;
};

}  // namespace allod::gateway::serving
