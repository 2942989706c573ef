#include "inference/token_stream.h"

#include <utility>

namespace allod::inference {

void Wakeup::Notify() {
  {
    const std::lock_guard lock(mutex_);
    pending_ = true;
  }
  condition_.notify_one();
}

void Wakeup::Wait() {
  std::unique_lock lock(mutex_);
  condition_.wait(lock, [this] { return pending_; });
  pending_ = false;
}

TokenStream::TokenStream(const Bounds& bounds, std::shared_ptr<Wakeup> wakeup)
    : bounds_(bounds), wakeup_(std::move(wakeup)) {}

void TokenStream::Start(const Started& started) {
  {
    const std::lock_guard lock(mutex_);
    started_ = started;
  }
  news_.notify_one();
}

void TokenStream::Push(TextDelta delta) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (delta_.text.empty()) {
      delta_ = std::move(delta);
    } else {
      delta_.text += delta.text;
      delta_.token_count += delta.token_count;
    }
    if (delta_.token_count >= bounds_.tokens_max || delta_.text.size() >= bounds_.bytes_max) {
      full_.store(true, std::memory_order_release);
    }
    wake = std::exchange(reader_waits_, false);
  }
  if (wake) news_.notify_one();
}

void TokenStream::Finish(const Finished& finished) {
  {
    const std::lock_guard lock(mutex_);
    finished_ = finished;
  }
  news_.notify_one();
}

void TokenStream::Fail(Error error) {
  {
    const std::lock_guard lock(mutex_);
    error_ = std::move(error);
  }
  news_.notify_one();
}

Result<std::optional<Event>> TokenStream::Next(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  const auto deadline = now + timeout;
  if (took_text_ && !HasEnd()) {
    news_.wait_until(lock, std::min(deadline, last_text_ + bounds_.pace), [this] { return HasEnd(); });
  }
  if (!HasNews()) {
    reader_waits_ = true;
    news_.wait_until(lock, deadline, [this] { return HasNews(); });
    reader_waits_ = false;
  }
  if (started_) return std::optional<Event>(*std::exchange(started_, std::nullopt));
  if (!delta_.text.empty()) {
    took_text_ = true;
    last_text_ = std::chrono::steady_clock::now();
    const bool was_full = full_.exchange(false, std::memory_order_acq_rel);
    TextDelta delta = std::exchange(delta_, {});
    lock.unlock();
    if (was_full) wakeup_->Notify();
    return std::optional<Event>(std::move(delta));
  }
  if (error_) return std::unexpected(*error_);
  if (finished_) return std::optional<Event>(*finished_);
  return std::nullopt;
}

void TokenStream::Cancel() {
  cancelled_.store(true, std::memory_order_release);
  wakeup_->Notify();
}

}  // namespace allod::inference
