// Tells billing how each metered request ended, until billing says that it knows. One thread, a bounded number of calls
// in flight; SettleQueue decides when which is made, and what goes together.
//
// No settlement is dropped. One that fails because billing is away is tried again for as long as the process lives; the
// journal keeps it for the next process. One that billing refuses stays in the journal as well, is logged with
// everything that a person needs, counted in allod_gateway_settlements_refused, and tried again at growing intervals: a
// later billing may take it. It holds up no other. (A journal full of them admits no request any more: 503
// journal_full.) Of slots that a version before leases left, only a request that billing knows nothing of, whose
// reservation was never acknowledged and which therefore never ran, is forgotten, once its reservation can no longer be
// on its way.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "allod/billing/v1/lease.grpc.pb.h"
#include "allod/billing/v1/usage.grpc.pb.h"
#include "gateway/metering/budget_book.h"
#include "gateway/metering/journal.h"
#include "gateway/metering/settle_queue.h"
#include "services/common/owned_thread.h"

namespace allod::gateway::metering {

class Settler {
 public:
  // Called on gRPC's threads and the settler's.
  struct Events {
    // Billing knows what a request came to cost, that was admitted from a lease.
    std::function<void(const Settlement& settlement, Amount cost)> settled = nullptr;
    // Of which budgets something was taken for a request that is about to be settled.
    std::function<std::vector<SliceKey>(const Settlement& settlement)> slices_of = nullptr;
    // Once: what earlier processes left is settled, or refused.
    std::function<void()> earlier_settled = nullptr;
  };

  // Starts the thread and enqueues what the journal recovered. `journal` and what `events` refers to must outlive this.
  // After the admission of a request of before leases its reservation may reach billing for `reserve_time_max`.
  Settler(Journal& journal, std::shared_ptr<grpc::Channel> billing, std::chrono::milliseconds reserve_time_max,
          Events events);
  ~Settler();  // Stop(0)
  Settler(const Settler&) = delete;

  // A finalised slot. Thread-safe, does not block on I/O.
  void Enqueue(int slot);
  // Goes on for at most `grace` to settle what is queued, then cancels and joins. The rest stays in the journal.
  void Stop(std::chrono::milliseconds grace);
  // Settlements that billing has not acknowledged yet.
  std::size_t pending() const;
  // Of these, those that it refuses.
  std::size_t refused() const;

 private:
  struct Attempt;
  struct Answers;

  void Loop(const std::stop_token& stop);
  void Start(SettleQueue::Batch batch);
  void OnDone(Attempt* attempt, const grpc::Status& status);
  Answers Read(const Attempt& attempt, const grpc::Status& status) const;
  SettleQueue::Lane LaneOf(int slot) const;
  // With the lock held: whether that was the last.
  bool EarlierEnded(int slot);

  Journal& journal_;
  const std::unique_ptr<billing::v1::UsageService::Stub> usage_;
  const std::unique_ptr<billing::v1::LeaseService::Stub> leases_;
  const std::chrono::milliseconds reserve_time_max_;
  const Events events_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  SettleQueue queue_;
  std::set<int> earlier_;  // slots of earlier processes that were neither settled nor refused yet
  bool has_news_ = false;  // since the thread asked the queue last
  std::set<Attempt*> running_;
  OwnedThread thread_;
};

}  // namespace allod::gateway::metering
