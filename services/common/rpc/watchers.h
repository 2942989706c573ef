// Who watches a state that is pushed, and which version of it each has applied: what a mutating call asks before it
// returns, so that whoever is told "done" finds it done wherever the state is used.
//
// One for each pushed state. A stream joins under an id that the watcher made for this stream, says before it writes
// which version the message completes, and leaves with its end. The watcher says in a call of its own what it has
// applied. Versions only grow.
//
// Await() waits for the watchers that are connected and keep up. One that lets a wait run out lags: nobody waits for it
// until it has acknowledged what it missed. A watcher that is gone is not waited for at all, nor is one without an id,
// which does not acknowledge. So a mutation is held up by a dead or a stopped watcher once, for a bounded time.
//
// Thread-safe; only Await() blocks. Counted in allod_watchers{state}, allod_watchers_lagging{state} and
// allod_watch_waits_total{state,result}.
#pragma once

#include <grpcpp/server_context.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "services/common/result.h"

namespace prometheus {
class Counter;
class Gauge;
}  // namespace prometheus

namespace allod {

class Watchers {
 public:
  // How long a mutating call waits at most.
  static constexpr std::chrono::milliseconds kWaitMax{2000};

  // `state` is what is watched, for logs and metrics. At most `watchers_max` streams at a time.
  Watchers(std::string state, int watchers_max);
  Watchers(const Watchers&) = delete;

  // A stream's place among the watchers; left on destruction. The Watchers must outlive it.
  class Place {
   public:
    Place(Place&& other) noexcept;
    Place& operator=(Place&&) = delete;
    ~Place();
    // The next message completes this version: it may be acknowledged from now on.
    void Sending(std::int64_t version);

   private:
    friend class Watchers;
    Place(Watchers& watchers, std::uint64_t number) : watchers_(&watchers), number_(number) {}
    Watchers* watchers_;
    std::uint64_t number_;
  };

  // RESOURCE_EXHAUSTED / TOO_MANY_WATCHERS; INVALID_ARGUMENT / INVALID_WATCHER_ID for one that is neither empty nor a
  // UUID; ALREADY_EXISTS / WATCHER_ID_IN_USE.
  Result<Place> Join(const std::string& watcher_id);

  // NOT_FOUND / NOT_FOUND for a watcher that is not connected; INVALID_ARGUMENT / VERSION_NOT_SENT.
  Status Acknowledge(const std::string& watcher_id, std::int64_t version);

  // Those that were connected to the process before may take so long to be back: until then Await() does not return
  // because nobody is there. Once, at the start.
  void ExpectFor(std::chrono::milliseconds time);
  // How long it takes them.
  static constexpr std::chrono::milliseconds kReconnection{1500};

  // True once every watcher that keeps up has applied `version`; false when `wait` ran out before.
  bool Await(std::int64_t version, std::chrono::milliseconds wait);

 private:
  struct Watcher {
    std::string id;
    std::int64_t sent = 0;
    std::int64_t applied = 0;
    bool lagging = false;
    std::int64_t missed = 0;  // what it has to acknowledge to be waited for again
  };
  void Leave(std::uint64_t number);
  bool WaitedFor(const Watcher& watcher, std::int64_t version) const;
  void SetGauges();

  const std::string state_;
  const int watchers_max_;
  prometheus::Gauge& connected_;
  prometheus::Gauge& lagging_;
  prometheus::Counter& acknowledged_;
  prometheus::Counter& ran_out_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t next_ = 1;
  std::map<std::uint64_t, Watcher> watchers_;  // by number of the stream
  std::chrono::steady_clock::time_point expected_until_{};
};

// What the deadline of a mutating call leaves for Await(), at most kWaitMax.
std::chrono::milliseconds AcknowledgementWait(const grpc::ServerContext& context);

}  // namespace allod
