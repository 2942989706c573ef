// The bounded channel from the decode thread to the one reader of a generation.
//
// What waits for the reader is merged into one delta for each choice, so a slow reader gets fewer and larger events,
// and what waits never exceeds the bounds by more than one token's text for each choice. When it reaches them the
// stream is full: the decode thread then leaves the generation out of its steps until the reader has taken something.
// Cancelling is the reader's way to leave.
//
// A reader either waits in Next or, so that no thread is held per reader, arms a listener and takes what there is.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "inference/ports/generation.h"
#include "services/common/result.h"

namespace allod::inference::engine {

// Wakes one sleeping thread; a notification without a sleeper is kept. Thread-safe.
class Wakeup {
 public:
  void Notify();
  void Wait();
  // At most for `timeout`.
  void WaitFor(std::chrono::milliseconds timeout);

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  bool pending_ = false;
};

class TokenStream {
 public:
  struct Bounds {
    std::int32_t tokens_max = 64;
    std::size_t bytes_max = 8192;
    // The reader is woken for text at most this often, so that a fast model is not slowed by its readers. The first
    // text, and the end, come at once.
    std::chrono::microseconds pace{10000};
  };

  // `wakeup` is notified when a full stream was read and when it is cancelled.
  TokenStream(const Bounds& bounds, std::shared_ptr<Wakeup> wakeup);

  // For the decode thread.
  void Start(const ports::Started& started);
  void Push(ports::Delta delta);
  void FinishChoice(const ports::ChoiceFinished& finished);
  void Finish(const ports::Finished& finished);
  void Fail(Error error);
  bool is_full() const { return full_.load(std::memory_order_acquire); }
  bool is_cancelled() const { return cancelled_.load(std::memory_order_acquire); }

  // For the reader. The next event, or nothing when `timeout` passed. An error ends the generation.
  Result<std::optional<ports::Event>> Next(std::chrono::milliseconds timeout);
  // The next event, if there is one now.
  Result<std::optional<ports::Event>> Take();
  // Calls `listener` once, from the decode thread or at once, when there is an event to take; `only_end` waits for an
  // event after which nothing follows. Replaces a listener that was not called yet; an empty one only removes that.
  void Arm(std::function<void()> listener, bool only_end = false);
  const Bounds& bounds() const { return bounds_; }
  void Cancel();

 private:
  bool HasEnd() const { return finished_ || error_; }
  bool HasNews() const { return started_ || !waiting_.empty() || !ended_.empty() || HasEnd(); }
  ports::Delta& WaitingOf(std::int32_t choice);
  // What the reader is to be told, outside the lock.
  struct News {
    bool wake = false;
    std::function<void()> listener;
  };
  News NewsLocked(bool is_end);
  void Tell(News news);
  Result<std::optional<ports::Event>> TakeLocked(std::unique_lock<std::mutex>& lock);

  const Bounds bounds_;
  const std::shared_ptr<Wakeup> wakeup_;
  std::atomic<bool> full_ = false;
  std::atomic<bool> cancelled_ = false;

  std::mutex mutex_;
  std::condition_variable news_;
  bool reader_waits_ = false;  // for text; at other times only the end wakes it
  bool took_text_ = false;
  std::chrono::steady_clock::time_point last_text_;
  std::function<void()> listener_;
  bool listens_for_end_ = false;
  std::optional<ports::Started> started_;
  std::vector<ports::Delta> waiting_;  // one for each choice that has something
  std::int32_t waiting_tokens_ = 0;
  std::size_t waiting_bytes_ = 0;
  std::vector<ports::ChoiceFinished> ended_;
  std::optional<ports::Finished> finished_;
  std::optional<Error> error_;
};

}  // namespace allod::inference::engine
