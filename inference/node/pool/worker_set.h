// What a node decides about its workers: desired replicas and events in, at most one action at a time and reports out.
// No I/O, no threads, no clock: the caller passes the time, performs each action and feeds back what happened.
//
// Level-triggered: the newest complete desired set counts, whatever was missed before it. A replica of the isolated and
// dedicated classes has a worker of its own; the pooled replicas of one model share one, whose members come and go
// without a restart. A worker never has two processes. One that dies is started again after 100 ms, then 200 ms, ... up
// to 10 s, counted from nothing once it was ready for 30 s. Assignments of an older epoch than was seen for a replica
// are refused.
//
// A replica is ready when a request to it would be answered: its worker is, and has said that it took this replica for
// a member. The list of a pool's members leaves out by name what does not fit (members.h); a worker that does not
// confirm its list is told again, and in the end replaced.
//
// A worker of which nobody asked anything for its `sleep_after` is ended and sleeps: it is forked again when somebody
// connects to its socket, which the node keeps listening on. Which models are in memory is ModelSet's part.
//
// Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "inference/node/pool/desired.h"
#include "inference/node/pool/members.h"
#include "inference/node/pool/model_set.h"
#include "inference/node/pool/process_exit.h"
#include "inference/ports/members.h"
#include "services/common/result.h"

namespace allod::inference::node::pool {

// How long calls that progress may take once their worker is to end: docs/billing-contract.md promises it.
inline constexpr std::chrono::seconds kDrain{30};

class WorkerSet {
 public:
  explicit WorkerSet(ModelPolicy policy = {}) : models_(policy) {}

  // Replaces the desired set. Returns the replicas whose assignment was refused because its epoch is older than one
  // seen. Those with `refused_because` are reported as failed, and nothing else is done about them.
  std::vector<std::string> SetDesired(const std::vector<DesiredWorker>& desired, SteadyTime now);

  // What to do now, if anything; call until it returns nothing. The action counts as begun.
  std::optional<Action> NextAction(SteadyTime now, std::int64_t memory_available);
  // When NextAction may have something to do although nothing happens before.
  std::optional<SteadyTime> NextDeadline() const;

  // Workers whose socket should listen now; the caller opens and closes sockets and says where they are.
  std::set<std::string> WorkersToListenFor() const;
  void OnListening(const std::string& worker_key, const std::string& target);  // empty: no longer

  void OnArtifact(const std::string& sha256, const Result<std::filesystem::path>& artifact, SteadyTime now);
  void OnResident(const std::string& model_key, SteadyTime now);
  // All its workers are gone too; say so first.
  void OnModelExit(const std::string& model_key, const ProcessExit& exit, SteadyTime now);
  // It serves the members that it was forked for, but for those that it refuses.
  void OnReady(const std::string& worker_key, SteadyTime now, const std::vector<ports::RefusedMember>& refused = {});
  // It took the list of that version, but for those that it refuses.
  void OnMembers(const std::string& worker_key, std::uint64_t version,
                 const std::vector<ports::RefusedMember>& refused);
  void OnWorkerExit(const std::string& worker_key, const ProcessExit& exit, SteadyTime now);
  // It had or has requests.
  void OnActivity(const std::string& worker_key, SteadyTime now);
  // From now on no worker that is to end may take its time for calls that progress.
  void EndDrains() { drain_ = std::chrono::milliseconds(0); }
  // Somebody connects to a sleeping worker.
  void OnKnock(const std::string& worker_key, SteadyTime now);

  std::vector<ObservedWorker> Observed() const;
  std::vector<ObservedModel> ObservedModels() const { return models_.Observed(); }
  SteadyTime LastUsed(const std::string& model_key) const { return models_.LastUsed(model_key); }
  // Of sleeping workers: whose sockets are to be watched.
  std::vector<std::string> Sleeping() const;
  // Whether some worker is on its way, or some model waits for memory.
  bool IsStarting() const;
  bool IsShortOfMemory() const { return models_.IsShortOfMemory(); }
  // Nothing desired and no process of a worker left.
  bool Idle() const { return workers_.empty(); }

 private:
  enum class Phase { kNone, kStarting, kReady, kTerminating, kKilling, kAsleep };

  struct Worker {
    std::map<std::string, DesiredWorker> members;  // desired, by replica uid; none: to be gone
    Phase phase = Phase::kNone;
    DesiredWorker running;            // whose shape the process has, unless kNone or kAsleep
    std::vector<DesiredWorker> told;  // the members that the process was told of last
    std::uint64_t told_version = 0;
    bool is_told = true;                         // it said that it knows them
    int tellings = 0;                            // of that list
    SteadyTime told_at{};                        // last
    std::set<std::string> answered;              // replicas that it answers for, as it said
    std::map<std::string, std::string> refused;  // those that it refused, and why
    SteadyTime since{};                          // of the phase
    SteadyTime last_active{};
    bool on_purpose = false;  // it ends because we want it to
    bool goes_to_sleep = false;
    std::string target;
    std::string message;
    bool model_refused = false;
    int failures = 0;  // in a row
    SteadyTime not_before{};
    std::int32_t start_count = 0;
    std::int32_t wake_count = 0;
  };

  std::optional<Action> StopAction(const std::string& key, Worker& worker, SteadyTime now);
  std::optional<Action> MembersAction(const std::string& key, Worker& worker, SteadyTime now);
  static void Confirm(Worker& worker, const std::vector<ports::RefusedMember>& refused);
  std::optional<Action> StartAction(const std::string& key, Worker& worker, SteadyTime now,
                                    std::int64_t memory_available);
  std::optional<SteadyTime> DeadlineOf(const Worker& worker) const;
  // When a worker that is asked to end is killed.
  SteadyTime KillTime(const Worker& worker) const;
  void RememberEpoch(const std::string& replica_uid, std::int64_t epoch);
  std::set<std::string> UsedModels() const;
  std::set<std::string> WantedModels() const;
  ObservedWorker Observe(const std::string& key, const Worker& worker, const DesiredWorker& member,
                         const Membership& membership) const;

  std::chrono::milliseconds drain_ = kDrain;
  ModelSet models_;
  std::map<std::string, Worker> workers_;       // by worker key
  std::vector<DesiredWorker> unusable_;         // desired, with refused_because
  std::map<std::string, std::int64_t> epochs_;  // newest seen of each replica; bounded
};

}  // namespace allod::inference::node::pool
