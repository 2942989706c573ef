#include "gateway/serving/generate_call.h"

#include <deque>
#include <mutex>

#include "allod/inference/v1/worker.grpc.pb.h"
#include "services/common/rpc/call_hold.h"

namespace allod::gateway::serving {

namespace asio = boost::asio;
using inference::v1::GenerateRequest;
using inference::v1::GenerateResponse;
using std::chrono::steady_clock;

namespace {

// Read ahead of the coroutine, so that what comes together wakes it once. A client that stalls keeps so much here.
constexpr std::size_t kAheadMax = 8;
constexpr std::size_t kAheadBytesMax = 2048;

}  // namespace

// Lives until gRPC is done with it, which may be after the GenerateCall is gone.
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
    request_.reset();  // sent long ago; a prompt can be large and an answer long
    bool goes_on = false;
    {
      const std::lock_guard lock(mutex_);
      if (ok) {
        ahead_bytes_ += incoming_.ByteSizeLong();
        ahead_.push_back(std::move(incoming_));
        incoming_.Clear();
      } else {
        has_ended_ = true;
      }
      goes_on = ok && HasRoom();
      reading_ = goes_on;
    }
    if (goes_on) StartRead(&incoming_);
    Tell();
  }

  void OnDone(const grpc::Status& status) override {
    {
      const std::lock_guard lock(mutex_);
      status_ = status;
      done_ = true;
    }
    // Always, so that the strand is the last to have this: the timer is the strand's.
    const asio::any_io_executor executor = executor_;  // *this may be gone before post() returns
    asio::post(executor, [self = std::move(self_)] { self->changed_.Notify(); });
  }

  http::Awaitable<Event> Next(steady_clock::time_point until) {
    while (true) {
      bool has_ended = false;
      {
        const std::lock_guard lock(mutex_);
        told_ = false;
        if (!ahead_.empty()) {
          message_ = std::move(ahead_.front());
          ahead_.pop_front();
          ahead_bytes_ -= message_.ByteSizeLong();
          co_return Event::kMessage;
        }
        if (done_) co_return Event::kEnd;
        has_ended = has_ended_;
        if (!has_ended && !reading_) reading_ = hold_.Start([this] { StartRead(&incoming_); });
      }
      if (has_ended) hold_.LetGo();  // there is nothing more
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
  bool HasRoom() const { return ahead_.size() < kAheadMax && ahead_bytes_ < kAheadBytesMax; }
  // Wakes the strand, once for all that comes before it looks.
  void Tell() {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(told_, true)) return;
    }
    asio::post(executor_, [self = self_] { self->changed_.Notify(); });
  }

  const std::unique_ptr<grpc::ClientContext> context_;
  const std::unique_ptr<inference::v1::WorkerService::Stub> stub_;
  std::shared_ptr<const GenerateRequest> request_;  // until the first answer
  const asio::any_io_executor executor_;
  http::Wakeup changed_;       // of the strand
  GenerateResponse message_;   // of the strand
  std::mutex mutex_;           // of what follows
  GenerateResponse incoming_;  // gRPC's while it is reading
  std::deque<GenerateResponse> ahead_;
  std::size_t ahead_bytes_ = 0;
  bool reading_ = false;
  bool has_ended_ = false;  // a read failed
  bool told_ = false;       // the strand will look
  bool done_ = false;
  grpc::Status status_;
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
