// The node's side of the gate: one thread that hands the cores to one worker at a time, or to as many as there are
// cores for.
//
// Who waits is served in the order of FairShare, which counts the time that the cores were held, as the arbiter itself
// measured it: what a worker says of itself has no say in whose turn it is, but for time that it owns up to have used
// outside of turns. How long turns are PlanTurn decides. A worker that dies is taken out by Remove, and its cores go to
// the next. One that was told to yield and holds on for far longer than any step takes (stopped, or hostile) loses its
// claim to the cores: the others go on beside it, and it is charged until it lets go. Thread-safe.
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "inference/fairness/fair_share.h"
#include "inference/gate/bells.h"
#include "inference/gate/turn_plan.h"
#include "inference/gate/worker_page.h"
#include "services/common/owned_fd.h"
#include "services/common/owned_thread.h"
#include "services/common/wake_fd.h"

namespace allod::inference::gate {

struct GateOptions {
  int cores = 1;  // computed on at once, over all turns
  TurnTimes turns;
  // One that was told to yield and has not for so long is stuck.
  std::chrono::milliseconds turn_stuck{5'000};
};

struct GateFigures {
  int cores = 0;
  int workers = 0;
  int waiting = 0;
  int holding = 0;
  std::uint64_t grants = 0;
  std::uint64_t stuck = 0;  // turns that were taken for stuck
  std::uint64_t turns = 0;  // steps that workers took, by their own count
  double compute_seconds = 0;
};

class Arbiter {
 public:
  explicit Arbiter(const GateOptions& options);
  ~Arbiter() = default;  // no worker is granted anything any more
  Arbiter(const Arbiter&) = delete;
  Arbiter& operator=(const Arbiter&) = delete;

  // What clients in this process write to; a worker process has a bell of its own, so that it is known who rings.
  int event_fd() const { return events_.write.get(); }
  // The worker's end, until Remove(id). INTERNAL / NO_BELL.
  Result<OwnedFd> MakeBell(std::uint64_t id);
  // Workers that ring without end, each named once.
  std::vector<std::uint64_t> TakeFlooding();

  // `page` must stay mapped until Remove(id) has returned. `tenant` is what is fair to whom: workers of one tenant
  // share its share. A worker that needs more cores than there are gets all.
  void Add(std::uint64_t id, WorkerPage& page, std::string tenant, double weight, int cores);
  void SetWeight(std::uint64_t id, double weight);
  // From now on it computes for somebody else: a spare worker got an instance.
  void SetTenant(std::uint64_t id, std::string tenant, double weight);
  void Remove(std::uint64_t id);
  GateFigures figures() const;

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;
  struct Member {
    WorkerPage* page;
    std::string tenant;
    double weight;
    int cores;
    bool working = false;  // entered into the shares
    bool granted = false;  // we gave it the cores it holds
    bool stuck = false;
    bool has_come = false;  // its tenant had no work before, and it had no turn since
    SteadyTime observed_at{};
    SteadyTime claim_until{};    // of the first turn
    SteadyTime told_to_yield{};  // while it was told
    std::uint64_t arrival = 0;   // order of waiting
    bool waiting = false;
    std::uint64_t turns_seen = 0;
    std::uint64_t compute_us_seen = 0;
    std::uint64_t aside_us_seen = 0;
    double aside_owed = 0;  // seconds that are not charged yet
  };

  void Run(const std::stop_token& stop);
  // One look at all pages, grants what can be granted; how long until the next look at most.
  std::chrono::milliseconds Decide();
  void ChargeFor(Member& member, SteadyTime now);
  void Observe(Member& member, SteadyTime now);
  void TakeForStuck(Member& member);
  void Release(Member& member);
  void Grant(Member& member);
  // Tells a worker how long its steps should be, and whether somebody waits for them to end.
  void TellPlan(Member& member, bool others_wait, SteadyTime now) const;
  // Until somebody rings, or the time is over.
  void Listen(std::chrono::milliseconds wait);

  const GateOptions options_;
  const Pipe events_ = Pipe::Make(O_NONBLOCK);
  const WakeFd wake_;                                  // our own
  const OwnedFd epoll_{epoll_create1(EPOLL_CLOEXEC)};  // of all that is listened to

  mutable std::mutex mutex_;
  std::map<std::uint64_t, Member> members_;
  fairness::FairShare shares_;
  Bells bells_{epoll_.get()};
  int free_cores_;
  std::uint64_t arrivals_ = 0;
  SteadyTime somebody_waited_{};
  GateFigures figures_;

  OwnedThread thread_;  // last: it uses everything above
};

}  // namespace allod::inference::gate
