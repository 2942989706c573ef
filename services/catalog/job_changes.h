// Lets RPCs wait for a change of jobs without holding a database connection. Changes made by another process, and
// leases that run out, are not told here; waiters look again by themselves every kJobsLookEvery. Thread-safe.
#pragma once

#include <memory>

#include "services/common/change_signal.h"
#include "services/common/result.h"

namespace allod::catalog {

inline constexpr std::chrono::milliseconds kJobsLookEvery{1'000};

class JobChanges final : public ChangeSignal {
 public:
  static constexpr int kWaitersMax = 40;  // each holds a server thread

  // Counts as a waiter until the pointer is gone. RESOURCE_EXHAUSTED / TOO_MANY_WAITERS.
  Result<std::shared_ptr<void>> Enter();

 private:
  std::mutex waiters_mutex_;
  int waiters_ = 0;
};

}  // namespace allod::catalog
