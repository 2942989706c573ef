// Tells billing how each metered request ended, until billing says that it knows. One thread, a bounded number of calls
// in flight.
//
// A settlement that fails because billing cannot be reached is tried again, for as long as the process lives; the
// journal keeps it for the next process. One that billing refuses for good is logged with everything a person needs,
// and dropped. One that billing knows nothing of, and whose reservation was never acknowledged, is tried again until
// the reservation can no longer be on its way.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "allod/billing/v1/usage.grpc.pb.h"
#include "gateway/journal.h"
#include "services/common/result.h"

namespace allod::gateway {

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

 private:
  struct Attempt;
  using SteadyTime = std::chrono::steady_clock::time_point;

  void Loop();
  void Start(int slot);
  void OnDone(Attempt* attempt, const grpc::Status& status);

  // mutex_ held. Puts what has waited long enough back into the queue.
  void TakeDue(SteadyTime now);

  Journal& journal_;
  const std::unique_ptr<billing::v1::UsageService::Stub> stub_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  const std::chrono::milliseconds reserve_time_max_;
  std::deque<int> queue_;
  std::deque<std::pair<SteadyTime, int>> in_doubt_;  // when to try which again; the earliest first
  std::set<Attempt*> running_;
  std::chrono::milliseconds backoff_{0};  // 0 while billing answers
  SteadyTime not_before_{};
  bool stopping_ = false;
  std::thread thread_;
};

// Whether billing will never accept this settlement however often it is sent.
bool IsFinalRefusal(Code code);

}  // namespace allod::gateway
