#include "inference/engine/token_stream.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace allod::inference::engine {
namespace {

std::size_t BytesOf(const ports::Delta& delta) {
  std::size_t bytes = delta.text.size();
  for (const ports::TokenLogprobs& one : delta.logprobs)
    bytes += sizeof(one) + one.top.size() * sizeof(ports::TokenLogprob);
  return bytes;
}

void Merge(ports::Delta from, ports::Delta& into) {
  into.text += from.text;
  into.token_count += from.token_count;
  std::ranges::move(from.logprobs, std::back_inserter(into.logprobs));
  std::ranges::move(from.tool_calls, std::back_inserter(into.tool_calls));
}

}  // namespace

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

void Wakeup::WaitFor(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  condition_.wait_for(lock, timeout, [this] { return pending_; });
  pending_ = false;
}

TokenStream::TokenStream(const Bounds& bounds, std::shared_ptr<Wakeup> wakeup)
    : bounds_(bounds), wakeup_(std::move(wakeup)) {}

TokenStream::News TokenStream::NewsLocked(bool is_end) {
  News news;
  news.wake = std::exchange(reader_waits_, false) || is_end;
  if (listener_ && (is_end || !listens_for_end_)) news.listener = std::exchange(listener_, nullptr);
  return news;
}

void TokenStream::Tell(News news) {
  if (news.wake) news_.notify_one();
  if (news.listener) news.listener();
}

void TokenStream::Start(const ports::Started& started) {
  News news;
  {
    const std::lock_guard lock(mutex_);
    started_ = started;
    news = NewsLocked(false);
  }
  Tell(std::move(news));
}

ports::Delta& TokenStream::WaitingOf(std::int32_t choice) {
  const auto found = std::ranges::find(waiting_, choice, &ports::Delta::choice);
  if (found != waiting_.end()) return *found;
  waiting_.emplace_back().choice = choice;
  return waiting_.back();
}

void TokenStream::Push(ports::Delta delta) {
  News news;
  {
    const std::lock_guard lock(mutex_);
    waiting_tokens_ += delta.token_count;
    waiting_bytes_ += BytesOf(delta);
    ports::Delta& into = WaitingOf(delta.choice);
    Merge(std::move(delta), into);
    if (waiting_tokens_ >= bounds_.tokens_max || waiting_bytes_ >= bounds_.bytes_max) {
      full_.store(true, std::memory_order_release);
    }
    news = NewsLocked(false);
  }
  Tell(std::move(news));
}

void TokenStream::FinishChoice(const ports::ChoiceFinished& finished) {
  News news;
  {
    const std::lock_guard lock(mutex_);
    ended_.push_back(finished);
    news = NewsLocked(false);
  }
  Tell(std::move(news));
}

void TokenStream::Finish(const ports::Finished& finished) {
  News news;
  {
    const std::lock_guard lock(mutex_);
    finished_ = finished;
    news = NewsLocked(true);
  }
  Tell(std::move(news));
}

void TokenStream::Fail(Error error) {
  News news;
  {
    const std::lock_guard lock(mutex_);
    error_ = std::move(error);
    news = NewsLocked(true);
  }
  Tell(std::move(news));
}

Result<std::optional<ports::Event>> TokenStream::TakeLocked(std::unique_lock<std::mutex>& lock) {
  if (started_) return std::optional<ports::Event>(*std::exchange(started_, std::nullopt));
  if (!waiting_.empty()) {
    took_text_ = true;
    last_text_ = std::chrono::steady_clock::now();
    ports::Delta delta = std::move(waiting_.front());
    waiting_.erase(waiting_.begin());
    waiting_tokens_ -= delta.token_count;
    waiting_bytes_ -= BytesOf(delta);
    const bool still_full = waiting_tokens_ >= bounds_.tokens_max || waiting_bytes_ >= bounds_.bytes_max;
    const bool was_full = !still_full && full_.exchange(false, std::memory_order_acq_rel);
    lock.unlock();
    if (was_full) wakeup_->Notify();
    return std::optional<ports::Event>(std::move(delta));
  }
  if (!ended_.empty()) {
    const ports::ChoiceFinished ended = ended_.front();
    ended_.erase(ended_.begin());
    return std::optional<ports::Event>(ended);
  }
  if (error_) return std::unexpected(*error_);
  if (finished_) return std::optional<ports::Event>(*finished_);
  return std::nullopt;
}

Result<std::optional<ports::Event>> TokenStream::Next(std::chrono::milliseconds timeout) {
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
  return TakeLocked(lock);
}

Result<std::optional<ports::Event>> TokenStream::Take() {
  std::unique_lock lock(mutex_);
  return TakeLocked(lock);
}

void TokenStream::Arm(std::function<void()> listener, bool only_end) {
  {
    const std::lock_guard lock(mutex_);
    const bool is_due = only_end ? HasEnd() : HasNews();
    listener_ = nullptr;
    listens_for_end_ = only_end;
    if (!is_due) {
      listener_ = std::move(listener);
      return;
    }
  }
  if (listener) listener();
}

void TokenStream::Cancel() {
  cancelled_.store(true, std::memory_order_release);
  wakeup_->Notify();
}

}  // namespace allod::inference::engine
