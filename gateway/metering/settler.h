// Tells billing how each metered request ended, until billing says that it knows. One thread, a bounded number of calls
// in flight.
//
// No settlement is dropped. One that fails because billing is away is tried again for as long as the process lives; the
// journal keeps it for the next process. One that billing refuses stays in the journal as well, is logged with
// everything that a person needs, counted in allod_gateway_settlements_refused, and tried again at growing intervals: a
// later billing may take it. It holds up no other. (A journal full of them admits no request any more: 503
// journal_full.) Only a request that billing knows nothing of, whose reservation was never acknowledged and which
// therefore never ran, is forgotten, once its reservation can no longer be on its way.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "allod/billing/v1/usage.grpc.pb.h"
#include "gateway/metering/journal.h"
#include "services/common/result.h"

namespace allod::gateway::metering {

class Settler {
 public:
  // Starts the thread and enqueues what the journal recovered. `journal` must outlive this. After its admission a
  // request's reservation may reach billing for `reserve_time_max`.
  Settler(Journal& journal, std::shared_ptr<grpc::Channel> billing, std::chrono::milliseconds reserve_time_max);
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
  using SteadyTime = std::chrono::steady_clock::time_point;

  void Loop();
  void Start(int slot);
  void OnDone(Attempt* attempt, const grpc::Status& status);
  // mutex_ held. How long a refused slot rests.
  std::chrono::milliseconds PauseOf(int slot);
  // mutex_ held. Puts what has waited long enough back into the queue.
  void TakeDue(SteadyTime now);

  Journal& journal_;
  const std::unique_ptr<billing::v1::UsageService::Stub> stub_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  const std::chrono::milliseconds reserve_time_max_;
  std::deque<int> queue_;
  std::multimap<SteadyTime, int> later_;               // when to try which again
  std::map<int, std::chrono::milliseconds> refusals_;  // slots that billing refuses, and how long each rested last
  std::set<Attempt*> running_;
  std::chrono::milliseconds backoff_{0};  // 0 while billing answers
  SteadyTime not_before_{};
  bool stopping_ = false;
  std::thread thread_;
};

// What billing's answer means for a settlement. Pure.
enum class SettleVerdict {
  kSettled,
  kAway,     // billing cannot be reached or has no time: so it is for all of them
  kBusy,     // this tenant's books are, for a moment
  kInDoubt,  // nothing is there to settle yet
  kVoid,     // nothing is there to settle, and nothing will come
  kRefused,  // this one; it is kept
};
SettleVerdict Judge(Code answer, const Settlement& settlement, Time now, std::chrono::milliseconds reserve_time_max);

}  // namespace allod::gateway::metering
