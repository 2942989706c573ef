// What tenancy says of tenants, on its way to the reconciler: only the newest of each, so that it is bounded however
// long nobody looks. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "services/common/change_signal.h"
#include "services/scheduling/domain.h"

namespace allod::scheduling {

class TermsInbox {
 public:
  // `news` wakes the reconciler; it outlives the inbox.
  explicit TermsInbox(ChangeSignal& news) : news_(news) {}

  // `complete`: these are all tenants that there are; else those that changed. Answers with a number that grows.
  std::uint64_t Put(const std::vector<TenantTerms>& terms, bool complete);
  // Until what was put under this number, or what came after it, is in force: routes are published accordingly. False
  // when `wait` was over first.
  bool AwaitInForce(std::uint64_t number, std::chrono::milliseconds wait);

  // For the reconciler.
  struct Mail {
    std::uint64_t number = 0;  // of the last that was put
    bool complete = false;
    std::map<TenantId, TenantTerms> terms;
  };
  Mail Take();
  void SetInForce(std::uint64_t number);

 private:
  ChangeSignal& news_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Mail mail_;
  std::uint64_t in_force_ = 0;
};

}  // namespace allod::scheduling
