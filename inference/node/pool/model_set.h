// Which models a node keeps in memory: loaded once for all who wait, kept while used and for a while after, evicted
// when memory is short, never while a worker runs on it.
//
// Decisions only: no I/O, no threads, no clock. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "inference/node/pool/desired.h"
#include "inference/node/pool/process_exit.h"
#include "services/common/result.h"

namespace allod::inference::node::pool {

struct ModelPolicy {
  // A model that nobody uses stays for this long.
  std::chrono::seconds keep_idle{600};
  // Left free for everything else on the machine.
  std::int64_t memory_reserve_bytes = std::int64_t{256} << 20;
};

class ModelSet {
 public:
  explicit ModelSet(ModelPolicy policy) : policy_(policy) {}

  // A worker wants to be forked from this model: what to do about it, if anything. `memory_available` in bytes.
  // Call again later: nothing to do now does not mean that it is resident.
  std::optional<Action> Ensure(const DesiredWorker& worker, SteadyTime now, std::int64_t memory_available);
  // What is to go now. `used`: keys of models that a worker runs on or waits for; `wanted`: also those of sleeping
  // ones.
  std::optional<Action> Evict(const std::set<std::string>& used, const std::set<std::string>& wanted, SteadyTime now);
  std::optional<SteadyTime> NextDeadline(const std::set<std::string>& used) const;
  // When Ensure may say something else for this model; nothing while it waits for an event.
  std::optional<SteadyTime> RetryTime(const std::string& key) const;

  bool IsResident(const std::string& key) const;
  // Why it is not resident; empty when nothing is wrong.
  std::string Message(const std::string& key) const;
  bool Failed(const std::string& key) const;
  // Whether one waits for room that there is not.
  bool IsShortOfMemory() const;

  void OnArtifact(const std::string& sha256, const Result<std::filesystem::path>& artifact, SteadyTime now);
  void OnResident(const std::string& key, SteadyTime now);
  void OnExit(const std::string& key, const ProcessExit& exit, SteadyTime now);
  void OnUsed(const std::string& key, SteadyTime now);
  // Failures of models that nobody wants any more are forgotten.
  void ForgetUnwanted(const std::set<std::string>& wanted_keys);

  std::vector<ObservedModel> Observed() const;
  // When a worker ran on it last; the epoch for an unknown one.
  SteadyTime LastUsed(const std::string& key) const;
  bool Idle() const;  // no zygote is left

 private:
  enum class Phase { kNone, kLoading, kResident, kUnloading };
  struct Model {
    Phase phase = Phase::kNone;
    std::string sha256;
    std::int64_t bytes = 0;
    bool is_private = false;  // one worker's own: of no use to others
    SteadyTime last_used{};
    SteadyTime since{};    // of the phase: loading or resident
    int failures = 0;      // in a row
    bool refused = false;  // the model itself is at fault
    bool no_room = false;
    std::string message;
    SteadyTime not_before{};
  };
  struct Artifact {
    enum class State { kUnknown, kFetching, kPresent, kFailed } state = State::kUnknown;
    std::filesystem::path path;
    std::string message;
    int failures = 0;
    SteadyTime not_before{};
  };

  std::optional<Action> MakeRoom(Model& model, SteadyTime now, std::int64_t memory_available);

  const ModelPolicy policy_;
  std::map<std::string, Model> models_;
  std::map<std::string, Artifact> artifacts_;  // by digest
  std::set<std::string> used_;                 // as of the last Evict
};

// 100 ms for the first failure in a row, doubled with each, at most 10 s.
std::chrono::milliseconds RestartDelay(int failures);

// A model at fault is tried again after this; a worker's exit status for it.
inline constexpr auto kModelRefusedDelay = std::chrono::minutes(1);
inline constexpr int kExitModelRefused = 3;
inline constexpr int kFailuresShownAsFailed = 3;

}  // namespace allod::inference::node::pool
