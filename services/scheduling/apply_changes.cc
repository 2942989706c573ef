#include "services/scheduling/apply_changes.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace allod::scheduling {
namespace {

using scheduler::ReplicaState;

bool IsEnding(const Replica& replica) {
  return replica.placement.state == ReplicaState::kStopping || replica.placement.state == ReplicaState::kStopped;
}

class Applier {
 public:
  Applier(TenantState& rows, Time now, const LeaseReplica& lease) : rows_(rows), now_(now), lease_(lease) {
    for (std::size_t i = 0; i < rows.instances.size(); ++i) {
      instance_at_[rows.instances[i].id] = i;
      for (const Replica& replica : rows.instances[i].replicas) home_of_[replica.placement.id] = i;
    }
  }

  // Each is false for what does not hold any more.

  bool Observe(const Observation& seen) {
    Replica* const replica = FindReplica(seen.replica, seen.epoch);
    if (replica == nullptr) return false;
    if (replica->placement.state == ReplicaState::kStopping && seen.state != ReplicaState::kStopped) return false;
    Enter(*replica, seen.state);
    replica->target = seen.target;
    replica->message = seen.message;
    replica->start_count = seen.start_count;
    return true;
  }

  bool Stop(const scheduler::StopReplica& stop) {
    Replica* const replica = FindReplica(stop.replica, stop.epoch);
    if (replica == nullptr || IsEnding(*replica)) return false;
    Enter(*replica, ReplicaState::kStopping);
    replica->target.clear();
    replica->message = stop.reason;
    return true;
  }

  bool Remove(const scheduler::RemoveReplica& remove) {
    const Replica* const replica = FindReplica(remove.replica, remove.epoch);
    if (replica == nullptr || !IsEnding(*replica)) return false;
    std::erase_if(rows_.instances[home_of_.at(remove.replica)].replicas,
                  [&](const Replica& other) { return other.placement.id == remove.replica; });
    return true;
  }

  bool Create(const NewReplica& replica) {
    const scheduler::CreateReplica& create = replica.create;
    Instance* const instance = FindInstance(create.instance);
    const bool holds = instance != nullptr && instance->version == create.instance_version && !instance->deleting &&
                       instance->template_generation == create.generation;
    if (!holds) return false;
    const std::optional<std::int64_t> epoch = lease_(replica);
    if (!epoch) return false;
    Replica row;
    row.placement = {replica.id, create.instance, create.generation, create.node, *epoch, ReplicaState::kPending,
                     now_,       create.demand};
    instance->replicas.push_back(std::move(row));
    home_of_[replica.id] = instance_at_.at(create.instance);
    out_.applied.epochs[replica.id] = *epoch;
    ++out_.applied.created;
    return true;
  }

  bool SetStatus(const StatusChange& change) {
    Instance* const instance = FindInstance(change.instance);
    if (instance == nullptr || instance->version != change.version) return false;
    instance->status = change.status;
    return true;
  }

  bool SetOperation(const OperationChange& change) {
    const auto operation = std::ranges::find(rows_.open_operations, change.operation, &Operation::id);
    if (operation == rows_.open_operations.end()) return false;
    operation->phase = change.phase;
    operation->error = change.error;
    if (change.done) End(operation);
    return true;
  }

  bool RemoveInstance(const Uuid& id) {
    const Instance* const instance = FindInstance(id);
    if (instance == nullptr || !instance->deleting || !instance->replicas.empty()) return false;
    instance_at_.erase(id);
    gone_.insert(id);
    for (auto operation = rows_.open_operations.begin(); operation != rows_.open_operations.end();) {
      if (operation->instance != id) {
        ++operation;
        continue;
      }
      operation->phase = "deleted";
      operation = End(operation);
    }
    return true;
  }

  void Count(bool held) { out_.applied.dropped += held ? 0 : 1; }
  ChangesApplied Finish() {
    std::erase_if(rows_.instances, [&](const Instance& instance) { return gone_.contains(instance.id); });
    return std::move(out_);
  }

 private:
  Instance* FindInstance(const Uuid& id) {
    const auto found = instance_at_.find(id);
    return found == instance_at_.end() ? nullptr : &rows_.instances[found->second];
  }

  Replica* FindReplica(const Uuid& id, std::int64_t epoch) {
    const auto home = home_of_.find(id);
    if (home == home_of_.end()) return nullptr;
    auto& replicas = rows_.instances[home->second].replicas;
    const auto found =
        std::ranges::find_if(replicas, [&](const Replica& replica) { return replica.placement.id == id; });
    return found == replicas.end() || found->placement.epoch != epoch ? nullptr : &*found;
  }

  void Enter(Replica& replica, ReplicaState state) {
    if (replica.placement.state != state) replica.placement.state_time = now_;
    replica.placement.state = state;
  }

  std::vector<Operation>::iterator End(std::vector<Operation>::iterator operation) {
    operation->done = true;
    out_.ended.push_back(std::move(*operation));
    return rows_.open_operations.erase(operation);
  }

  TenantState& rows_;
  const Time now_;
  const LeaseReplica& lease_;
  // Places in rows_.instances, which stay as they are until the end.
  std::map<Uuid, std::size_t> instance_at_;
  std::map<Uuid, std::size_t> home_of_;  // of replicas
  std::set<Uuid> gone_;
  ChangesApplied out_;
};

}  // namespace

ChangesApplied ApplyTo(TenantState& rows, const Changes& changes, Time now, const LeaseReplica& lease) {
  Applier applier(rows, now, lease);
  for (const Observation& seen : changes.observations) applier.Count(applier.Observe(seen));
  for (const auto& stop : changes.stops) applier.Count(applier.Stop(stop));
  for (const auto& remove : changes.removes) applier.Count(applier.Remove(remove));
  for (const NewReplica& replica : changes.creates) applier.Count(applier.Create(replica));
  for (const StatusChange& change : changes.statuses) applier.Count(applier.SetStatus(change));
  for (const OperationChange& change : changes.operations) applier.Count(applier.SetOperation(change));
  for (const Uuid& instance : changes.gone) applier.Count(applier.RemoveInstance(instance));
  return applier.Finish();
}

}  // namespace allod::scheduling
