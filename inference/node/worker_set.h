// What a node decides about its workers: desired replicas and events in, at most one action at a time and reports out.
// No I/O, no threads, no clock: the caller passes the time, performs each action and feeds back what happened.
//
// Level-triggered: the newest complete desired set counts, whatever was missed before it. A replica never has two
// processes. A worker that dies is started again after 100 ms, then 200 ms, ... up to 10 s, counted from nothing once
// it was ready for 30 s. A model that the worker refuses (exit status 3) is tried again once a minute. Assignments of
// an older epoch than was seen for a replica are refused.
//
// Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/common/result.h"

namespace allod::inference::node {

using SteadyTime = std::chrono::steady_clock::time_point;

struct DesiredWorker {
  std::string replica_uid;
  std::string instance;  // full resource name
  std::int64_t epoch = 0;
  std::string artifact_sha256;
  std::int64_t artifact_bytes = 0;
  std::int32_t context_tokens = 0;
  std::int32_t max_concurrency = 0;

  // Whether a process started for `other` also serves this.
  bool SameProcess(const DesiredWorker& other) const;
};

enum class WorkerState { kStarting, kReady, kFailed };

struct ObservedWorker {
  std::string replica_uid;
  std::int64_t epoch = 0;
  WorkerState state = WorkerState::kStarting;
  std::string target;   // gRPC target; set when ready
  std::string message;  // why it is not ready
  std::int32_t start_count = 0;

  bool operator==(const ObservedWorker&) const = default;
};

// How a process ended: one of the two is set.
struct WorkerExit {
  std::optional<int> status;
  std::optional<int> signal;
  std::string last_line;  // of its standard error; may be empty
};

struct Action {
  enum class Kind { kFetch, kStart, kTerminate, kKill };
  Kind kind;
  DesiredWorker worker;            // what to run; of kTerminate and kKill, what runs
  std::filesystem::path artifact;  // of kStart
  std::int32_t start_number = 0;   // of kStart: unique among all starts of this set
};

class WorkerSet {
 public:
  // Replaces the desired set. Returns the replicas whose assignment was refused because its epoch is older than one
  // seen.
  std::vector<std::string> SetDesired(const std::vector<DesiredWorker>& desired, SteadyTime now);

  // What to do now, if anything; call until it returns nothing. The action counts as begun.
  std::optional<Action> NextAction(SteadyTime now);
  // When NextAction may have something to do although nothing happens before.
  std::optional<SteadyTime> NextDeadline() const;

  void OnArtifact(const std::string& sha256, const Result<std::filesystem::path>& artifact, SteadyTime now);
  void OnReady(const std::string& replica_uid, const std::string& target, SteadyTime now);
  void OnExit(const std::string& replica_uid, const WorkerExit& exit, SteadyTime now);

  std::vector<ObservedWorker> Observed() const;
  // Replicas whose process was started and has not answered yet.
  std::vector<std::string> Unanswered() const;
  // Nothing desired and no process left.
  bool Idle() const { return entries_.empty(); }

 private:
  enum class Phase { kNone, kStarting, kReady, kTerminating, kKilling };

  struct Entry {
    std::optional<DesiredWorker> desired;  // none: to be gone
    Phase phase = Phase::kNone;
    DesiredWorker running;    // of the process, unless kNone
    SteadyTime since{};       // of the phase
    bool on_purpose = false;  // it ends because we want it to
    std::string target;
    std::string message;
    bool model_refused = false;
    int failures = 0;  // in a row
    SteadyTime not_before{};
    std::int32_t start_count = 0;
  };

  struct Artifact {
    enum class State { kUnknown, kFetching, kPresent, kFailed } state = State::kUnknown;
    std::filesystem::path path;
    std::string message;
    int failures = 0;
    SteadyTime not_before{};
  };

  std::optional<Action> StopAction(Entry& entry, SteadyTime now);
  std::optional<Action> StartAction(Entry& entry, SteadyTime now);
  void RememberEpoch(const std::string& replica_uid, std::int64_t epoch);

  std::map<std::string, Entry> entries_;        // by replica uid
  std::map<std::string, Artifact> artifacts_;   // by digest
  std::map<std::string, std::int64_t> epochs_;  // newest seen; bounded
  std::int32_t starts_ = 0;
};

// 100 ms for the first failure in a row, doubled with each, at most 10 s.
std::chrono::milliseconds RestartDelay(int failures);

}  // namespace allod::inference::node
