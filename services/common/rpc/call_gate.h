// Bounds how many calls of one kind run at once, for each key (a tenant, the operator) and together, so that one of
// them can take neither the threads nor the connections that others need. A call beyond waits its turn, if the limits
// allow; refused calls cost nothing but their answer. Thread-safe.
//
// A place that becomes free goes to the key that has the fewest calls running, of several to the one that was served
// longest ago: however many calls some keys have waiting, another waits for one call of theirs, not for all of them. A
// full waiting room turns nobody away who has fewer waiting than somebody else: of the key with the most waiting, the
// last makes way. The operator has places of its own, where the limits say so.
//
// A service's gates hold together less than the threads of its server (ServerConfig::threads_max), so that there is
// always one to refuse with, and enough for those who are not counted.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "services/common/result.h"
#include "services/common/rpc/caller.h"

namespace allod {

class CallGate {
 public:
  struct Limits {
    std::string what;  // what is bounded, for messages: "reports"
    int per_key_max = 1;
    int total_max = 1;
    int waiting_per_key_max = 0;
    int waiting_max = 0;
    std::chrono::milliseconds wait_max{0};
    // Places and waiting room of operators' own, beside all of the above; those of all roles share them. 0: it is a key
    // like the others.
    int operator_max = 0;
    int operator_waiting_max = 0;
  };
  explicit CallGate(Limits limits);
  CallGate(const CallGate&) = delete;

  // Given back on destruction. The gate must outlive it.
  class Pass {
   public:
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)), key_(std::move(other.key_)) {}
    Pass& operator=(Pass&&) = delete;
    ~Pass() {
      if (gate_ != nullptr) gate_->Leave(key_);
    }

   private:
    friend class CallGate;
    Pass() = default;
    CallGate* gate_ = nullptr;  // none: not counted
    std::string key_;
  };

  // RESOURCE_EXHAUSTED / TOO_MANY_CALLS with retry-after when the key has its share running and as many waiting as may,
  // or the wait is over; UNAVAILABLE / TOO_MANY_CALLS when it is the calls of others that fill the gate. During a call
  // (call_scope.h) nobody waits longer than its deadline leaves: DEADLINE_EXCEEDED / DEADLINE_EXCEEDED.
  Result<Pass> Enter(const std::string& key);
  // For a tenant, all its keys together, and for the operator. Nodes and services pass at once and are not counted: no
  // crowd of a tenant may keep them out, and what they do themselves is bounded where they do it.
  Result<Pass> Enter(const Caller& caller);
  // How many calls of the key wait.
  int waiting(const std::string& key) const;

 private:
  struct Key {
    int running = 0;
    int waiting = 0;
    std::uint64_t served = 0;  // the turn in which it got a place last
  };
  // On the stack of the call that waits.
  struct Waiter {
    enum class State { kWaiting, kCalled, kTurnedAway };
    Key* key = nullptr;  // valid while it waits
    State state = State::kWaiting;
    std::condition_variable changed;
  };
  bool HasRoom(const Key& key) const { return key.running < limits_.per_key_max && running_ < limits_.total_max; }
  // Of a call of the key with that name, which may have no others any more.
  Error Refusal(const std::string& name, bool turned_away) const;
  void Start(Key& key);
  Waiter::State Wait(std::unique_lock<std::mutex>& lock, Key& key);
  bool MakeWaitingRoom(const Key& key);
  void EndWait(Waiter& waiter, Waiter::State state);
  // Gives free places to those who wait. Afterwards nobody waits who could run.
  void CallWaiters();
  void ForgetIfIdle(const std::string& name);
  void Leave(const std::string& name);

  const Limits limits_;
  const std::unique_ptr<CallGate> operator_gate_;
  mutable std::mutex mutex_;
  std::map<std::string, Key> keys_;  // those with calls running or waiting
  std::list<Waiter*> waiters_;       // as they came
  std::uint64_t turns_ = 0;
  int running_ = 0;
};

}  // namespace allod
