#include "services/scheduling/testing/fake_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/scheduling/apply_changes.h"

namespace allod::scheduling {

void FakeStore::SetUnavailable(bool unavailable) {
  const std::lock_guard lock(mutex_);
  unavailable_ = unavailable;
}

void FakeStore::Spoil(const TenantId& tenant, std::function<Status(TenantState&)> spoil) {
  const std::lock_guard lock(mutex_);
  spoilt_.erase(tenant);
  if (spoil) spoilt_[tenant] = std::move(spoil);
}

void FakeStore::RefuseChanges(const TenantId& tenant, std::optional<Error> error) {
  const std::lock_guard lock(mutex_);
  refused_.erase(tenant);
  if (error) refused_[tenant] = *std::move(error);
}

void FakeStore::CreateTenantRows(const TenantId& tenant) {
  const std::lock_guard lock(mutex_);
  CountChange(rows_[tenant]);
}

void FakeStore::Break(const TenantId& tenant, const std::string& name) {
  const std::lock_guard lock(mutex_);
  rows_[tenant].broken.insert(name);
}

void FakeStore::SetStoppedForCredit(const TenantId& tenant, const std::string& name, bool stopped_for_credit) {
  const std::lock_guard lock(mutex_);
  rows_[tenant].instances.at(name).stopped_for_credit = stopped_for_credit;
  CountChange(rows_[tenant]);
}

void FakeStore::ForgetAllOperations(const TenantId& tenant) {
  const std::lock_guard lock(mutex_);
  Rows& rows = rows_[tenant];
  rows.operations.clear();
  rows.done_times.clear();
  rows.requests.clear();
}

int FakeStore::calls() const {
  const std::lock_guard lock(mutex_);
  return calls_;
}

void FakeStore::CountChange(Rows& rows) {
  ++rows.version;
  rows.changed_in = ++transactions_;
}

Status FakeStore::CheckAvailable() {
  ++calls_;
  if (!unavailable_) return {};
  return Fail(Code::kUnavailable, "DATABASE_UNAVAILABLE", "the database cannot be reached");
}

Result<Operation> FakeStore::EarlierRequest(const Rows& rows, const std::string& project,
                                            const RequestId& request) const {
  const auto it = request.given() ? rows.requests.find({project, request.id}) : rows.requests.end();
  if (it == rows.requests.end()) return NotFound("no earlier request");
  ALLOD_CHECK_OK(CheckSamePayload(request, it->second.payload_sha256));
  return rows.operations.at(it->second.operation);
}

Result<Operation> FakeStore::Insert(Rows& rows, const Operation& operation, const RequestId& request) {
  const auto& stored = rows.operations.emplace(operation.id, operation).first->second;
  Remember(rows, stored.instance_name, request, stored.id);
  return stored;
}

void FakeStore::Remember(Rows& rows, const std::string& instance_name, const RequestId& request,
                         const Uuid& operation) {
  if (!request.given()) return;
  rows.requests[{ProjectIdOf(instance_name), request.id}] = {request.payload_sha256, operation};
}

Operation FakeStore::Standing(Rows& rows, const Instance& instance, const Uuid& id, OperationKind kind) {
  if (const auto newest = Newest(rows, instance.id); newest && !newest->error) return *newest;
  CountChange(rows);
  const Operation made{instance.tenant,     id,        kind,  instance.id,  instance.name,
                       instance.generation, "placing", false, std::nullopt, clock_.Now()};
  rows.operations.emplace(id, made);
  return made;
}

std::optional<Operation> FakeStore::Newest(const Rows& rows, const Uuid& instance) const {
  const Operation* best = nullptr;
  for (const auto& [id, operation] : rows.operations) {
    if (operation.instance != instance) continue;
    if (best == nullptr || operation.done <= best->done) best = &operation;
  }
  return best == nullptr ? std::nullopt : std::optional(*best);
}

Instance FakeStore::Trimmed(const Rows& rows, const Instance& instance) const {
  Instance out = instance;
  if (rows.broken.contains(instance.name)) out.revisions.erase(instance.generation);
  std::erase_if(out.revisions, [&](const auto& entry) {
    return entry.first != instance.generation && std::ranges::none_of(instance.replicas, [&](const Replica& replica) {
             return replica.placement.generation == entry.first;
           });
  });
  return out;
}

Result<Operation> FakeStore::FindRequest(const TenantId& tenant, const std::string& project, const RequestId& request) {
  const std::lock_guard lock(mutex_);
  ALLOD_CHECK_OK(CheckAvailable());
  return EarlierRequest(rows_[tenant], project, request);
}

Result<Operation> FakeStore::CreateInstance(const NewInstance& instance, const RequestId& request) {
  const std::lock_guard lock(mutex_);
  ALLOD_CHECK_OK(CheckAvailable());
  Rows& rows = rows_[instance.tenant];
  auto earlier = EarlierRequest(rows, ProjectIdOf(instance.name), request);
  if (earlier || earlier.error().code != Code::kNotFound) return earlier;
  if (const auto it = rows.instances.find(instance.name); it != rows.instances.end()) {
    ALLOD_CHECK_OK(CheckWhole(Trimmed(rows, it->second)));
    if (it->second.deleting) return std::unexpected(InstanceDeleting(instance.name));
    Revision same = instance.revision;
    same.generation = it->second.generation;
    if (same != it->second.current()) return std::unexpected(InstanceExists(instance.name));
    const Operation standing = Standing(rows, it->second, instance.operation, OperationKind::kCreate);
    Remember(rows, instance.name, request, standing.id);
    return standing;
  }
  if (instance.only_if_standing) return std::unexpected(InstanceJustGone(instance.name));
  ALLOD_CHECK_OK(CheckQuotas(instance.name, instance.quotas, UseOf(rows, ProjectNameOf(instance.name), instance.name),
                             nullptr, instance.revision));
  Instance row;
  row.tenant = instance.tenant;
  row.id = instance.id;
  row.name = instance.name;
  row.generation = row.template_generation = row.version = 1;
  row.create_time = clock_.Now();
  row.revisions[1] = instance.revision;
  row.revisions[1].generation = 1;
  rows.instances[row.name] = row;
  CountChange(rows);
  return Insert(rows,
                {instance.tenant, instance.operation, OperationKind::kCreate, row.id, row.name, 1, "placing", false,
                 std::nullopt, clock_.Now()},
                request);
}

Result<Operation> FakeStore::UpdateInstance(const InstanceChange& change, const RequestId& request) {
  const std::lock_guard lock(mutex_);
  ALLOD_CHECK_OK(CheckAvailable());
  Rows& rows = rows_[change.tenant];
  auto earlier = EarlierRequest(rows, ProjectIdOf(change.name), request);
  if (earlier || earlier.error().code != Code::kNotFound) return earlier;
  const auto it = rows.instances.find(change.name);
  if (it == rows.instances.end()) return NotFound(change.name + " does not exist");
  Instance& row = it->second;
  ALLOD_CHECK_OK(CheckWhole(Trimmed(rows, row)));
  if (row.deleting) return std::unexpected(InstanceDeleting(change.name));
  ALLOD_CHECK_OK(CheckEtag(row, change.etag));
  Revision revision = change.revision;
  revision.generation = row.generation;
  if (revision == row.current()) {
    const Operation standing = Standing(rows, row, change.operation, OperationKind::kUpdate);
    Remember(rows, change.name, request, standing.id);
    return standing;
  }
  ALLOD_CHECK_OK(CheckQuotas(change.name, change.quotas, UseOf(rows, ProjectNameOf(change.name), change.name),
                             &row.current(), revision));
  revision.generation = row.generation + 1;
  if (!SameTemplate(revision, row.current())) row.template_generation = revision.generation;
  row.revisions[revision.generation] = revision;
  row.generation = revision.generation;
  std::erase_if(row.revisions, [&](const auto& entry) {
    return entry.first < std::min<std::int64_t>(row.template_generation, row.generation - kRevisionsKept) &&
           std::ranges::none_of(row.replicas,
                                [&](const Replica& replica) { return replica.placement.generation == entry.first; });
  });
  ++row.version;
  row.status.state = InstanceState::kProvisioning;
  row.status.message.clear();
  row.status.reason.clear();
  row.stopped_for_credit = false;
  CountChange(rows);
  return Insert(rows,
                {change.tenant, change.operation, OperationKind::kUpdate, row.id, row.name, row.generation, "placing",
                 false, std::nullopt, clock_.Now()},
                request);
}

Result<Operation> FakeStore::DeleteInstance(const TenantId& tenant, const std::string& name, const Uuid& operation,
                                            const RequestId& request) {
  const std::lock_guard lock(mutex_);
  ALLOD_CHECK_OK(CheckAvailable());
  Rows& rows = rows_[tenant];
  auto earlier = EarlierRequest(rows, ProjectIdOf(name), request);
  if (earlier || earlier.error().code != Code::kNotFound) return earlier;
  const auto it = rows.instances.find(name);
  if (it == rows.instances.end()) return NotFound(name + " does not exist");
  Instance& row = it->second;
  ALLOD_CHECK_OK(CheckWhole(Trimmed(rows, row)));
  if (row.deleting) {
    const auto newest = Newest(rows, row.id);
    if (!newest) return NotFound("the instance has no operation");
    Remember(rows, name, request, newest->id);
    return *newest;
  }
  CountChange(rows);
  row.deleting = true;
  ++row.version;
  row.status.state = InstanceState::kDeleting;
  row.status.message.clear();
  row.status.reason.clear();
  for (auto& [id, open] : rows.operations) {
    if (open.instance != row.id || open.done) continue;
    open.done = true;
    open.phase = "deleted";
    open.error = InstanceDeleted(name);
    rows.done_times[id] = clock_.Now();
  }
  return Insert(rows,
                {tenant, operation, OperationKind::kDelete, row.id, name, row.generation, "stopping", false,
                 std::nullopt, clock_.Now()},
                request);
}

Result<Instance> FakeStore::GetInstance(const TenantId& tenant, const std::string& name) {
  const std::lock_guard lock(mutex_);
  ALLOD_CHECK_OK(CheckAvailable());
  const Rows& rows = rows_[tenant];
  const auto it = rows.instances.find(name);
  if (it == rows.instances.end()) return NotFound(name + " does not exist");
  Instance out = Trimmed(rows, it->second);
  ALLOD_CHECK_OK(CheckWhole(out));
  return out;
}

Result<QuotaScopes> FakeStore::ReadUse(const TenantId& tenant, const std::string& project, const std::string& except) {
  const std::lock_guard lock(mutex_);
  ALLOD_CHECK_OK(CheckAvailable());
  return UseOf(rows_[tenant], project, except);
}

QuotaScopes FakeStore::UseOf(const Rows& rows, const std::string& project, const std::string& except) {
  QuotaScopes out;
  for (const auto& [name, instance] : rows.instances) {
    if (name == except) continue;
    const InstanceTotals totals = rows.broken.contains(name) ? InstanceTotals{1} : TotalsOf(instance.current());
    out.in_tenant = out.in_tenant + totals;
    if (!project.empty() && name.starts_with(project + "/instances/")) out.in_project = out.in_project + totals;
  }
  return out;
}

Result<std::vector<Instance>> FakeStore::ListInstances(const TenantId& tenant, const std::string& prefix,
                                                       const PageRequest& page) {
  const std::lock_guard lock(mutex_);
  ALLOD_CHECK_OK(CheckAvailable());
  std::vector<Instance> out;
  const Rows& rows = rows_[tenant];
  for (const auto& [name, instance] : rows.instances) {
    if (!name.starts_with(prefix) || name <= page.after) continue;
    out.push_back(Trimmed(rows, instance));
    if (out.size() > static_cast<std::size_t>(page.size)) break;
  }
  return out;
}

Result<Operation> FakeStore::GetOperation(const TenantId& tenant, const Uuid& id) {
  const std::lock_guard lock(mutex_);
  ALLOD_CHECK_OK(CheckAvailable());
  const auto& operations = rows_[tenant].operations;
  const auto it = operations.find(id);
  if (it == operations.end()) return NotFound("operation " + id.ToString() + " does not exist");
  return it->second;
}

Result<OperationPage> FakeStore::ListOperations(const TenantId& tenant, const std::string& project,
                                                const PageRequest& page) {
  const std::lock_guard lock(mutex_);
  ALLOD_CHECK_OK(CheckAvailable());
  OperationPage out;
  const Rows& rows = rows_[tenant];
  for (auto it = rows.operations.rbegin(); it != rows.operations.rend(); ++it) {
    const Operation& operation = it->second;
    if (!page.after.empty() && it->first.ToString() >= page.after) continue;
    if (!project.empty() && ProjectIdOf(operation.instance_name) != project) continue;
    out.operations.push_back(operation);
    const auto standing = rows.instances.find(operation.instance_name);
    if (AnswersWithInstance(operation) && standing != rows.instances.end() &&
        standing->second.id == operation.instance) {
      out.instances[operation.instance] = Trimmed(rows, standing->second);
    }
    if (out.operations.size() > static_cast<std::size_t>(page.size)) break;
  }
  return out;
}

Result<std::int64_t> FakeStore::JoinNode(const scheduler::Node& node) {
  const std::lock_guard lock(mutex_);
  ALLOD_CHECK_OK(CheckAvailable());
  if (nodes_.size() >= kNodesMax && !nodes_.contains(node.id)) {
    return Fail(Code::kResourceExhausted, "TOO_MANY_NODES", "there are enough nodes");
  }
  Node& row = nodes_[node.id];
  row.node = node;
  row.node.last_report = clock_.Now();
  row.session_epoch = ++epoch_;
  return row.session_epoch;
}

Status FakeStore::TouchNodes(const std::vector<std::string>& ids) {
  const std::lock_guard lock(mutex_);
  ALLOD_CHECK_OK(CheckAvailable());
  for (const auto& id : ids) {
    if (const auto it = nodes_.find(id); it != nodes_.end()) it->second.node.last_report = clock_.Now();
  }
  return {};
}

Result<std::vector<Node>> FakeStore::ListNodes() {
  const std::lock_guard lock(mutex_);
  ALLOD_CHECK_OK(CheckAvailable());
  std::vector<Node> out;
  for (const auto& [id, node] : nodes_) {
    out.push_back(node);
    out.back().allocated = Held(id, nullptr).Used();
    for (const auto& [tenant, rows] : rows_) {
      for (const auto& [name, instance] : rows.instances) {
        out.back().worker_count += static_cast<int>(
            std::ranges::count_if(instance.replicas, [&](const Replica& r) { return r.placement.node == id; }));
      }
    }
  }
  return out;
}

Result<TenantChanges> FakeStore::ListChanged(const std::string& since, const std::optional<TenantId>& after,
                                             int count) {
  const std::lock_guard lock(mutex_);
  ALLOD_CHECK_OK(CheckAvailable());
  TenantChanges changes;
  changes.mark = std::to_string(transactions_ + 1);
  const std::int64_t first = since.empty() ? 1 : std::stoll(since);
  for (const auto& [tenant, rows] : rows_) {
    if (rows.changed_in < first || (after && tenant <= *after)) continue;
    if (std::ssize(changes.tenants) == count) break;
    changes.tenants.push_back({tenant, rows.version});
  }
  return changes;
}

TenantState FakeStore::StateOf(const TenantId& tenant) {
  TenantState state;
  state.tenant = tenant;
  state.version = rows_[tenant].version;
  for (const auto& [name, instance] : rows_[tenant].instances) state.instances.push_back(instance);
  std::ranges::stable_sort(state.instances, {}, [](const Instance& i) { return std::pair(i.create_time, i.id); });
  for (const auto& [id, operation] : rows_[tenant].operations) {
    if (!operation.done) state.open_operations.push_back(operation);
  }
  return state;
}

Result<TenantState> FakeStore::LoadTenant(const TenantId& tenant) {
  const std::lock_guard lock(mutex_);
  ALLOD_CHECK_OK(CheckAvailable());
  TenantState state = StateOf(tenant);
  for (Instance& instance : state.instances) {
    instance = Trimmed(rows_[tenant], instance);
    ALLOD_CHECK_OK(CheckWhole(instance));
  }
  if (const auto spoilt = spoilt_.find(tenant); spoilt != spoilt_.end()) ALLOD_CHECK_OK(spoilt->second(state));
  return state;
}

Result<TenantState> FakeStore::LoadInstance(const TenantId& tenant, const std::string& name) {
  ALLOD_TRY(TenantState state, LoadTenant(tenant));
  std::erase_if(state.instances, [&](const Instance& instance) { return instance.name != name; });
  std::erase_if(state.open_operations, [&](const Operation& operation) {
    return state.instances.empty() || operation.instance != state.instances[0].id;
  });
  return state;
}

scheduler::Occupancy FakeStore::Held(const std::string& node, const TenantState* newer) const {
  scheduler::Occupancy held;
  const auto add = [&](const Instance& instance) {
    for (const Replica& replica : instance.replicas) {
      if (replica.placement.node == node) held.Add(replica.placement.demand);
    }
  };
  for (const auto& [tenant, rows] : rows_) {
    if (newer != nullptr && newer->tenant == tenant) continue;
    for (const auto& [name, instance] : rows.instances) add(instance);
  }
  if (newer != nullptr) std::ranges::for_each(newer->instances, add);
  return held;
}

Result<Applied> FakeStore::Apply(const TenantId& tenant, const Changes& changes) {
  const std::lock_guard lock(mutex_);
  ALLOD_CHECK_OK(CheckAvailable());
  if (const auto refused = refused_.find(tenant); refused != refused_.end()) return std::unexpected(refused->second);
  Rows& rows = rows_[tenant];
  if (rows.version > 0) CountChange(rows);
  TenantState state = StateOf(tenant);
  const auto lease = [&](const NewReplica& replica) -> std::optional<std::int64_t> {
    const auto node = nodes_.find(replica.create.node);
    if (node == nodes_.end()) return std::nullopt;
    const scheduler::Occupancy held = Held(replica.create.node, &state);
    const bool fits = (node->second.node.capacity - held.Used()).Fits(held.Growth(replica.create.demand));
    return fits ? std::optional(++epoch_) : std::nullopt;
  };
  ChangesApplied done = ApplyTo(state, changes, clock_.Now(), lease);
  rows.instances.clear();
  for (Instance& instance : state.instances) rows.instances[instance.name] = std::move(instance);
  for (const Operation& operation : state.open_operations) rows.operations[operation.id] = operation;
  for (const Operation& operation : done.ended) {
    rows.operations[operation.id] = operation;
    rows.done_times[operation.id] = clock_.Now();
  }
  done.applied.version = rows.version;
  return std::move(done.applied);
}

Result<std::vector<TenantTerms>> FakeStore::ListTerms() {
  const std::lock_guard lock(mutex_);
  ALLOD_CHECK_OK(CheckAvailable());
  std::vector<TenantTerms> out;
  for (const auto& [tenant, terms] : terms_) out.push_back(terms);
  return out;
}

Status FakeStore::SaveTerms(const std::vector<TenantTerms>& changed, const std::vector<TenantId>& gone) {
  const std::lock_guard lock(mutex_);
  ALLOD_CHECK_OK(CheckAvailable());
  for (const TenantTerms& terms : changed) terms_[terms.tenant] = terms;
  for (const TenantId& tenant : gone) terms_.erase(tenant);
  return {};
}

Result<std::vector<TenantId>> FakeStore::ListForgettable(Time before, const std::optional<TenantId>& after, int count) {
  const std::lock_guard lock(mutex_);
  ALLOD_CHECK_OK(CheckAvailable());
  std::vector<TenantId> tenants;
  for (const auto& [tenant, rows] : rows_) {
    const bool has = std::ranges::any_of(rows.done_times, [&](const auto& entry) { return entry.second < before; });
    if (has && (!after || tenant > *after) && std::ssize(tenants) < count) tenants.push_back(tenant);
  }
  return tenants;
}

Result<PurgeStep> FakeStore::PurgeTenant(const TenantId& tenant, int count) {
  const std::lock_guard lock(mutex_);
  ALLOD_CHECK_OK(CheckAvailable());
  if (const auto refused = refused_.find(tenant); refused != refused_.end()) return std::unexpected(refused->second);
  const auto found = rows_.find(tenant);
  if (found == rows_.end() || found->second.version == 0) return PurgeStep{.gone = true};
  Rows& rows = found->second;
  PurgeStep out;
  int marked = 0;
  for (auto& [name, instance] : rows.instances) {
    if (instance.deleting || marked == count) continue;
    if (marked++ == 0) CountChange(rows);
    instance.deleting = true;
    ++instance.version;
    instance.status.state = InstanceState::kDeleting;
    instance.status.message.clear();
    instance.status.reason.clear();
    for (auto& [id, operation] : rows.operations) {
      if (operation.instance != instance.id || operation.done) continue;
      operation.done = true;
      operation.phase = "deleted";
      operation.error = InstanceDeleted(name);
      rows.done_times[id] = clock_.Now();
    }
  }
  out.marked = marked > 0;
  if (out.marked) return out;
  out.waits = !rows.instances.empty();
  if (out.waits) return out;
  for (int i = 0; i < count && !rows.operations.empty(); ++i) {
    const Uuid id = rows.operations.begin()->first;
    rows.operations.erase(id);
    rows.done_times.erase(id);
    std::erase_if(rows.requests, [&](const auto& request) { return request.second.operation == id; });
    if (i + 1 == count) return out;
  }
  rows_.erase(found);
  out.gone = true;
  return out;
}

Result<int> FakeStore::ForgetOperations(const TenantId& tenant, Time before, int count) {
  const std::lock_guard lock(mutex_);
  ALLOD_CHECK_OK(CheckAvailable());
  if (const auto refused = refused_.find(tenant); refused != refused_.end()) return std::unexpected(refused->second);
  Rows& rows = rows_[tenant];
  std::vector<std::pair<Time, Uuid>> old;
  for (const auto& [id, done] : rows.done_times) {
    if (done < before) old.emplace_back(done, id);
  }
  std::ranges::sort(old);
  if (std::ssize(old) > count) old.resize(static_cast<std::size_t>(count));
  for (const auto& [done, id] : old) {
    rows.done_times.erase(id);
    rows.operations.erase(id);
    std::erase_if(rows.requests, [&id = id](const auto& request) { return request.second.operation == id; });
  }
  return static_cast<int>(old.size());
}

}  // namespace allod::scheduling
