// Bounds how many calls of one kind run at once, for each key (a tenant, the operator) and together, so that one of
// them can take neither the threads nor the connections that others need. A call beyond waits its turn, if the limits
// allow; refused calls cost nothing but their answer. Thread-safe.
//
// A service's gates hold together less than the threads of its server (ServerConfig::threads_max), so that there is
// always one to refuse with, and enough for those who are not counted.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
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
  };
  explicit CallGate(Limits limits) : limits_(std::move(limits)) {}
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
  // or the wait is over; UNAVAILABLE / TOO_MANY_CALLS when it is the calls of others that fill the gate.
  Result<Pass> Enter(const std::string& key);
  // For a tenant, all its keys together, and for the operator. Nodes and services pass at once and are not counted: no
  // crowd of a tenant may keep them out, and what they do themselves is bounded where they do it.
  Result<Pass> Enter(const Caller& caller);

 private:
  struct Key {
    int running = 0;
    int waiting = 0;
  };
  bool HasRoom(const Key& key) const { return key.running < limits_.per_key_max && running_ < limits_.total_max; }
  Error Refusal(const Key& key) const;
  void Leave(const std::string& key);

  const Limits limits_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Key> keys_;  // those with calls running or waiting
  int running_ = 0;
  int waiting_ = 0;
};

}  // namespace allod
