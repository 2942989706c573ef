// The bounded channel from the decode thread to the one reader of a generation.
//
// Text that waits for the reader is merged into one delta, so a slow reader gets fewer and larger events, and what
// waits never exceeds the bounds by more than one token's text. When it reaches them the stream is full: the decode
// thread then leaves the sequence out of its steps until the reader has taken something. Cancelling is the reader's way
// to leave.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "inference/generation.h"

namespace allod::inference {

// Wakes one sleeping thread; a notification without a sleeper is kept. Thread-safe.
class Wakeup {
 public:
  void Notify();
  void Wait();

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
  void Start(const Started& started);
  void Push(TextDelta delta);
  void Finish(const Finished& finished);
  void Fail(Error error);
  bool is_full() const { return full_.load(std::memory_order_acquire); }
  bool is_cancelled() const { return cancelled_.load(std::memory_order_acquire); }

  // For the reader. The next event, or nothing when `timeout` passed. An error ends the generation.
  Result<std::optional<Event>> Next(std::chrono::milliseconds timeout);
  void Cancel();

 private:
  bool HasEnd() const { return finished_ || error_; }
  bool HasNews() const { return started_ || !delta_.text.empty() || HasEnd(); }

  const Bounds bounds_;
  const std::shared_ptr<Wakeup> wakeup_;
  std::atomic<bool> full_ = false;
  std::atomic<bool> cancelled_ = false;

  std::mutex mutex_;
  std::condition_variable news_;
  bool reader_waits_ = false;  // for text; at other times only the end wakes it
  bool took_text_ = false;
  std::chrono::steady_clock::time_point last_text_;
  std::optional<Started> started_;
  TextDelta delta_;
  std::optional<Finished> finished_;
  std::optional<Error> error_;
};

}  // namespace allod::inference
