#include "gateway/feeds/watch_loop.h"

#include <chrono>

#include "services/common/catching.h"
#include "services/common/log.h"
#include "services/common/rpc/client.h"

namespace allod::gateway::feeds {

WatchLoop::WatchLoop(std::string name, std::function<grpc::Status(grpc::ClientContext&)> run)
    : name_(std::move(name)), run_(std::move(run)), thread_([this] { OrEnd("watch " + name_, [this] { Loop(); }); }) {}

WatchLoop::~WatchLoop() { Stop(); }

void WatchLoop::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (running_) running_->TryCancel();
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void WatchLoop::Loop() {
  // The peer may be starting or restarting; the channel itself backs off when nothing listens.
  constexpr std::chrono::milliseconds kPause(200);
  std::string last_complaint;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const std::unique_ptr<grpc::ClientContext> context = MakeStreamContext(Caller::Service("gateway"));
    running_ = context.get();
    lock.unlock();
    // What a message makes the reader throw ends this stream, not the gateway; the next one sends everything again.
    grpc::Status status(grpc::StatusCode::INTERNAL, "the message could not be taken; the log says more");
    (void)Catching("watch " + name_, [&]() -> Status {
      status = run_(*context);
      return {};
    });
    lock.lock();
    running_ = nullptr;
    if (!stopping_ && status.error_message() != last_complaint) {
      last_complaint = status.error_message();
      Log(LogLevel::kInfo, "watch ended, will run again", {{"watch", name_}, {"status", last_complaint}});
    }
    wake_.wait_for(lock, kPause, [this] { return stopping_; });
  }
}

}  // namespace allod::gateway::feeds
