// Builds snapshots for tests in a few words each.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/model.h"

namespace allod::scheduler {

inline constexpr std::int64_t kGiB = std::int64_t{1} << 30;

// "i1" -> always the same id.
inline Uuid Id(const std::string& name) { return Uuid::FromName(name); }

class SnapshotBuilder {
 public:
  SnapshotBuilder() {
    snapshot_.now = Time(std::chrono::hours(1000));
    snapshot_.regions = {{"ke-1", "ke"}, {"tz-1", "tz"}};
  }
  // A node that reported `silent` ago; lost when that is more than 6 s.
  SnapshotBuilder& WithNode(const std::string& id, std::int64_t memory_bytes, std::chrono::seconds silent = {},
                            const std::string& region = "ke-1", std::int64_t cpu_millis = 2000) {
    const auto state = silent > std::chrono::seconds(6) ? NodeState::kLost : NodeState::kReady;
    // It stands where its region lies.
    snapshot_.nodes.push_back({.id = id,
                               .region = region,
                               .state = state,
                               .capacity = {memory_bytes, cpu_millis},
                               .last_report = snapshot_.now - silent,
                               .jurisdiction = region.substr(0, 2)});
    return *this;
  }
  SnapshotBuilder& WithInstance(const std::string& id, int replicas, std::int64_t memory_bytes,
                                std::int64_t generation = 1) {
    snapshot_.instances.push_back(
        {Id(id), generation, generation, "ke-1", {{"ke"}}, replicas, {{memory_bytes, 50}}, false});
    return *this;
  }
  SnapshotBuilder& WithReplica(const std::string& id, const std::string& instance, const std::string& node,
                               ReplicaState state, std::int64_t generation = 1, std::int64_t memory_bytes = kGiB,
                               std::chrono::seconds age = std::chrono::seconds(100)) {
    const auto epoch = static_cast<std::int64_t>(snapshot_.replicas.size()) + 1;
    snapshot_.replicas.push_back(
        {Id(id), Id(instance), generation, node, epoch, state, snapshot_.now - age, {{memory_bytes, 50}}});
    return *this;
  }
  Instance& last_instance() { return snapshot_.instances.back(); }
  Replica& last_replica() { return snapshot_.replicas.back(); }
  Snapshot Build() const { return snapshot_; }

 private:
  Snapshot snapshot_;
};

}  // namespace allod::scheduler
