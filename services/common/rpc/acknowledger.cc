#include "services/common/rpc/acknowledger.h"

#include <chrono>

#include "services/common/catching.h"
#include "services/common/ids.h"

namespace allod {
namespace {

constexpr std::chrono::milliseconds kPauseAfterFailure{100};

}  // namespace

Acknowledger::Acknowledger(Tell tell)
    : tell_(std::move(tell)), thread_("acknowledger", [this](const std::stop_token& stop) { Loop(stop); }) {}

std::string Acknowledger::BeginStream() {
  const std::lock_guard lock(mutex_);
  watcher_id_ = Uuid::V7().ToString();
  applied_ = told_ = 0;
  return watcher_id_;
}

void Acknowledger::EndStream() {
  const std::lock_guard lock(mutex_);
  watcher_id_.clear();
}

void Acknowledger::Applied(std::int64_t version) {
  {
    const std::lock_guard lock(mutex_);
    applied_ = version;
  }
  changed_.notify_all();
}

void Acknowledger::Loop(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, stop, [this] { return !watcher_id_.empty() && applied_ > told_; });
    if (stop.stop_requested()) return;
    const std::string watcher_id = watcher_id_;
    const std::int64_t version = applied_;
    lock.unlock();
    // One that throws is as good as not heard.
    const Status told = Catching("acknowledge what is in force", [&] { return tell_(watcher_id, version); });
    lock.lock();
    if (watcher_id_ != watcher_id) continue;
    if (told) {
      told_ = version;
    } else {
      changed_.wait_for(lock, stop, kPauseAfterFailure, [] { return false; });
    }
  }
}

}  // namespace allod
