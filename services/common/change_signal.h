// That something changed, for threads that wait for it: a count that only grows. Who waits takes the count before it
// looks, so that a change between the look and the wait is not missed. Holds no value and knows of no reason; what
// changed is seen by looking.
//
// Thread-safe; only WaitPast() blocks. Notify() may be called with other locks held.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace allod {

class ChangeSignal {
 public:
  std::uint64_t revision() const;
  // Until the count is past `seen`, `wait` is over or Stop() was called. Answers with the count.
  std::uint64_t WaitPast(std::uint64_t seen, std::chrono::milliseconds wait) const;

  void Notify();
  // Ends every wait, for good.
  void Stop();
  bool stopped() const;

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::uint64_t revision_ = 0;
  bool stopped_ = false;
};

}  // namespace allod
