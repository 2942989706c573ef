#include "services/common/rpc/watch_loop.h"

#include <chrono>

#include "services/common/catching.h"
#include "services/common/log.h"
#include "services/common/rpc/client.h"

namespace allod {

WatchLoop::WatchLoop(std::string name, Caller self, std::function<grpc::Status(grpc::ClientContext&)> run)
    : name_(std::move(name)),
      self_(std::move(self)),
      run_(std::move(run)),
      thread_("watch " + name_, [this](const std::stop_token& stop) { Loop(stop); }) {}

void WatchLoop::Loop(const std::stop_token& stop) {
  // The peer may be starting or restarting; the channel itself backs off when nothing listens.
  constexpr std::chrono::milliseconds kPause(200);
  std::string last_complaint;
  do {
    const std::unique_ptr<grpc::ClientContext> context = MakeStreamContext(self_);
    const std::stop_callback cancel(stop, [&context] { context->TryCancel(); });
    // What a message makes the reader throw ends this stream, not the process; the next one sends everything again.
    grpc::Status status(grpc::StatusCode::INTERNAL, "the message could not be taken; the log says more");
    (void)Catching("watch " + name_, [&]() -> Status {
      status = run_(*context);
      return {};
    });
    if (!stop.stop_requested() && status.error_message() != last_complaint) {
      last_complaint = status.error_message();
      Log(LogLevel::kInfo, "watch ended, will run again", {{"watch", name_}, {"status", last_complaint}});
    }
  } while (SleepFor(stop, kPause));
}

}  // namespace allod
