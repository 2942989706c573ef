#include "gateway/serving/embed_call.h"

#include "allod/inference/v1/worker.grpc.pb.h"

namespace allod::gateway::serving {

namespace asio = boost::asio;
using std::chrono::steady_clock;

// Lives until gRPC is done with the call, which may be after the EmbedCall is gone.
struct EmbedCall::State {
  explicit State(const asio::any_io_executor& executor) : changed(executor) {}
  std::unique_ptr<grpc::ClientContext> context;
  std::unique_ptr<inference::v1::WorkerService::Stub> stub;
  std::shared_ptr<const inference::v1::EmbedRequest> request;
  inference::v1::EmbedResponse response;
  http::Wakeup changed;
  grpc::Status status;
  bool done = false;
};

EmbedCall::EmbedCall(const std::shared_ptr<grpc::Channel>& channel,
                     std::shared_ptr<const inference::v1::EmbedRequest> request, SteadyTime deadline,
                     const Trace& trace, const asio::any_io_executor& executor)
    : state_(std::make_shared<State>(executor)) {
  state_->context = MakeWorkerContext(deadline, trace);
  state_->stub = inference::v1::WorkerService::NewStub(channel);
  state_->request = std::move(request);
  state_->stub->async()->Embed(state_->context.get(), state_->request.get(), &state_->response,
                               [state = state_, executor](grpc::Status status) {
                                 asio::post(executor, [state, status = std::move(status)] {
                                   state->status = status;
                                   state->done = true;
                                   state->changed.Notify();
                                 });
                               });
}

EmbedCall::~EmbedCall() { Cancel(); }

http::Awaitable<WorkerCall::Event> EmbedCall::Next(SteadyTime until) {
  while (!state_->done) {
    const bool notified = co_await state_->changed.Wait(until);
    if (!notified && steady_clock::now() >= until) co_return Event::kTimeout;
  }
  co_return Event::kEnd;
}

const grpc::Status& EmbedCall::status() const { return state_->status; }
const inference::v1::EmbedResponse& EmbedCall::response() const { return state_->response; }
void EmbedCall::Cancel() { state_->context->TryCancel(); }

}  // namespace allod::gateway::serving
