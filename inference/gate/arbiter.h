// The node's side of the gate: one thread that hands the cores to one worker at a time, or to as many as there are
// cores for.
//
// Who waits is served in the order of FairShare. A worker that dies is taken out by Remove, and its cores go to the
// next. One that was told to yield and holds on for far longer than any step takes (stopped, or hostile) loses its
// claim to the cores: the others go on beside it. What workers count is bounded by the time that they had: one that
// counts nothing or nonsense gets no larger share and spoils no other's. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "inference/gate/fair_share.h"
#include "inference/gate/worker_page.h"

namespace allod::inference::gate {

struct GateOptions {
  int cores = 1;  // computed on at once, over all turns
  // What a step should take while others wait, and while nobody does.
  std::chrono::microseconds turn_contended{25'000};
  std::chrono::microseconds turn_alone{50'000};
  // One that was told to yield and has not for so long is stuck.
  std::chrono::milliseconds turn_stuck{5'000};
  TokenCosts costs;
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
  ~Arbiter();  // no worker is granted anything any more
  Arbiter(const Arbiter&) = delete;
  Arbiter& operator=(const Arbiter&) = delete;

  // What all workers write to. A pipe's end and no eventfd: none of them can read away what another wrote.
  int event_fd() const { return events_write_; }

  // `page` must stay mapped until Remove(id) has returned. `tenant` is what is fair to whom: workers of one tenant
  // share its share. A worker that needs more cores than there are gets all.
  void Add(std::uint64_t id, WorkerPage& page, std::string tenant, double weight, int cores);
  void SetWeight(std::uint64_t id, double weight);
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
    SteadyTime observed_at{};
    SteadyTime told_to_yield{};  // while it was told
    double cost_of_tokens = 0;   // since it was granted
    double cost_of_time = 0;
    double charged = 0;
    std::uint64_t arrival = 0;  // order of waiting
    bool waiting = false;
    std::uint64_t turns_seen = 0;
    std::uint64_t prompt_seen = 0;
    std::uint64_t decode_seen = 0;
    std::uint64_t compute_us_seen = 0;
  };

  void Run();
  // One look at all pages, grants what can be granted; how long until the next look at most.
  std::chrono::milliseconds Decide();
  void ChargeFor(Member& member, SteadyTime now);
  void Observe(Member& member, SteadyTime now);
  void TakeForStuck(Member& member, SteadyTime now);
  void Release(Member& member);
  void Grant(Member& member);
  void Tell() const;

  const GateOptions options_;
  int events_read_ = -1;
  int events_write_ = -1;
  const int wake_;  // our own

  mutable std::mutex mutex_;
  std::map<std::uint64_t, Member> members_;
  FairShare shares_;
  int free_cores_;
  std::uint64_t arrivals_ = 0;
  GateFigures figures_;

  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace allod::inference::gate
