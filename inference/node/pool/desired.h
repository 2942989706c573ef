// What a node is asked to run, and what it says of it: the values between the scheduling link and the decisions.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "inference/ports/members.h"

namespace allod::inference::node::pool {

using SteadyTime = std::chrono::steady_clock::time_point;

enum class IsolationClass { kPooled, kIsolated, kDedicated };

// What computes with a model; each has a program (node/config.cc).
enum class Runtime { kLanguage };

// One replica of an instance.
struct DesiredWorker {
  std::string replica_uid;
  std::int64_t epoch = 0;
  std::string artifact_sha256;
  std::int64_t artifact_bytes = 0;
  Runtime runtime = Runtime::kLanguage;
  IsolationClass isolation = IsolationClass::kIsolated;
  std::chrono::seconds sleep_after{0};  // without requests; 0: never
  ports::Member member;                 // as its worker is told
  // Why this node cannot run it, whatever else it says: nothing is started, and the replica is reported as failed with
  // these words. Empty: it can.
  std::string refused_because;

  // The worker process that answers for it: its own, or the one that all pooled replicas of the model share.
  std::string worker_key() const {
    return isolation == IsolationClass::kPooled ? "pool/" + artifact_sha256 : replica_uid;
  }
  // The resident model that this worker is forked from: the shared one, or its own.
  std::string model_key() const {
    return isolation == IsolationClass::kDedicated ? artifact_sha256 + "/" + replica_uid : artifact_sha256;
  }
};

enum class WorkerState { kStarting, kReady, kAsleep, kFailed };

struct ObservedWorker {
  std::string replica_uid;
  std::int64_t epoch = 0;
  WorkerState state = WorkerState::kStarting;
  std::string target;   // gRPC target; set while its socket listens
  std::string message;  // why it is not ready
  std::int32_t start_count = 0;
  std::int32_t wake_count = 0;
  std::string worker_key;  // of the process that answers for it

  bool operator==(const ObservedWorker&) const = default;
};

enum class ModelState { kLoading, kResident, kUnloading, kFailed };

struct ObservedModel {
  std::string key;
  std::string sha256;
  ModelState state = ModelState::kLoading;
  std::string message;

  bool operator==(const ObservedModel&) const = default;
};

struct Action {
  enum class Kind {
    kFetch,      // get the artifact: OnArtifact
    kLoad,       // start a zygote with `artifact`: OnResident or OnModelExit
    kUnload,     // end the zygote: OnModelExit
    kFork,       // fork a worker for `members`: OnReady or OnWorkerExit
    kMembers,    // tell the worker its new members
    kTerminate,  // ask the worker to end: OnWorkerExit
    kKill,
  };
  Kind kind;
  std::string worker_key;              // of kFork and all after it
  std::string model_key;               // of kLoad, kUnload, kFork
  std::string sha256;                  // of kFetch, kLoad
  std::filesystem::path artifact;      // of kLoad
  Runtime runtime{};                   // of kLoad
  bool private_weights = false;        // of kLoad
  std::vector<DesiredWorker> members;  // of kFork, kMembers; by replica uid
  std::uint64_t members_version = 0;   // of kMembers; OnMembers gives it back
};

}  // namespace allod::inference::node::pool
