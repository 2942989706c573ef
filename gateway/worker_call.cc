#include "gateway/worker_call.h"

#include "allod/inference/v1/worker.grpc.pb.h"
#include "services/common/rpc/client.h"

namespace allod::gateway {

namespace asio = boost::asio;
using inference::v1::GenerateRequest;
using inference::v1::GenerateResponse;
using std::chrono::steady_clock;

// Lives until gRPC is done with it, which may be after the WorkerCall is gone. gRPC's threads only post to the strand;
// every other member belongs to the strand.
class WorkerCall::Reactor final : public grpc::ClientReadReactor<GenerateResponse> {
 public:
  Reactor(const std::shared_ptr<grpc::Channel>& channel, const GenerateRequest& request, asio::any_io_executor executor,
          std::unique_ptr<grpc::ClientContext> context)
      : context_(std::move(context)),
        stub_(inference::v1::WorkerService::NewStub(channel)),
        request_(request),
        executor_(std::move(executor)),
        changed_(executor_) {}

  void Start(std::shared_ptr<Reactor> self) {
    self_ = std::move(self);
    stub_->async()->Generate(context_.get(), &request_, this);
    StartCall();
  }

  void OnReadDone(bool ok) override {
    asio::post(executor_, [self = self_, ok] {
      self->reading_ = false;
      self->has_message_ = ok;
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

  Awaitable<Event> Next(steady_clock::time_point until) {
    if (!reading_ && !done_ && !read_failed_) {
      reading_ = true;
      StartRead(&message_);
    }
    while (true) {
      if (std::exchange(has_message_, false)) co_return Event::kMessage;
      if (!reading_) read_failed_ = true;
      if (done_) co_return Event::kEnd;
      const bool notified = co_await changed_.Wait(until);
      if (!notified && steady_clock::now() >= until) co_return Event::kTimeout;
    }
  }

  const GenerateResponse& message() const { return message_; }
  const grpc::Status& status() const { return status_; }
  void Cancel() { context_->TryCancel(); }

 private:
  const std::unique_ptr<grpc::ClientContext> context_;
  const std::unique_ptr<inference::v1::WorkerService::Stub> stub_;
  const GenerateRequest request_;
  const asio::any_io_executor executor_;
  Wakeup changed_;
  GenerateResponse message_;
  grpc::Status status_;
  bool reading_ = false;
  bool has_message_ = false;
  bool read_failed_ = false;
  bool done_ = false;
  std::shared_ptr<Reactor> self_;  // gRPC's share; given up in OnDone
};

WorkerCall::WorkerCall(const std::shared_ptr<grpc::Channel>& channel, const GenerateRequest& request,
                       steady_clock::time_point deadline, const asio::any_io_executor& executor) {
  std::unique_ptr<grpc::ClientContext> context = MakeStreamContext(Caller::Service("gateway"));
  context->set_deadline(std::chrono::system_clock::now() +
                        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_clock::now()));
  reactor_ = std::make_shared<Reactor>(channel, request, executor, std::move(context));
  reactor_->Start(reactor_);
}

WorkerCall::~WorkerCall() { Cancel(); }

Awaitable<void> WorkerCall::Finish() {
  Cancel();
  while (true) {
    const Event event = co_await reactor_->Next(steady_clock::time_point::max());
    if (event == Event::kEnd) co_return;
  }
}

Awaitable<WorkerCall::Event> WorkerCall::Next(steady_clock::time_point until) { return reactor_->Next(until); }
const GenerateResponse& WorkerCall::message() const { return reactor_->message(); }
const grpc::Status& WorkerCall::status() const { return reactor_->status(); }
void WorkerCall::Cancel() { reactor_->Cancel(); }

}  // namespace allod::gateway
