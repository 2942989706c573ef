// Lets RPCs wait for a change of jobs without holding a database connection. Changes made by another process are not
// seen here; waiters look again by themselves every second. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

#include "services/common/result.h"

namespace allod::catalog {

class ChangeSignal {
 public:
  static constexpr int kWaitersMax = 40;  // each holds a server thread

  // Counts as a waiter until the pointer is gone. RESOURCE_EXHAUSTED / TOO_MANY_WAITERS.
  Result<std::shared_ptr<void>> Enter();

  std::uint64_t revision() const;
  // Until the revision is past `seen`, `wait` is over or Stop() was called.
  void WaitPast(std::uint64_t seen, std::chrono::milliseconds wait);

  void Notify();
  void Stop();
  bool stopped() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t revision_ = 0;
  int waiters_ = 0;
  bool stopped_ = false;
};

}  // namespace allod::catalog
