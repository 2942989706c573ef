// What is settled when, and what together: which settlements are due, how long one rests that was not taken, and what
// billing's answer to one means for the others. Pure: no I/O, no threads, no clock. The Settler does what is said here,
// and says what came of it. Not thread-safe.
//
// What one tenant has due goes in one batch as soon as none of its batches is under way and the last one began 10 ms
// ago: who is alone does not wait for a batch to fill, and a busy tenant's batches grow by themselves. Slots of before
// leases, which a call takes one by one, have lanes of their own.
//
// A settlement leaves the queue when billing knows of it, or when there is nothing that it could know of. While billing
// is away, one attempt at a time probes whether it is back, at intervals that grow to 2 s. One that billing refuses
// rests for 1 s, then 2 s, ... up to 1 min, and holds up no other; a batch that is refused as a whole is tried again in
// halves. Nor does a tenant whose books are busy hold up others.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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
// Of a batch's call, or of that of one settlement.
SettleVerdict Judge(Code answer);
// Of one from before leases: after its admission a request's reservation may reach billing for `reserve_time_max`.
SettleVerdict JudgeOld(Code answer, const Settlement& settlement, Time now, std::chrono::milliseconds reserve_time_max);

class SettleQueue {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  // Whose they are, and whether they are of before leases.
  struct Lane {
    std::string tenant;
    bool old = false;

    auto operator<=>(const Lane&) const = default;
  };
  struct Batch {
    Lane lane;
    std::vector<int> slots;

    bool operator==(const Batch&) const = default;
  };
  struct Step {
    std::optional<Batch> batch;       // to be settled now; the attempt counts as begun
    std::optional<SteadyTime> until;  // if there is none: when there may be one although nothing happens before

    bool operator==(const Step&) const = default;
  };
  enum class Fate {
    kKept,     // it is tried again
    kRefused,  // as well, but it was refused for the first time: a person should know
    kDone,     // its slot may be freed
  };

  // Whether there may be a batch now that there was not before: what else comes in waits for what has begun.
  bool Add(int slot, const Lane& lane);
  // Call until it gives no batch.
  Step NextStep(SteadyTime now);
  // The attempt on `batch` ended, with a verdict on each.
  std::vector<Fate> OnAnswer(const Batch& batch, const std::vector<SettleVerdict>& verdicts, SteadyTime now);
  // ... with one on the call.
  std::vector<Fate> OnAnswer(const Batch& batch, SettleVerdict verdict, SteadyTime now);

  std::size_t pending() const { return pending_; }
  // Of these, those that billing refuses.
  std::size_t refused() const { return refusals_.size(); }
  // None is under way, nor could be but for what was refused or not taken.
  bool idle() const { return ready_.empty() && running_ == 0 && paced_ == 0; }

 private:
  struct Due {
    std::deque<int> slots;
    std::size_t batch_max = 0;  // 0: as many as may be
    bool running = false;
    bool resting = false;  // as a whole
    SteadyTime next{};     // batch not before
  };
  // Whether its next batch may begin now.
  bool Ready(const Lane& lane);
  // What comes after a batch.
  void GoOn(const Lane& lane, SteadyTime now);
  Fate Judged(int slot, const Lane& lane, SettleVerdict verdict, SteadyTime now);
  void AnswerCame(SettleVerdict verdict, SteadyTime now);

  std::map<Lane, Due> lanes_;  // that have slots due, or under way
  std::deque<Lane> ready_;     // of these, whose next batch may begin
  std::size_t running_ = 0;
  std::size_t pending_ = 0;
  std::size_t paced_ = 0;                                    // lanes that rest between two batches
  std::multimap<SteadyTime, std::pair<Lane, int>> resting_;  // by when they are due again; a slot below 0: the lane
  std::map<int, std::chrono::milliseconds> refusals_;        // slots that are refused, and how long each rested last
  std::chrono::milliseconds backoff_{0};                     // 0 while billing answers
  SteadyTime not_before_{};
};

}  // namespace allod::gateway::metering
