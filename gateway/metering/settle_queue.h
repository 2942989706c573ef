// What is settled when: which settlement is due, how long one rests that was not taken, and what billing's answer to
// one means for the others. Pure: no I/O, no threads, no clock. The Settler does what is said here, and says what came
// of it. Not thread-safe.
//
// A settlement leaves the queue when billing knows of it, or when there is nothing that it could know of. While billing
// is away, one attempt at a time probes whether it is back, at intervals that grow to 2 s. One that billing refuses
// rests for 1 s, then 2 s, ... up to 1 min, and holds up no other; nor does one whose tenant's books are busy.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <optional>

#include "gateway/metering/journal.h"
#include "services/common/result.h"

namespace allod::gateway::metering {

// What billing's answer means for a settlement.
enum class SettleVerdict {
  kSettled,
  kAway,     // billing cannot be reached or has no time: so it is for all of them
  kBusy,     // this tenant's books are, for a moment
  kInDoubt,  // nothing is there to settle yet
  kVoid,     // nothing is there to settle, and nothing will come
  kRefused,  // this one; it is kept
};
// After its admission a request's reservation may reach billing for `reserve_time_max`.
SettleVerdict Judge(Code answer, const Settlement& settlement, Time now, std::chrono::milliseconds reserve_time_max);

class SettleQueue {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  struct Step {
    std::optional<int> slot;          // to be settled now; the attempt counts as begun
    std::optional<SteadyTime> until;  // if there is none: when there may be one although nothing happens before

    bool operator==(const Step&) const = default;
  };
  enum class Fate {
    kKept,     // it is tried again
    kRefused,  // as well, but it was refused for the first time: a person should know
    kDone,     // its slot may be freed
  };

  void Add(int slot);
  // Call until it gives no slot.
  Step NextStep(SteadyTime now);
  // The attempt on `slot` ended.
  Fate OnAnswer(int slot, SettleVerdict verdict, SteadyTime now);

  std::size_t pending() const { return due_.size() + running_ + resting_.size(); }
  // Of these, those that billing refuses.
  std::size_t refused() const { return refusals_.size(); }
  // None is under way, nor could be before some time has passed.
  bool idle() const { return due_.empty() && running_ == 0; }

 private:
  std::deque<int> due_;
  std::size_t running_ = 0;
  std::multimap<SteadyTime, int> resting_;             // by when they are due again
  std::map<int, std::chrono::milliseconds> refusals_;  // slots that billing refuses, and how long each rested last
  std::chrono::milliseconds backoff_{0};               // 0 while billing answers
  SteadyTime not_before_{};
};

}  // namespace allod::gateway::metering
