// One Embed call to a worker: no messages, an answer at the end.
#pragma once

#include <memory>

#include "allod/inference/v1/worker.pb.h"
#include "gateway/serving/worker_call.h"

namespace allod::gateway::serving {

class EmbedCall final : public WorkerCall {
 public:
  // Starts the call. `executor` is the strand that uses it.
  EmbedCall(const std::shared_ptr<grpc::Channel>& channel, std::shared_ptr<const inference::v1::EmbedRequest> request,
            SteadyTime deadline, const Trace& trace, const boost::asio::any_io_executor& executor);
  ~EmbedCall() override;  // Cancel()
  EmbedCall(const EmbedCall&) = delete;

  http::Awaitable<Event> Next(SteadyTime until) override;
  const grpc::Status& status() const override;
  void Cancel() override;
  // After kEnd with an OK status.
  const inference::v1::EmbedResponse& response() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace allod::gateway::serving
