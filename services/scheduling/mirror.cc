#include "services/scheduling/mirror.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "services/scheduling/apply_changes.h"

namespace allod::scheduling {
namespace {

bool Differs(const Replica& a, const Replica& b) {
  return a.placement.state != b.placement.state || a.target != b.target || a.message != b.message ||
         a.start_count != b.start_count;
}

template <typename T>
T* Find(const std::map<Uuid, T*>& index, const Uuid& id) {
  const auto found = index.find(id);
  return found == index.end() ? nullptr : found->second;
}

}  // namespace

Sighting LookAt(const TenantState& rows, const Sight& sight, Time now) {
  Sighting out{rows, {}};
  for (Instance& instance : out.seen.instances) {
    for (Replica& replica : instance.replicas) {
      const Replica before = replica;
      replica = Observe(before, sight, now);
      if (!Differs(before, replica)) continue;
      out.changes.observations.push_back({replica.placement.id, replica.placement.epoch, replica.placement.state,
                                          replica.target, replica.message, replica.start_count});
    }
  }
  return out;
}

void Distribute(const scheduler::Plan& plan, Time now, std::map<TenantId, Sighting>& sightings) {
  std::map<Uuid, Sighting*> owners;
  std::map<Uuid, Instance*> instances;
  for (auto& [tenant, sighting] : sightings) {
    for (Instance& instance : sighting.seen.instances) {
      owners[instance.id] = &sighting;
      instances[instance.id] = &instance;
      for (const Replica& replica : instance.replicas) owners[replica.placement.id] = &sighting;
    }
  }
  for (const auto& stop : plan.stops) {
    if (Sighting* owner = Find(owners, stop.replica)) owner->changes.stops.push_back(stop);
  }
  for (const auto& remove : plan.removes) {
    if (Sighting* owner = Find(owners, remove.replica)) owner->changes.removes.push_back(remove);
  }
  for (const auto& create : plan.creates) {
    Instance* instance = Find(instances, create.instance);
    if (instance == nullptr) continue;
    Find(owners, create.instance)->changes.creates.push_back({Uuid::V7(now), create});
    Replica replica;
    replica.placement.instance = create.instance;
    replica.placement.generation = create.generation;
    replica.placement.node = create.node;
    instance->replicas.push_back(std::move(replica));
  }
}

void AddStatus(const TenantState& rows, const Sight& sight, const Permit& permit,
               const std::map<Uuid, std::string>& obstacles, Sighting& sighting) {
  Changes& changes = sighting.changes;
  for (std::size_t i = 0; i < sighting.seen.instances.size(); ++i) {
    const Instance& instance = sighting.seen.instances[i];
    if (instance.deleting && instance.replicas.empty()) {
      changes.gone.push_back(instance.id);
      continue;
    }
    const auto reason = obstacles.find(instance.id);
    const InstanceStatus status = StatusOf(instance, sight, permit, reason == obstacles.end() ? "" : reason->second);
    if (status != rows.instances[i].status) changes.statuses.push_back({instance.id, instance.version, status});
    for (const Operation& operation : rows.open_operations) {
      if (operation.instance != instance.id) continue;
      OperationChange change = ProgressOf(operation, instance, status);
      if (change.done || change.phase != operation.phase) changes.operations.push_back(std::move(change));
    }
  }
}

bool Mirror(TenantState& rows, const Changes& changes, const Applied& applied, Time now) {
  if (applied.dropped > 0) return false;
  // Of an instance that was only scaled since, its template's revision was read only if a replica ran it.
  for (const NewReplica& replica : changes.creates) {
    const auto of = std::ranges::find(rows.instances, replica.create.instance, &Instance::id);
    if (of == rows.instances.end() || !of->revisions.contains(replica.create.generation)) return false;
  }
  const auto leased = [&](const NewReplica& replica) -> std::optional<std::int64_t> {
    const auto epoch = applied.epochs.find(replica.id);
    return epoch == applied.epochs.end() ? std::nullopt : std::optional(epoch->second);
  };
  return ApplyTo(rows, changes, now, leased).applied.dropped == 0;
}

void Replace(TenantState& rows, const std::string& name, TenantState part) {
  std::set<Uuid> ids;
  for (const Instance& instance : rows.instances) {
    if (instance.name == name) ids.insert(instance.id);
  }
  std::erase_if(rows.instances, [&](const Instance& instance) { return ids.contains(instance.id); });
  std::erase_if(rows.open_operations, [&](const Operation& operation) { return ids.contains(operation.instance); });
  std::ranges::move(part.instances, std::back_inserter(rows.instances));
  std::ranges::move(part.open_operations, std::back_inserter(rows.open_operations));
  std::ranges::stable_sort(rows.instances, {}, [](const Instance& i) { return std::pair(i.create_time, i.id); });
}

}  // namespace allod::scheduling
