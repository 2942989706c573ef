// Passes on to gateways, while they listen, which of their leases others need money of. Nothing is kept for who does
// not listen, or listens too slowly: a lease that was recalled is told of again by the answer to its next adjustment.
//
// Thread-safe; only Place::Next() blocks. The hub outlives its places.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "services/billing/lease.h"

namespace allod::billing {

class RecallHub {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;
  static constexpr int kWatchersMax = 64;
  static constexpr std::size_t kWaitingMax = 10'000;  // of one watcher; what is beyond is dropped
  // Each tenant's refusals recall at most once in so long.
  static constexpr std::chrono::milliseconds kRecallEvery{10};

  struct Recall {
    std::string tenant_name;
    Uuid lease;     // nil: the tenant's budgets were changed
    Uuid budget{};  // what is free of this one, if it is not nil
    auto operator<=>(const Recall&) const = default;
  };

  // A gateway's place among the watchers; left on destruction.
  class Place {
   public:
    Place(Place&& other) noexcept : hub_(std::exchange(other.hub_, nullptr)), number_(other.number_) {}
    Place& operator=(Place&&) = delete;
    ~Place();
    // What came since the last time, each lease once; waits for something at most so long.
    std::vector<Recall> Next(std::chrono::milliseconds wait);

   private:
    friend class RecallHub;
    Place(RecallHub& hub, std::uint64_t number) : hub_(&hub), number_(number) {}
    RecallHub* hub_;
    std::uint64_t number_;
  };

  RecallHub() = default;
  RecallHub(const RecallHub&) = delete;

  // RESOURCE_EXHAUSTED / TOO_MANY_WATCHERS.
  Result<Place> Join(Uuid gateway);
  // To those who watch for the leases' gateways. `now` is the steady clock's.
  void Tell(const std::string& tenant_name, const std::vector<LeaseRecall>& recalls, SteadyTime now);
  // To all: the tenant's budgets are others than they were.
  void TellBudgets(const std::string& tenant_name);

 private:
  struct Watcher {
    Uuid gateway;
    std::set<Recall> waiting;
  };
  bool IsTooSoon(const std::string& tenant_name, SteadyTime now);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t next_ = 1;
  std::map<std::uint64_t, Watcher> watchers_;
  std::map<std::string, SteadyTime> told_;  // tenants, lately
};

}  // namespace allod::billing
