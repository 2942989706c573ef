#include "services/scheduling/reconciler.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "services/common/log.h"

namespace allod::scheduling {
namespace {

// Steps of one pass: create, see, status and so on take three; more means that others change rows at the same time.
constexpr int kStepsMax = 8;

bool Differs(const Replica& a, const Replica& b) {
  return a.placement.state != b.placement.state || a.target != b.target || a.message != b.message ||
         a.start_count != b.start_count;
}

// The tenant as it is seen now, and the rows that do not say so yet.
TenantState Look(const TenantState& rows, const Sight& sight, Time now, Changes& changes) {
  TenantState seen = rows;
  for (Instance& instance : seen.instances) {
    for (Replica& replica : instance.replicas) {
      const Replica before = replica;
      replica = Observe(before, sight, now);
      if (!Differs(before, replica)) continue;
      changes.observations.push_back({replica.placement.id, replica.placement.epoch, replica.placement.state,
                                      replica.target, replica.message, replica.start_count});
    }
  }
  return seen;
}

void AddTo(scheduler::Snapshot& snapshot, const TenantState& tenant) {
  for (const Instance& instance : tenant.instances) {
    const Revision& revision = instance.current();
    snapshot.instances.push_back({instance.id, instance.version, instance.template_generation, revision.spec.region,
                                  revision.residency, revision.spec.replicas, revision.demand, instance.deleting});
    for (const Replica& replica : instance.replicas) snapshot.replicas.push_back(replica.placement);
  }
}

// The part of a plan that belongs to each tenant.
void Distribute(const scheduler::Plan& plan, const std::map<TenantId, TenantState>& seen, Time now,
                std::map<TenantId, Changes>& changes) {
  std::map<Uuid, TenantId> owner;
  for (const auto& [tenant, state] : seen) {
    for (const Instance& instance : state.instances) {
      owner[instance.id] = tenant;
      for (const Replica& replica : instance.replicas) owner[replica.placement.id] = tenant;
    }
  }
  for (const auto& create : plan.creates) changes[owner.at(create.instance)].creates.push_back({Uuid::V7(now), create});
  for (const auto& stop : plan.stops) changes[owner.at(stop.replica)].stops.push_back(stop);
  for (const auto& remove : plan.removes) changes[owner.at(remove.replica)].removes.push_back(remove);
}

// What an applied plan made of the rows, without reading them again. False when that is not known: something of the
// plan no longer held.
bool Mirror(TenantState& rows, const Changes& changes, const Applied& applied, Time now) {
  if (applied.dropped > 0) return false;
  std::map<Uuid, Instance*> instances;
  std::map<Uuid, Replica*> replicas;
  for (Instance& instance : rows.instances) {
    instances[instance.id] = &instance;
    for (Replica& replica : instance.replicas) replicas[replica.placement.id] = &replica;
  }
  for (const Observation& seen : changes.observations) {
    Replica& replica = *replicas.at(seen.replica);
    if (replica.placement.state != seen.state) replica.placement.state_time = now;
    replica.placement.state = seen.state;
    replica.target = seen.target;
    replica.message = seen.message;
    replica.start_count = seen.start_count;
  }
  for (const auto& stop : changes.stops) {
    Replica& replica = *replicas.at(stop.replica);
    replica.placement.state = scheduler::ReplicaState::kStopping;
    replica.placement.state_time = now;
    replica.target.clear();
    replica.message = stop.reason;
  }
  for (const auto& change : changes.statuses) instances.at(change.instance)->status = change.status;
  for (const auto& change : changes.operations) {
    const auto operation = std::ranges::find(rows.open_operations, change.operation, &Operation::id);
    operation->phase = change.phase;
    if (change.done) rows.open_operations.erase(operation);
  }
  for (const auto& [id, create] : changes.creates) {
    Instance& instance = *instances.at(create.instance);
    if (!instance.revisions.contains(create.generation)) return false;
    Replica replica;
    replica.placement = {id,          create.instance,       create.generation,
                         create.node, applied.epochs.at(id), scheduler::ReplicaState::kPending,
                         now,         create.demand};
    instance.replicas.push_back(std::move(replica));
  }
  // Last, because they move what the pointers above point to.
  for (const auto& remove : changes.removes) {
    for (Instance& instance : rows.instances) {
      std::erase_if(instance.replicas, [&](const Replica& replica) { return replica.placement.id == remove.replica; });
    }
  }
  for (const Uuid& gone : changes.gone) {
    std::erase_if(rows.instances, [&](const Instance& instance) { return instance.id == gone; });
    std::erase_if(rows.open_operations, [&](const Operation& operation) { return operation.instance == gone; });
  }
  return true;
}

// Puts what was loaded of one instance in the place of what was known of it.
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

// The replicas that a plan makes, so that what is said of their instances is true when the plan is carried out.
void AddPlanned(const scheduler::Plan& plan, std::map<TenantId, TenantState>& seen) {
  std::map<Uuid, Instance*> instances;
  for (auto& [tenant, state] : seen) {
    for (Instance& instance : state.instances) instances[instance.id] = &instance;
  }
  for (const auto& create : plan.creates) {
    Replica replica;
    replica.placement.instance = create.instance;
    replica.placement.generation = create.generation;
    replica.placement.node = create.node;
    instances.at(create.instance)->replicas.push_back(std::move(replica));
  }
}

void AddStatus(const TenantState& rows, const TenantState& seen, const Sight& sight,
               const std::map<Uuid, std::string>& unplaced, Changes& changes) {
  for (std::size_t i = 0; i < seen.instances.size(); ++i) {
    const Instance& instance = seen.instances[i];
    if (instance.deleting && instance.replicas.empty()) {
      changes.gone.push_back(instance.id);
      continue;
    }
    const auto reason = unplaced.find(instance.id);
    const InstanceStatus status = StatusOf(instance, sight, reason == unplaced.end() ? "" : reason->second);
    if (status != rows.instances[i].status) changes.statuses.push_back({instance.id, instance.version, status});
    for (const Operation& operation : rows.open_operations) {
      if (operation.instance != instance.id) continue;
      OperationChange change = ProgressOf(operation, instance, status);
      if (change.done || change.phase != operation.phase) changes.operations.push_back(std::move(change));
    }
  }
}

}  // namespace

Reconciler::Reconciler(Store& store, scheduler::Driver& driver, const Clock& clock, ReconcilerConfig config)
    : store_(store), driver_(driver), clock_(clock), config_(std::move(config)) {}

Reconciler::~Reconciler() { Stop(); }

void Reconciler::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void Reconciler::Stop() {
  stopping_ = true;
  driver_.Interrupt();
  if (thread_.joinable()) thread_.join();
}

void Reconciler::Wake(const TenantId& tenant) {
  {
    const std::lock_guard lock(dirty_mutex_);
    dirty_[tenant].all = true;
  }
  driver_.Interrupt();
}

void Reconciler::Wake(const TenantId& tenant, const std::string& instance) {
  {
    const std::lock_guard lock(dirty_mutex_);
    dirty_[tenant].instances.insert(instance);
  }
  driver_.Interrupt();
}

void Reconciler::Loop() {
  std::uint64_t seen = 0;
  std::string trouble;
  while (!stopping_) {
    seen = driver_.Watch(seen, config_.tick);
    if (stopping_) break;
    const Status done = RunOnce();
    const std::string now = done ? "" : done.error().reason;
    if (now == trouble) continue;
    trouble = now;
    if (done) {
      Log(LogLevel::kInfo, "reconciling again");
    } else {
      Log(LogLevel::kWarning, "cannot reconcile", {{"reason", now}, {"message", done.error().message}});
    }
  }
}

Status Reconciler::RestoreNodes() {
  if (restored_) return {};
  ALLOD_TRY(const std::vector<Node> nodes, store_.ListNodes());
  // Silence before this service stopped counts, the time in which nobody listened does not.
  Time newest{};
  for (const Node& node : nodes) newest = std::max(newest, node.node.last_report);
  const Time now = clock_.Now();
  for (const Node& node : nodes) {
    scheduler::Node restored = node.node;
    restored.last_report = now - (newest - node.node.last_report);
    driver_.Restore(restored, node.session_epoch);
  }
  restored_ = true;
  return {};
}

Status Reconciler::LoadStale(const TenantId& tenant, const Stale& stale) {
  const auto known = tenants_.find(tenant);
  if (stale.all || known == tenants_.end()) {
    ALLOD_TRY(TenantState state, store_.LoadTenant(tenant));
    tenants_[tenant] = std::move(state);
    return {};
  }
  for (const std::string& name : stale.instances) {
    ALLOD_TRY(TenantState part, store_.LoadInstance(tenant, name));
    Replace(known->second, name, std::move(part));
  }
  return {};
}

Status Reconciler::Load() {
  ALLOD_CHECK_OK(RestoreNodes());
  std::map<TenantId, Stale> due;
  {
    const std::lock_guard lock(dirty_mutex_);
    due.swap(dirty_);
  }
  Status status;
  const bool full = clock_.Now() >= next_reload_;
  if (full) {
    if (const auto all = store_.ListTenants()) {
      for (const TenantId& tenant : *all) due[tenant].all = true;
    } else {
      status = std::unexpected(all.error());
    }
  }
  for (auto it = due.begin(); status && it != due.end(); it = due.erase(it)) {
    status = LoadStale(it->first, it->second);
    if (!status) break;
  }
  if (!status) {
    const std::lock_guard lock(dirty_mutex_);
    for (auto& [tenant, stale] : due) {
      Stale& again = dirty_[tenant];
      again.all = again.all || stale.all;
      again.instances.merge(stale.instances);
    }
    return status;
  }
  if (full) next_reload_ = clock_.Now() + config_.reload_every;
  loaded_ = loaded_ || full;
  return {};
}

void Reconciler::ShowDesired() {
  std::set<Uuid> wanted;
  for (const auto& [tenant, state] : tenants_) {
    const auto weight = config_.weights.find(tenant);
    for (const Instance& instance : state.instances) {
      for (const Replica& replica : instance.replicas) {
        auto worker = DesiredOf(instance, replica);
        if (!worker) continue;
        if (weight != config_.weights.end()) worker->weight = weight->second;
        wanted.insert(worker->replica);
        if (const Status applied = driver_.Apply(*worker); !applied) {
          Log(LogLevel::kWarning, "the driver refuses a worker",
              {{"replica", worker->replica.ToString()}, {"reason", applied.error().reason}});
        }
      }
    }
  }
  for (const auto& view : driver_.List()) {
    if (view.desired && !wanted.contains(view.replica)) (void)driver_.Remove(view.replica, view.desired->epoch);
  }
  driver_.Synced();
}

Result<bool> Reconciler::Step() {
  const Status loaded = Load();
  if (!loaded_) return std::unexpected(loaded.error());
  ShowDesired();

  const Time now = clock_.Now();
  const Sight sight(driver_.Capacity(now), driver_.List());
  std::map<TenantId, Changes> changes;
  std::map<TenantId, TenantState> seen;
  scheduler::Snapshot snapshot{now, config_.policy, config_.regions, sight.nodes(), {}, {}};
  RouteTable routes;
  for (const auto& [tenant, rows] : tenants_) {
    TenantState& state = seen[tenant] = Look(rows, sight, now, changes[tenant]);
    AddTo(snapshot, state);
    for (const Instance& instance : state.instances) {
      if (auto route = RouteOf(instance, sight)) routes.push_back(*std::move(route));
    }
  }
  std::ranges::sort(routes, {}, &Route::instance);
  routes_.Publish(std::move(routes));
  // Without the database there is nothing more to do: its rows are what a plan must hold against.
  if (!loaded) return std::unexpected(loaded.error());

  const scheduler::Plan plan = driver_.MakePlan(snapshot);
  Distribute(plan, seen, now, changes);
  AddPlanned(plan, seen);
  std::map<Uuid, std::string> unplaced;
  for (const auto& missing : plan.unplaced) unplaced[missing.instance] = missing.reason;

  bool changed = false;
  Status trouble;
  for (auto& [tenant, change] : changes) {
    AddStatus(tenants_.at(tenant), seen.at(tenant), sight, unplaced, change);
    if (change.empty()) continue;
    if (!change.creates.empty()) ALLOD_CHECK_OK(driver_.EnsureTenant(tenant));
    const auto applied = store_.Apply(tenant, change);
    if (!applied || !Mirror(tenants_.at(tenant), change, *applied, now)) {
      const std::lock_guard lock(dirty_mutex_);
      dirty_[tenant].all = true;
    }
    changed = changed || applied.has_value();
    if (applied) continue;
    // One tenant's trouble is not the others'; a database that is away is everyone's.
    trouble = std::unexpected(applied.error());
    if (applied.error().code == Code::kUnavailable) break;
  }
  if (changed) progress_.Publish(++applied_);
  if (!trouble) return std::unexpected(trouble.error());
  return changed;
}

Status Reconciler::TouchNodes() {
  const Time now = clock_.Now();
  if (now < next_touch_) return {};
  next_touch_ = now + config_.touch_nodes_every;
  std::vector<std::string> reporting;
  for (const auto& node : driver_.Capacity(now)) {
    if (node.reported && node.state == scheduler::NodeState::kReady) reporting.push_back(node.id);
  }
  if (reporting.empty()) return {};
  return store_.TouchNodes(reporting);
}

Status Reconciler::ForgetOldOperations() {
  const Time now = clock_.Now();
  if (now < next_forget_) return {};
  next_forget_ = now + std::chrono::hours(1);
  for (const auto& [tenant, state] : tenants_) {
    ALLOD_CHECK_OK(store_.ForgetOperations(tenant, now - config_.keep_operations));
  }
  return {};
}

Status Reconciler::RunOnce() {
  for (int step = 0; step < kStepsMax; ++step) {
    ALLOD_TRY(const bool changed, Step());
    if (!changed) break;
  }
  ALLOD_CHECK_OK(TouchNodes());
  return ForgetOldOperations();
}

}  // namespace allod::scheduling
