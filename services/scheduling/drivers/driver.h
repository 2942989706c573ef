// The port between decisions and what runs workers: node agents of our own (ProcessDriver), or a cluster with a
// scheduler of its own.
//
// Purpose: the scheduling service decides which workers shall exist and writes that down; a driver makes it so and says
// what it sees. The database is the truth, a driver is its shadow: everything in it can be rebuilt by Apply() from rows
// and by what its nodes report, so losing a driver's memory loses nothing.
//
// Contract of every implementation:
//   - Level-triggered and idempotent: Apply and Remove state what shall be, any number of times; nothing is queued.
//   - Fenced: every worker carries an epoch; a call with an older epoch than was seen for that worker is refused with
//     ABORTED / STALE_EPOCH and changes nothing.
//   - Asynchronous: Apply and Remove return before anything runs or stops; List shows what became of it. What fails on
//     the way there, a cluster that is away for a moment, is the driver's to try again and no error of theirs.
//   - Non-blocking: no call waits, and none does I/O while it holds a lock. EnsureTenant may do I/O.
//   - Thread-safe.
//   - Fail closed: nothing is told to stop a worker before Synced() said that the desired state is complete.
//   - An error is that tenant's, or that worker's, and nobody else's, whatever its code: the others are served.
//
// A driver is made with a ChangeSignal of the one who drives it, and notifies it when TakeChanged() or Capacity() has
// something new. A node falling silent need not be told: who cares asks Capacity() from time to time. How nodes come to
// be known (agents that connect, a cluster that lists them) and whether an earlier process's are restored is each
// driver's own business and not in this port.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "scheduler/model.h"
#include "services/common/result.h"

namespace allod::scheduling::drivers {

// One worker that shall run. Equal `replica` and `epoch` means equal content.
struct DesiredWorker {
  Uuid replica;
  TenantId tenant;
  std::string instance;  // full resource name
  std::string node;
  std::int64_t epoch = 0;
  std::string artifact_sha256;
  std::int64_t artifact_bytes = 0;
  int context_tokens = 0;
  int max_concurrency = 0;
  scheduler::IsolationClass isolation_class = scheduler::IsolationClass::kIsolated;
  int sleep_after_seconds = 0;  // 0: never
  int weight = 1;               // the tenant's share of contended compute
  std::string variant;          // full resource name
  ResidencyRules residency;     // the tenant's; its node asks it too
  bool operator==(const DesiredWorker&) const = default;
};

// One worker as its node described it last.
struct ObservedWorker {
  enum class State { kStarting, kReady, kFailed, kAsleep };
  Uuid replica;
  std::int64_t epoch = 0;
  State state = State::kStarting;
  std::string target;  // gRPC target; set from when its socket listens, before it is ready
  std::string message;
  int start_count = 0;
  bool operator==(const ObservedWorker&) const = default;
};

// Wish and reality of one worker. Node::reported tells an absent worker from a node that said nothing yet.
struct WorkerView {
  Uuid replica;
  std::string node;
  std::optional<DesiredWorker> desired;
  std::optional<ObservedWorker> observed;
};

// One worker on one node.
struct WorkerKey {
  Uuid replica;
  std::string node;
};

class Driver {
 public:
  virtual ~Driver() = default;

  // What should be done about the snapshot; changes nothing. A driver whose cluster picks machines itself may leave the
  // choice of a node within a region to it.
  virtual scheduler::Plan MakePlan(const scheduler::Snapshot& snapshot) const = 0;

  // Prepares what a tenant needs before its first worker (a cluster's namespace, say). When it fails, nothing is
  // started for this tenant, and it is tried again later.
  virtual Status EnsureTenant(const TenantId& tenant) = 0;

  // This worker shall run. ABORTED / STALE_EPOCH; NOT_FOUND when the node is not known. A refusal is shown in the
  // instance's status, and the worker applied again when the tenant is looked at next.
  virtual Status Apply(const DesiredWorker& worker) = 0;

  // This worker shall not run. Absent is fine. ABORTED / STALE_EPOCH.
  virtual Status Remove(const Uuid& replica, std::int64_t epoch) = 0;

  // Everything that was applied since the start is the complete desired state; until then nothing is stopped.
  virtual void Synced() = 0;

  // Every worker that was applied or is seen running.
  virtual std::vector<WorkerView> List() const = 0;
  // The same of these alone; those that are not known are left out.
  virtual std::vector<WorkerView> Find(std::span<const WorkerKey> keys) const = 0;
  // The replicas of which something new was seen since the last call, each once. For the one who drives this driver;
  // what else may change what is decided, a node's state, is in Capacity().
  virtual std::vector<Uuid> TakeChanged() = 0;

  // The nodes with what they offer, when they reported last and whether they count as lost at `now`.
  virtual std::vector<scheduler::Node> Capacity(Time now) const = 0;
};

}  // namespace allod::scheduling::drivers
