#include "services/scheduling/reconciler.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "services/common/catching.h"
#include "services/common/log.h"

namespace allod::scheduling {
namespace {

// Steps of one pass: create, see, status and so on take three; more means that others change rows at the same time.
constexpr int kStepsMax = 8;
// What one pass forgets: operations of so many tenants, so many together. A transaction holds its tenant's lock
// meanwhile, for some hundredths of a second.
constexpr std::size_t kForgetPage = 100;
constexpr int kForgetBatch = 2000;
constexpr std::chrono::seconds kForgetPause{1};
constexpr std::chrono::hours kForgetEvery{1};

void AddTo(scheduler::Snapshot& snapshot, const TenantState& tenant, const Permit& permit) {
  for (const Instance& instance : tenant.instances) {
    const auto refusal = permit.For(instance).Refusal();
    const Revision& revision = instance.current();
    snapshot.instances.push_back({instance.id, instance.version, instance.template_generation, revision.spec.region,
                                  permit.residency(), revision.spec.replicas, revision.demand, instance.deleting,
                                  revision.spec.isolation_class == IsolationClass::kPooled,
                                  refusal ? refusal->message : ""});
    for (const Replica& replica : instance.replicas) snapshot.replicas.push_back(replica.placement);
  }
}

}  // namespace

Reconciler::Reconciler(Store& store, drivers::Driver& driver, TermsInbox& inbox, RegionBoard& board, ChangeSignal& news,
                       const Clock& clock, ReconcilerConfig config)
    : store_(store),
      driver_(driver),
      inbox_(inbox),
      board_(board),
      news_(news),
      clock_(clock),
      config_(std::move(config)) {}

Reconciler::~Reconciler() { Stop(); }

void Reconciler::Start() {
  // What a pass half changed is rebuilt from rows by the next process.
  thread_ = OwnedThread("reconciler", [this](const std::stop_token& stop) { Loop(stop); });
}

void Reconciler::Stop() { thread_.Stop(); }

void Reconciler::Wake(const TenantId& tenant) {
  {
    const std::lock_guard lock(dirty_mutex_);
    dirty_[tenant].all = true;
  }
  news_.Notify();
}

void Reconciler::Wake(const TenantId& tenant, const std::string& instance) {
  {
    const std::lock_guard lock(dirty_mutex_);
    dirty_[tenant].instances.insert(instance);
  }
  news_.Notify();
}

void Reconciler::Loop(const std::stop_token& stop) {
  const std::stop_callback woken(stop, [this] { news_.Notify(); });
  std::uint64_t seen = 0;
  std::string trouble;
  while (!stop.stop_requested()) {
    seen = news_.WaitPast(seen, config_.tick);
    if (stop.stop_requested()) break;
    // Whatever a pass throws beyond what it isolates by tenant: the next one looks at everybody.
    const Status done = Catching("reconcile", [this] { return RunOnce(); });
    if (!done && done.error().code == Code::kInternal) {
      for (const auto& [tenant, known] : tenants_) pending_.insert(tenant);
    }
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

void Reconciler::NoteTrouble(const TenantId& tenant, std::string_view stage, const Error& error) {
  set_aside_.Fail(tenant, stage, error, clock_.Now());
}

void Reconciler::NoticeNodes(Time now) {
  std::vector<scheduler::Node> nodes = driver_.Capacity(now);
  std::map<std::string, const scheduler::Node*> before;
  for (const auto& node : nodes_) before[node.id] = &node;
  std::set<std::string> changed;
  for (const auto& node : nodes) {
    const auto found = before.find(node.id);
    const bool same = found != before.end() && found->second->state == node.state &&
                      found->second->reported == node.reported && found->second->region == node.region &&
                      found->second->capacity == node.capacity && found->second->jurisdiction == node.jurisdiction;
    if (!same) changed.insert(node.id);
  }
  nodes_ = std::move(nodes);
  if (changed.empty()) return;
  for (const auto& [tenant, known] : tenants_) {
    const bool there = std::ranges::any_of(known.rows.instances, [&](const Instance& instance) {
      return std::ranges::any_of(instance.replicas,
                                 [&](const Replica& replica) { return changed.contains(replica.placement.node); });
    });
    if (there) pending_.insert(tenant);
  }
  RetryUnplaced();
}

// Room may have become free.
void Reconciler::RetryUnplaced() {
  for (const auto& [tenant, known] : tenants_) {
    if (known.unplaced) pending_.insert(tenant);
  }
}

void Reconciler::NoticeNews(Time now) {
  NoticeNodes(now);
  for (const Uuid& replica : driver_.TakeChanged()) {
    if (const auto owner = owners_.find(replica); owner != owners_.end()) pending_.insert(owner->second);
  }
  for (auto it = alarms_.begin(); it != alarms_.end();) {
    if (it->second > now) {
      ++it;
      continue;
    }
    pending_.insert(it->first);
    it = alarms_.erase(it);
  }
  for (const TenantId& tenant : set_aside_.TakeDue(now)) {
    if (tenants_.contains(tenant)) pending_.insert(tenant);
  }
}

// What became forbidden just now is still shown: requests end well when gateways have heard before their worker ends.
// It is hidden by the stop that the plan of this step makes, or in the next step if the database is away or the tenant
// cannot be looked at.
void Reconciler::ShowDesired(const TenantId& tenant, Known& known, const Sight& sight) {
  const Permit permit = PermitOf(tenant);
  std::map<Uuid, std::int64_t> wanted;
  known.refused.clear();
  for (const Instance& instance : known.rows.instances) {
    for (const Replica& replica : instance.replicas) {
      const bool unrouted = !known.looked_at || known.forbidden.contains(replica.placement.id);
      if (unrouted && IsForbidden(replica, sight, permit.For(instance))) continue;
      auto worker = DesiredOf(instance, replica);
      if (!worker) continue;
      worker->weight = permit.weight();
      worker->residency = permit.residency();
      wanted[worker->replica] = worker->epoch;
      if (const Status applied = driver_.Apply(*worker); !applied) {
        known.refused[instance.id] = "cannot be handed to its node: " + applied.error().message;
        Log(LogLevel::kWarning, "the driver refuses a worker",
            {{"replica", worker->replica.ToString()}, {"reason", applied.error().reason}});
      }
    }
  }
  for (const auto& [replica, epoch] : known.shown) {
    if (!wanted.contains(replica)) (void)driver_.Remove(replica, epoch);
  }
  known.shown = std::move(wanted);
}

void Reconciler::CutOff(const TenantId& tenant) {
  Known& known = tenants_.at(tenant);
  for (Route& route : known.routes) {
    if (route.stopped) continue;
    route.stopped = rerouted_ = true;
    route.targets.clear();
    route.ready_target_count = 0;
  }
  for (const Instance& instance : known.rows.instances) {
    for (const Replica& replica : instance.replicas) {
      // Hidden by the next step if no plan stops it, however long the tenant is set aside.
      if (known.forbidden.insert(replica.placement.id).second) pending_.insert(tenant);
    }
  }
}

Reconciler::Sightings Reconciler::LookAtAll(const std::set<TenantId>& tenants, const Sight& sight, Time now) {
  Sightings sightings;
  for (const TenantId& tenant : tenants) {
    if (PermitOf(tenant).Refusal()) CutOff(tenant);  // whatever becomes of the look
    if (set_aside_.Waits(tenant, Stage::kLook, now)) continue;
    const Status looked = Catching("look at a tenant", [&]() -> Status {
      Known& known = tenants_.at(tenant);
      const Permit permit = PermitOf(tenant);
      Sighting sighting = LookAt(known.rows, sight, now);
      std::vector<Route> routes;
      std::set<Uuid> forbidden;
      for (const Instance& instance : sighting.seen.instances) {
        for (const Replica& replica : instance.replicas) {
          if (IsForbidden(replica, sight, permit.For(instance))) forbidden.insert(replica.placement.id);
        }
        if (auto route = RouteOf(instance, sight, permit)) routes.push_back(*std::move(route));
      }
      known.forbidden = std::move(forbidden);
      known.looked_at = true;
      if (routes != known.routes) {
        known.routes = std::move(routes);
        rerouted_ = true;
      }
      sightings[tenant] = std::move(sighting);
      return {};
    });
    if (looked) {
      set_aside_.Succeed(tenant, Stage::kLook);
    } else {
      NoteTrouble(tenant, Stage::kLook, looked.error());
    }
  }
  return sightings;
}

void Reconciler::PublishRoutes() {
  if (!std::exchange(rerouted_, false)) return;
  RouteTable routes;
  for (const auto& [tenant, known] : tenants_) routes.insert(routes.end(), known.routes.begin(), known.routes.end());
  std::ranges::sort(routes, {}, &Route::instance);
  routes_.Publish(std::move(routes));
}

scheduler::Plan Reconciler::MakePlan(const Sightings& sightings, Time now) const {
  scheduler::Snapshot snapshot{now, config_.policy, regions_, nodes_, {}, {}, {}};
  for (const auto& [tenant, sighting] : sightings) AddTo(snapshot, sighting.seen, PermitOf(tenant));
  scheduler::Plan plan = driver_.MakePlan(snapshot);
  if (plan.empty() && plan.unplaced.empty()) return plan;
  // Something is to move: now the room counts that everybody else takes.
  for (const auto& [tenant, known] : tenants_) {
    if (sightings.contains(tenant)) continue;
    for (const Instance& instance : known.rows.instances) {
      for (const Replica& replica : instance.replicas) snapshot.neighbours.push_back(replica.placement);
    }
  }
  return driver_.MakePlan(snapshot);
}

scheduler::Plan Reconciler::PlanAround(Sightings& sightings, Time now) {
  scheduler::Plan plan;
  std::erase_if(sightings, [&](const auto& entry) { return set_aside_.Waits(entry.first, Stage::kDecide, now); });
  if (sightings.empty()) return plan;
  const auto planned = Catching("plan", [&]() -> Status {
    plan = MakePlan(sightings, now);
    return {};
  });
  if (planned) return plan;
  // Somebody's data is at fault: each alone, so that it is found and the others get their plan.
  plan = {};
  for (auto it = sightings.begin(); it != sightings.end();) {
    const auto alone = Catching("plan for one tenant", [&]() -> Status {
      scheduler::Plan own = MakePlan({*it}, now);
      std::ranges::move(own.creates, std::back_inserter(plan.creates));
      std::ranges::move(own.stops, std::back_inserter(plan.stops));
      std::ranges::move(own.removes, std::back_inserter(plan.removes));
      std::ranges::move(own.unplaced, std::back_inserter(plan.unplaced));
      std::ranges::move(own.waiting, std::back_inserter(plan.waiting));
      return {};
    });
    if (!alone) NoteTrouble(it->first, Stage::kDecide, alone.error());
    it = alone ? std::next(it) : sightings.erase(it);
  }
  return plan;
}

std::map<Uuid, std::string> Reconciler::NoteObstacles(const scheduler::Plan& plan, const Sightings& sightings) {
  std::map<Uuid, std::string> obstacles;
  std::map<Uuid, TenantId> tenant_of;
  for (const auto& [tenant, sighting] : sightings) {
    Known& known = tenants_.at(tenant);
    known.unplaced = false;
    alarms_.erase(tenant);
    for (const Instance& instance : sighting.seen.instances) tenant_of[instance.id] = tenant;
    for (const auto& [instance, why] : known.refused) obstacles[instance] = why;
  }
  for (const auto& missing : plan.unplaced) {
    obstacles[missing.instance] = missing.reason;
    if (const auto of = tenant_of.find(missing.instance); of != tenant_of.end())
      tenants_.at(of->second).unplaced = true;
  }
  for (const auto& waiting : plan.waiting) {
    const auto of = tenant_of.find(waiting.instance);
    if (of == tenant_of.end()) continue;
    const auto [alarm, is_new] = alarms_.emplace(of->second, waiting.until);
    if (!is_new) alarm->second = std::min(alarm->second, waiting.until);
  }
  return obstacles;
}

Status Reconciler::EnsureTenant(const TenantId& tenant, const Sighting& sighting) {
  if (sighting.changes.creates.empty()) return {};
  return Catching("prepare a tenant", [&] { return driver_.EnsureTenant(tenant); });
}

Result<bool> Reconciler::CarryOut(const TenantId& tenant, const Sight& sight,
                                  const std::map<Uuid, std::string>& obstacles, Time now, Sighting& sighting) {
  Known& known = tenants_.at(tenant);
  const Changes& changes = sighting.changes;
  AddStatus(known.rows, sight, PermitOf(tenant), obstacles, sighting);
  if (changes.empty()) return false;
  const bool was_stale = stale_.contains(tenant);
  stale_[tenant].all = true;  // unless all goes well
  ALLOD_TRY(const Applied applied, store_.Apply(tenant, changes));
  pending_.insert(tenant);
  if (!changes.removes.empty() || !changes.gone.empty()) RetryUnplaced();
  const bool alone = known.rows.version != 0 && applied.version == known.rows.version + 1;
  ForgetReplicas(known.rows);
  const bool mirrored = Mirror(known.rows, changes, applied, now);
  known.rows.version = alone && mirrored ? applied.version : 0;
  IndexReplicas(known.rows);
  if (mirrored && !was_stale) stale_.erase(tenant);
  return true;
}

Result<bool> Reconciler::Step() {
  const Status loaded = Load();
  if (!loaded_) {
    if (!loaded) return std::unexpected(loaded.error());
    return false;
  }
  const Time now = clock_.Now();
  NoticeNews(now);
  const std::set<TenantId> todo = std::exchange(pending_, {});
  std::vector<drivers::WorkerKey> keys;
  const Sight nodes(nodes_, {});
  for (const TenantId& tenant : todo) {
    const Status shown = Catching("show a tenant's workers", [&]() -> Status {
      Known& known = tenants_.at(tenant);
      ShowDesired(tenant, known, nodes);
      for (const Instance& instance : known.rows.instances) {
        for (const Replica& r : instance.replicas) keys.push_back({r.placement.id, r.placement.node});
      }
      return {};
    });
    if (!shown) NoteTrouble(tenant, Stage::kLook, shown.error());
  }
  driver_.Synced();
  const Sight sight(nodes_, driver_.Find(keys));
  Sightings sightings = LookAtAll(todo, sight, now);
  PublishRoutes();
  inbox_.SetInForce(mail_);
  board_.SetInForce(regions_number_);
  if (!loaded) {
    // Without the database there is nothing more to do: its rows are what a plan must hold against.
    pending_.insert(todo.begin(), todo.end());
    return std::unexpected(loaded.error());
  }

  const scheduler::Plan plan = PlanAround(sightings, now);
  Distribute(plan, now, sightings);
  const auto obstacles = NoteObstacles(plan, sightings);
  bool changed = false;
  Status trouble;
  for (auto& [tenant, sighting] : sightings) {
    // Apart from what the store says: a driver's trouble with one tenant, whatever its code, ends nobody else's step.
    if (const Status ensured = EnsureTenant(tenant, sighting); !ensured) {
      NoteTrouble(tenant, Stage::kDecide, ensured.error());
      continue;
    }
    const Status carried = Catching("carry out a plan", [&]() -> Status {
      ALLOD_TRY(const bool applied, CarryOut(tenant, sight, obstacles, now, sighting));
      changed = changed || applied;
      return {};
    });
    if (carried) {
      set_aside_.Succeed(tenant, Stage::kDecide);
    } else if (ConcernsEverybody(carried.error())) {
      // A database that is away is everyone's trouble, and no fault of this tenant's.
      pending_.insert(todo.begin(), todo.end());
      trouble = carried;
      break;
    } else {
      NoteTrouble(tenant, Stage::kDecide, carried.error());
    }
  }
  if (changed) progress_.Notify();
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
  next_forget_ = now + kForgetPause;
  const Time before = now - config_.keep_operations;
  ALLOD_TRY(const std::vector<TenantId> tenants, store_.ListForgettable(before, forgotten_to_, kForgetPage));
  int left = kForgetBatch;
  for (const TenantId& tenant : tenants) {
    int count = 0;
    const Status forgotten = Catching("forget a tenant's old operations", [&]() -> Status {
      ALLOD_TRY(count, store_.ForgetOperations(tenant, before, left));
      return {};
    });
    if (!forgotten) {
      Log(LogLevel::kWarning, "a tenant's old operations cannot be forgotten",
          {{"tenant", tenant.ToString()}, {"reason", forgotten.error().reason}});
      if (ConcernsEverybody(forgotten.error())) return forgotten;
    }
    forgotten_to_ = tenant;
    // What runs out of time took long; the others come in the next pass.
    if (!forgotten && forgotten.error().code != Code::kInternal) return {};
    left -= count;
    if (left > 0) continue;
    forget_again_ = true;  // the tenant may have more; it comes again when the others had their turn
    return {};
  }
  if (tenants.size() == kForgetPage) return {};
  forgotten_to_.reset();
  if (!std::exchange(forget_again_, false)) next_forget_ = now + kForgetEvery;
  return {};
}

Status Reconciler::RunOnce() {
  for (int step = 0; step < kStepsMax; ++step) {
    ALLOD_TRY(const bool changed, Step());
    if (!changed) break;
  }
  if (!loaded_) return {};
  ALLOD_CHECK_OK(TouchNodes());
  ALLOD_CHECK_OK(PurgeTenants());
  return ForgetOldOperations();
}

}  // namespace allod::scheduling
