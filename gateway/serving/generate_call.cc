#include "gateway/serving/generate_call.h"

#include "allod/inference/v1/worker.grpc.pb.h"
#include "services/common/rpc/call_hold.h"

namespace allod::gateway::serving {

namespace asio = boost::asio;
using inference::v1::GenerateRequest;
using inference::v1::GenerateResponse;
using std::chrono::steady_clock;

// Lives until gRPC is done with it, which may be after the GenerateCall is gone. gRPC's threads only post to the
// strand; every other member belongs to the strand.
class GenerateCall::Reactor final : public grpc::ClientReadReactor<GenerateResponse> {
 public:
  Reactor(const std::shared_ptr<grpc::Channel>& channel, std::shared_ptr<const GenerateRequest> request,
          asio::any_io_executor executor, std::unique_ptr<grpc::ClientContext> context)
      : context_(std::move(context)),
        stub_(inference::v1::WorkerService::NewStub(channel)),
        request_(std::move(request)),
        executor_(std::move(executor)),
        changed_(executor_) {}

  void Start(std::shared_ptr<Reactor> self) {
    self_ = std::move(self);
    stub_->async()->Generate(context_.get(), request_.get(), this);
    hold_.Take(*this);  // reads are started on the strand
    StartCall();
  }

  void OnReadDone(bool ok) override {
    asio::post(executor_, [self = self_, ok] {
      self->reading_ = false;
      self->has_message_ = ok;
      self->request_.reset();  // sent long ago; a prompt can be large and an answer long
      self->changed_.Notify();
    });
  }

  void OnDone(const grpc::Status& status) override {
    const asio::any_io_executor executor = executor_;  // *this may be gone before post() returns
    asio::post(executor, [self = std::move(self_), status] {
      self->status_ = status;
      self->done_ = true;
      self->changed_.Notify();
    });
  }

  http::Awaitable<Event> Next(steady_clock::time_point until) {
    if (!reading_) reading_ = hold_.Start([this] { StartRead(&message_); });
    while (true) {
      if (std::exchange(has_message_, false)) co_return Event::kMessage;
      if (!reading_) hold_.LetGo();  // the last read failed: there is nothing more
      if (done_) co_return Event::kEnd;
      const bool notified = co_await changed_.Wait(until);
      if (!notified && steady_clock::now() >= until) co_return Event::kTimeout;
    }
  }

  GenerateResponse& message() { return message_; }
  const grpc::Status& status() const { return status_; }
  void Cancel() { context_->TryCancel(); }
  // Nobody will ask for more.
  void LetGo() { hold_.LetGo(); }

 private:
  const std::unique_ptr<grpc::ClientContext> context_;
  const std::unique_ptr<inference::v1::WorkerService::Stub> stub_;
  std::shared_ptr<const GenerateRequest> request_;
  const asio::any_io_executor executor_;
  http::Wakeup changed_;
  GenerateResponse message_;
  grpc::Status status_;
  bool reading_ = false;
  bool has_message_ = false;
  bool done_ = false;
  CallHold<grpc::ClientReadReactor<GenerateResponse>> hold_;
  std::shared_ptr<Reactor> self_;  // gRPC's share; given up in OnDone
};

GenerateCall::GenerateCall(const std::shared_ptr<grpc::Channel>& channel,
                           std::shared_ptr<const GenerateRequest> request, SteadyTime deadline, const Trace& trace,
                           const asio::any_io_executor& executor)
    : reactor_(std::make_shared<Reactor>(channel, std::move(request), executor, MakeWorkerContext(deadline, trace))) {
  reactor_->Start(reactor_);
}

GenerateCall::~GenerateCall() {
  Cancel();
  reactor_->LetGo();
}

http::Awaitable<WorkerCall::Event> GenerateCall::Next(SteadyTime until) { return reactor_->Next(until); }
GenerateResponse& GenerateCall::message() { return reactor_->message(); }
const grpc::Status& GenerateCall::status() const { return reactor_->status(); }
void GenerateCall::Cancel() { reactor_->Cancel(); }

}  // namespace allod::gateway::serving
