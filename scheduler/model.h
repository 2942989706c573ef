// The values that scheduling decisions are made of: what exists (Snapshot) and what should be done about it (Plan).
//
// Plain data, no I/O and no clock: `Snapshot::now` is the only time there is. Ids are compared, never interpreted.
// Memory is in bytes, compute in thousandths of a core.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "services/common/clock.h"
#include "services/common/ids.h"
#include "services/common/residency.h"

namespace allod::scheduler {

struct Resources {
  std::int64_t memory_bytes = 0;
  std::int64_t cpu_millis = 0;

  Resources operator+(const Resources& o) const { return {memory_bytes + o.memory_bytes, cpu_millis + o.cpu_millis}; }
  Resources operator-(const Resources& o) const { return {memory_bytes - o.memory_bytes, cpu_millis - o.cpu_millis}; }
  // Whether `demand` fits into this in every dimension.
  bool Fits(const Resources& demand) const {
    return demand.memory_bytes <= memory_bytes && demand.cpu_millis <= cpu_millis;
  }
  bool operator==(const Resources&) const = default;
};

// How much of a machine a replica shares with other tenants.
enum class IsolationClass {
  kIsolated,   // own process, weights shared
  kPooled,     // one process serves several tenants
  kDedicated,  // shares nothing
};

// What one replica takes of a node: its own part, and memory that all replicas on the node with the same key hold
// together, so that it counts once (where they disagree, the most).
struct Demand {
  Resources own;
  std::string shared_key;          // digest of the weights; empty: shares nothing
  std::int64_t weights_bytes = 0;  // the weights themselves
  std::int64_t pool_bytes = 0;     // the one worker that serves all pooled replicas of these weights
  // On a node where nothing is shared yet.
  Resources Alone() const { return {own.memory_bytes + weights_bytes + pool_bytes, own.cpu_millis}; }
  // Answered for by that one worker.
  bool pooled() const { return pool_bytes > 0; }
  bool operator==(const Demand&) const = default;
};

// A place with one jurisdiction (ISO 3166-1 alpha-2, lower case).
struct Region {
  std::string id;
  std::string jurisdiction;
  bool operator==(const Region&) const = default;
};

enum class NodeState { kReady, kLost };

struct Node {
  std::string id;
  std::string region;  // id of a Region; one that is not declared takes no replica
  NodeState state = NodeState::kReady;
  Resources capacity;
  Time last_report;
  // It reported to this driver, so that a worker it did not name does not run. Decisions do not depend on it.
  bool reported = false;
  // Where it says itself that it stands; empty: it has not said since that is asked, and takes no replica until it
  // does.
  std::string jurisdiction = {};
};

enum class ReplicaState {
  kPending,   // assigned to a node, not seen running
  kStarting,  // seen, not answering yet
  kReady,
  kStopping,  // no longer assigned, perhaps still running
  kFailed,    // its worker does not start
  kStopped,   // was stopping and is gone
  kAsleep,    // no process; the next request wakes it, so it counts as ready
};

// One worker of an instance on one node.
struct Replica {
  Uuid id;
  Uuid instance;
  std::int64_t generation = 0;  // of the instance's worker template
  std::string node;
  std::int64_t epoch = 0;
  ReplicaState state = ReplicaState::kPending;
  Time state_time;  // when `state` was entered
  Demand demand;
};

// What a tenant asked for, as far as placement goes.
struct Instance {
  Uuid id;
  std::int64_t version = 0;     // grows with each change of the row; a plan is void when it moved
  std::int64_t generation = 0;  // of the worker template; replicas of older ones are replaced
  std::string region;
  ResidencyRules residency;  // where the tenant's data may be
  int replicas = 1;
  Demand demand;  // of one replica
  bool deleting = false;
  // A pool names its members by instance, so that a second replica on the same node would be nobody.
  bool one_per_node = false;
  // Why nothing of it may run anywhere now, for people ("the tenant is suspended"); empty: it may. It keeps what it is
  // and comes back.
  std::string refused;
};

struct Policy {
  // A replica on a node that has not reported for this long, or that failed for this long, is replaced.
  std::chrono::milliseconds replace_after{30'000};
  // What one node's report and one pool's member list may hold; a node is full beyond.
  int node_replicas_max = 4000;
  int pool_members_max = 256;
};

// Everything a decision may depend on.
struct Snapshot {
  Time now;
  Policy policy;
  std::vector<Region> regions;
  std::vector<Node> nodes;
  std::vector<Instance> instances;  // in the order in which they are served when room is short
  std::vector<Replica> replicas;
  // Of instances that nothing is to be decided about now: they take their room.
  std::vector<Replica> neighbours;
};

// Each action names the version it was decided on; who applies it verifies that and drops what no longer holds.
struct CreateReplica {
  Uuid instance;
  std::int64_t instance_version = 0;
  std::int64_t generation = 0;
  std::string node;
  Demand demand;
  bool operator==(const CreateReplica&) const = default;
};

// Takes the assignment away; the replica is kStopping until it is seen to be gone.
struct StopReplica {
  Uuid replica;
  std::int64_t epoch = 0;
  std::string reason;
};

// Forgets a replica that is gone, or whose node is (it is fenced: no set handed to that node names it again).
struct RemoveReplica {
  Uuid replica;
  std::int64_t epoch = 0;
};

// What is wanted and cannot be placed.
struct Unplaced {
  Uuid instance;
  int missing = 0;
  std::string reason;  // for people, e.g. "region ke-1 has 1 node; needs 1.2 GiB, 0.8 GiB free"
};

// Time alone changes what is decided about it at `until`, if nothing else does before.
struct Waiting {
  Uuid instance;
  Time until;
};

struct Plan {
  std::vector<CreateReplica> creates;
  std::vector<StopReplica> stops;
  std::vector<RemoveReplica> removes;
  std::vector<Unplaced> unplaced;
  std::vector<Waiting> waiting;

  // Whether there is something to do.
  bool empty() const { return creates.empty() && stops.empty() && removes.empty(); }
};

}  // namespace allod::scheduler
