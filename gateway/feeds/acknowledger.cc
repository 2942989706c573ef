#include "gateway/feeds/acknowledger.h"

#include <chrono>

#include "services/common/catching.h"
#include "services/common/ids.h"

namespace allod::gateway::feeds {
namespace {

constexpr std::chrono::milliseconds kPauseAfterFailure{100};

}  // namespace

Acknowledger::Acknowledger(Tell tell)
    : tell_(std::move(tell)), thread_([this] { OrEnd("acknowledger", [this] { Loop(); }); }) {}

Acknowledger::~Acknowledger() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

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

void Acknowledger::Loop() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    changed_.wait(lock, [this] { return stopping_ || (!watcher_id_.empty() && applied_ > told_); });
    if (stopping_) return;
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
      changed_.wait_for(lock, kPauseAfterFailure, [this] { return stopping_; });
    }
  }
}

}  // namespace allod::gateway::feeds
