#include "services/scheduling/pg_store.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "services/common/fault_point.h"
#include "services/scheduling/audit_acts.h"
#include "services/scheduling/pg_rows.h"

namespace allod::scheduling {
namespace {

// Without a conflict target: a concurrent twin may be met at the id or at the name, which stand for each other.
constexpr const char* kInsertTenant =
    "INSERT INTO scheduling.tenants (id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING";
// Serialises what changes rows of the tenant, to the end of the transaction.
constexpr const char* kLockTenant = "SELECT 1 FROM scheduling.tenants WHERE id = $1 FOR NO KEY UPDATE";
constexpr const char* kInsertInstance =
    "INSERT INTO scheduling.instances (tenant_id, id, name, generation, template_generation) VALUES ($1, $2, $3, 1, 1)";
constexpr const char* kChangeInstance =
    "UPDATE scheduling.instances SET generation = $3, template_generation = $4, version = version + 1, "
    "state = 'provisioning', message = '', reason = '', stopped_for_credit = false WHERE tenant_id = $1 AND id = $2";
constexpr const char* kMarkDeleting =
    "UPDATE scheduling.instances SET deleting = true, version = version + 1, state = 'deleting', message = '', reason "
    "= '' "
    "WHERE tenant_id = $1 AND id = $2";
constexpr const char* kForgetRevisions =
    "DELETE FROM scheduling.revisions r WHERE tenant_id = $1 AND instance_id = $2 AND generation < $3 AND NOT EXISTS ("
    "SELECT 1 FROM scheduling.replicas p WHERE p.tenant_id = r.tenant_id AND p.instance_id = r.instance_id AND "
    "p.generation = r.generation)";
constexpr const char* kInsertOperation =
    "INSERT INTO scheduling.operations (tenant_id, id, kind, instance_id, instance_name, generation, phase) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7)";
constexpr const char* kInsertRequest =
    "INSERT INTO scheduling.request_ids (tenant_id, project, id, payload_sha256, operation_id) "
    "VALUES ($1, $2, $3, $4, $5)";
constexpr const char* kSelectRequest =
    "SELECT payload_sha256, operation_id FROM scheduling.request_ids WHERE tenant_id = $1 AND project = $2 AND id = $3";
// Any number of them can be of one operation.
constexpr const char* kForgetRequests =
    "DELETE FROM scheduling.request_ids WHERE tenant_id = $1 AND (project, id) IN (SELECT r.project, r.id "
    "FROM scheduling.request_ids r JOIN scheduling.operations o ON o.tenant_id = r.tenant_id AND o.id = r.operation_id "
    "WHERE r.tenant_id = $1 AND o.done AND o.done_time < to_timestamp($2::double precision) LIMIT $3)";
constexpr const char* kForgetOperations =
    "DELETE FROM scheduling.operations WHERE tenant_id = $1 AND id IN (SELECT id FROM scheduling.operations "
    "WHERE tenant_id = $1 AND done AND done_time < to_timestamp($2::double precision) ORDER BY done_time LIMIT $3)";
// The clock, not the transaction's start: of two joins the one that locks the row last gets the greater epoch.
constexpr const char* kJoinNode =
    "INSERT INTO scheduling.nodes AS n (id, region, memory_bytes, cpu_millis, jurisdiction, session_epoch) "
    "VALUES ($1, $2, $3, $4, $5, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) "
    "ON CONFLICT (id) DO UPDATE SET region = $2, memory_bytes = $3, cpu_millis = $4, jurisdiction = $5, "
    "last_report_time = now(), "
    "session_epoch = GREATEST(n.session_epoch + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) "
    "RETURNING session_epoch";
constexpr const char* kTouchNodes = "UPDATE scheduling.nodes SET last_report_time = now() WHERE id = ANY($1::text[])";
constexpr const char* kListNodes =
    "SELECT n.id, n.region, n.memory_bytes, n.cpu_millis, n.jurisdiction, n.session_epoch, "
    ALLOD_MICROS("n.last_report_time") ", count(l.replica_id), "
    "(COALESCE(sum(l.memory_bytes), 0) + COALESCE((SELECT sum(s.bytes) FROM ("
    "SELECT max(k.weights_bytes) + max(k.pool_bytes) AS bytes FROM scheduling.leases k "
    "WHERE k.node = n.id AND k.shared_key <> '' GROUP BY k.shared_key) s), 0))::bigint, "
    "COALESCE(sum(l.cpu_millis), 0)::bigint "
    "FROM scheduling.nodes n LEFT JOIN scheduling.leases l ON l.node = n.id GROUP BY n.id ORDER BY n.id";
// A transaction that is not over yet has at least the id that is the snapshot's xmin.
constexpr const char* kListChanged =
    "SELECT id, version FROM scheduling.tenants "
    "WHERE changed_in >= $1::xid8 AND id > $2::uuid ORDER BY id LIMIT $3";
constexpr const char* kSelectMark = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text";
constexpr const char* kSaveTerms =
    "INSERT INTO scheduling.tenant_terms (id, active, weight, residency, residency_rules, purge) "
    "SELECT id, active, weight, string_to_array(residency, ','), string_to_array(rules, ','), purge "
    "FROM unnest($1::uuid[], $2::boolean[], $3::integer[], $4::text[], $5::text[], $6::boolean[]) "
    "AS t (id, active, weight, residency, rules, purge) "
    "ON CONFLICT (id) DO UPDATE SET active = EXCLUDED.active, weight = EXCLUDED.weight, residency = "
    "EXCLUDED.residency, residency_rules = EXCLUDED.residency_rules, purge = EXCLUDED.purge";
constexpr const char* kListForgettable =
    "SELECT id FROM scheduling.tenants WHERE oldest_done_time < to_timestamp($1::double precision) "
    "AND id > $2::uuid ORDER BY id LIMIT $3";
constexpr const char* kNoteOldestDone =
    "UPDATE scheduling.tenants SET oldest_done_time = (SELECT done_time FROM scheduling.operations "
    "WHERE tenant_id = $1 AND done ORDER BY done_time LIMIT 1) WHERE id = $1";

std::int64_t SecondsOf(Time time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

// 0 for a tenant without rows.
std::int64_t VersionOf(TenantTx& tx) {
  const auto rows = tx.Exec("SELECT version FROM scheduling.tenants WHERE id = $1", tx.tenant().ToString());
  return rows.empty() ? 0 : rows[0][0].as<std::int64_t>();
}

auto OperationsOf(const TenantId& tenant) {
  return [tenant](RowReader& row) { return ReadOperation(tenant, row); };
}

auto InstancesOf(const TenantId& tenant) {
  return [tenant](RowReader& row) { return ReadInstance(tenant, row); };
}

Result<Operation> SelectOperation(TenantTx& tx, const Uuid& id) {
  const auto rows =
      tx.Exec(fmt::format("SELECT {} FROM scheduling.operations WHERE tenant_id = $1 AND id = $2", kOperationColumns),
              tx.tenant().ToString(), id.ToString());
  if (rows.empty()) return NotFound(fmt::format("operation {} does not exist", id.ToString()));
  return ReadFirst(rows, OperationsOf(tx.tenant()));
}

// The newest operation of an instance, an open one first.
Result<Operation> NewestOperation(TenantTx& tx, const Uuid& instance) {
  // Ids are version 7: their order is that of creation.
  const auto rows =
      tx.Exec(fmt::format("SELECT {} FROM scheduling.operations WHERE tenant_id = $1 AND instance_id = $2 "
                          "ORDER BY done, id DESC LIMIT 1",
                          kOperationColumns),
              tx.tenant().ToString(), instance.ToString());
  if (rows.empty()) return NotFound("the instance has no operation");
  return ReadFirst(rows, OperationsOf(tx.tenant()));
}

Result<Instance> SelectInstance(TenantTx& tx, const std::string& name) {
  const auto rows =
      tx.Exec(fmt::format("SELECT {} FROM scheduling.instances WHERE tenant_id = $1 AND name = $2", kInstanceColumns),
              tx.tenant().ToString(), name);
  if (rows.empty()) return NotFound(fmt::format("{} does not exist", name));
  auto instances = ReadAll(rows, InstancesOf(tx.tenant()));
  AttachParts(tx, instances);
  ALLOD_CHECK_OK(CheckWhole(instances[0]));
  return std::move(instances[0]);
}

Result<Operation> EarlierRequest(TenantTx& tx, const std::string& project, const RequestId& request) {
  if (!request.given()) return NotFound("no request id");
  const auto rows = tx.Exec(kSelectRequest, tx.tenant().ToString(), project, request.id.ToString());
  if (rows.empty()) return NotFound("no earlier request");
  RowReader row(rows[0]);
  ALLOD_CHECK_OK(CheckSamePayload(request, row.Next<std::string>()));
  return SelectOperation(tx, row.Next<Uuid>());
}

void Remember(TenantTx& tx, const std::string& project, const RequestId& request, const Uuid& operation) {
  if (!request.given()) return;
  tx.Exec(kInsertRequest, tx.tenant().ToString(), project, request.id.ToString(), request.payload_sha256,
          operation.ToString());
}

Result<Operation> InsertOperation(TenantTx& tx, const Uuid& id, OperationKind kind, const Uuid& instance,
                                  const std::string& name, std::int64_t generation) {
  tx.Exec(kInsertOperation, tx.tenant().ToString(), id.ToString(), kind, instance.ToString(), name, generation,
          kind == OperationKind::kDelete ? "stopping" : "placing");
  return SelectOperation(tx, id);
}

// Twice the same sums: of the tenant, and of what begins with $2. They saturate.
constexpr const char* kSelectUse =
    "SELECT count(*), count(*) FILTER (WHERE in_project), "
    "COALESCE(sum(replicas), 0)::bigint, COALESCE(sum(replicas) FILTER (WHERE in_project), 0)::bigint, "
    "LEAST(COALESCE(sum(tokens), 0), 9223372036854775807)::bigint, "
    "LEAST(COALESCE(sum(tokens) FILTER (WHERE in_project), 0), 9223372036854775807)::bigint, "
    "LEAST(COALESCE(sum(bytes), 0), 9223372036854775807)::bigint, "
    "LEAST(COALESCE(sum(bytes) FILTER (WHERE in_project), 0), 9223372036854775807)::bigint "
    "FROM (SELECT $2 <> '' AND starts_with(i.name, $2) AS in_project, r.replicas, "
    "r.replicas::numeric * r.context_tokens * r.max_concurrency AS tokens, "
    "r.replicas::numeric * (r.memory_bytes::numeric + r.weights_bytes + r.pool_bytes) AS bytes "
    "FROM scheduling.instances i LEFT JOIN scheduling.revisions r "
    "ON r.tenant_id = i.tenant_id AND r.instance_id = i.id AND r.generation = i.generation "
    "WHERE i.tenant_id = $1 AND i.name <> $3) AS u";

// As Store::ReadUse. Under the tenant's lock nothing is added meanwhile.
QuotaScopes UseOf(TenantTx& tx, const std::string& project, const std::string& except) {
  const auto rows = tx.Exec(kSelectUse, tx.tenant().ToString(), project.empty() ? "" : project + "/instances/", except);
  QuotaScopes out;
  RowReader(rows[0]).Into(out.in_tenant.instances, out.in_project.instances, out.in_tenant.replicas,
                          out.in_project.replicas, out.in_tenant.context_tokens, out.in_project.context_tokens,
                          out.in_tenant.memory_bytes, out.in_project.memory_bytes);
  return out;
}

// What answers for an instance that stands already as it is asked for: its newest operation. That may have been
// forgotten long ago, or have failed on what is over by now; then there is a new one.
Result<Operation> StandingOperation(TenantTx& tx, const Instance& standing, const Uuid& id, OperationKind kind) {
  auto newest = NewestOperation(tx, standing.id);
  if (newest && !newest->error) return newest;
  if (!newest && newest.error().code != Code::kNotFound) return newest;
  CountChange(tx, false);
  return InsertOperation(tx, id, kind, standing.id, standing.name, standing.generation);
}

// `fn` under the tenant's lock, unless the request was answered before; it counts what it changes. A lost COMMIT is
// looked up by the operation.
Result<Operation> Mutate(PgPool& pool, const TenantId& tenant, const std::string& tenant_name,
                         const std::string& instance_name, const Uuid& operation, const RequestId& request,
                         const std::function<Result<Operation>(TenantTx&)>& fn) {
  const std::string project = ProjectIdOf(instance_name);
  return pool.Run<Operation>(
      tenant,
      [&](TenantTx& tx) -> Result<Operation> {
        if (!tenant_name.empty()) tx.Exec(kInsertTenant, tenant.ToString(), tenant_name);
        tx.Exec(kLockTenant, tenant.ToString());
        auto earlier = EarlierRequest(tx, project, request);
        if (earlier || earlier.error().code != Code::kNotFound) return earlier;
        ALLOD_TRY(const Operation made, fn(tx));
        Remember(tx, project, request, made.id);
        ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kInstanceWritten));
        return made;
      },
      [&](TenantTx& tx) { return SelectOperation(tx, operation); });
}

}  // namespace

Result<Operation> PgStore::FindRequest(const TenantId& tenant, const std::string& project, const RequestId& request) {
  if (!request.given()) return NotFound("no request id");
  return pool_.Run<Operation>(tenant, [&](TenantTx& tx) { return EarlierRequest(tx, project, request); });
}

Result<Operation> PgStore::CreateInstance(const NewInstance& instance, const RequestId& request) {
  return Mutate(
      pool_, instance.tenant, instance.tenant_name, instance.name, instance.operation, request,
      [&](TenantTx& tx) -> Result<Operation> {
        const auto found = SelectInstance(tx, instance.name);
        if (!found && found.error().code != Code::kNotFound) return std::unexpected(found.error());
        if (found) {
          if (found->deleting) return std::unexpected(InstanceDeleting(instance.name));
          Revision same = instance.revision;
          same.generation = found->generation;
          if (same == found->current()) {
            return StandingOperation(tx, *found, instance.operation, OperationKind::kCreate);
          }
          return std::unexpected(InstanceExists(instance.name));
        }
        if (instance.only_if_standing) return std::unexpected(InstanceJustGone(instance.name));
        ALLOD_CHECK_OK(CheckQuotas(instance.name, instance.quotas,
                                   UseOf(tx, ProjectNameOf(instance.name), instance.name), nullptr, instance.revision));
        const std::string tenant = tx.tenant().ToString();
        CountChange(tx, false);
        tx.Exec(kInsertInstance, tenant, instance.id.ToString(), instance.name);
        Revision revision = instance.revision;
        revision.generation = 1;
        InsertRevision(tx, instance.id, revision);
        ALLOD_CHECK_OK(audit_.Append(tx, instance.tenant_name, CreationOf(instance.name, revision)));
        return InsertOperation(tx, instance.operation, OperationKind::kCreate, instance.id, instance.name, 1);
      });
}

Result<Operation> PgStore::UpdateInstance(const InstanceChange& change, const RequestId& request) {
  return Mutate(
      pool_, change.tenant, "", change.name, change.operation, request, [&](TenantTx& tx) -> Result<Operation> {
        ALLOD_TRY(const Instance instance, SelectInstance(tx, change.name));
        if (instance.deleting) return std::unexpected(InstanceDeleting(change.name));
        ALLOD_CHECK_OK(CheckEtag(instance, change.etag));
        Revision revision = change.revision;
        revision.generation = instance.generation;
        if (revision == instance.current()) {
          return StandingOperation(tx, instance, change.operation, OperationKind::kUpdate);
        }
        ALLOD_CHECK_OK(CheckQuotas(change.name, change.quotas, UseOf(tx, ProjectNameOf(change.name), change.name),
                                   &instance.current(), revision));
        CountChange(tx, false);
        revision.generation = instance.generation + 1;
        InsertRevision(tx, instance.id, revision);
        const std::int64_t template_generation =
            SameTemplate(revision, instance.current()) ? instance.template_generation : revision.generation;
        const std::string tenant = tx.tenant().ToString();
        tx.Exec(kChangeInstance, tenant, instance.id.ToString(), revision.generation, template_generation);
        // The template's revision describes running workers, so it stays as long as it is the template.
        tx.Exec(kForgetRevisions, tenant, instance.id.ToString(),
                std::min(template_generation, revision.generation - kRevisionsKept));
        const audit::Act act = ChangeOf(change.name, instance.current(), revision);
        ALLOD_CHECK_OK(audit_.Append(tx, TenantOf(change.name), act));
        return InsertOperation(tx, change.operation, OperationKind::kUpdate, instance.id, change.name,
                               revision.generation);
      });
}

Result<Operation> PgStore::DeleteInstance(const TenantId& tenant, const std::string& name, const Uuid& operation,
                                          const RequestId& request) {
  return Mutate(pool_, tenant, "", name, operation, request, [&](TenantTx& tx) -> Result<Operation> {
    ALLOD_TRY(const Instance instance, SelectInstance(tx, name));
    if (instance.deleting) return NewestOperation(tx, instance.id);
    CountChange(tx, true);
    tx.Exec(kMarkDeleting, tenant.ToString(), instance.id.ToString());
    tx.Exec(
        "UPDATE scheduling.operations SET done = true, done_time = now(), phase = 'deleted', error_code = $3, "
        "error_reason = $4, error_message = $5 WHERE tenant_id = $1 AND instance_id = $2 AND NOT done",
        tenant.ToString(), instance.id.ToString(), static_cast<int>(InstanceDeleted(name).code),
        InstanceDeleted(name).reason, InstanceDeleted(name).message);
    ALLOD_CHECK_OK(audit_.Append(tx, TenantOf(name), DeletionOf(name)));
    return InsertOperation(tx, operation, OperationKind::kDelete, instance.id, name, instance.generation);
  });
}

Result<Instance> PgStore::GetInstance(const TenantId& tenant, const std::string& name) {
  return pool_.RunSnapshot<Instance>(tenant, [&](TenantTx& tx) { return SelectInstance(tx, name); });
}

Result<QuotaScopes> PgStore::ReadUse(const TenantId& tenant, const std::string& project, const std::string& except) {
  return pool_.Run<QuotaScopes>(tenant,
                                [&](TenantTx& tx) -> Result<QuotaScopes> { return UseOf(tx, project, except); });
}

Result<std::vector<Instance>> PgStore::ListInstances(const TenantId& tenant, const std::string& prefix,
                                                     const PageRequest& page) {
  return pool_.RunSnapshot<std::vector<Instance>>(tenant, [&](TenantTx& tx) -> Result<std::vector<Instance>> {
    const auto rows =
        tx.Exec(fmt::format("SELECT {} FROM scheduling.instances WHERE tenant_id = $1 AND starts_with(name, $2) AND "
                            "name COLLATE \"C\" > $3 ORDER BY name COLLATE \"C\" LIMIT $4",
                            kInstanceColumns),
                tenant.ToString(), prefix, page.after, page.size + 1);
    auto instances = ReadAll(rows, InstancesOf(tenant));
    AttachParts(tx, instances);
    return instances;
  });
}

Result<Operation> PgStore::GetOperation(const TenantId& tenant, const Uuid& id) {
  return pool_.Run<Operation>(tenant, [&](TenantTx& tx) { return SelectOperation(tx, id); });
}

Result<OperationPage> PgStore::ListOperations(const TenantId& tenant, const std::string& project,
                                              const PageRequest& page) {
  return pool_.RunSnapshot<OperationPage>(tenant, [&](TenantTx& tx) -> Result<OperationPage> {
    OperationPage out;
    // Ids are version 7: their order is that of creation.
    const auto rows =
        tx.Exec(fmt::format("SELECT {} FROM scheduling.operations WHERE tenant_id = $1 AND ($2 = '' OR id < "
                            "NULLIF($2, '')::uuid) AND ($4 = '' OR project = $4) ORDER BY id DESC LIMIT $3",
                            kOperationColumns),
                tenant.ToString(), page.after, page.size + 1, project);
    out.operations = ReadAll(rows, OperationsOf(tenant));
    std::set<std::string> ids;
    for (const Operation& operation : out.operations) {
      if (AnswersWithInstance(operation)) ids.insert(operation.instance.ToString());
    }
    if (ids.empty()) return out;
    auto instances =
        ReadAll(tx.Exec(fmt::format("SELECT {} FROM scheduling.instances WHERE tenant_id = $1 AND id = ANY($2::uuid[])",
                                    kInstanceColumns),
                        tenant.ToString(), std::vector<std::string>(ids.begin(), ids.end())),
                InstancesOf(tenant));
    AttachParts(tx, instances);
    for (Instance& instance : instances) out.instances[instance.id] = std::move(instance);
    return out;
  });
}

Result<std::int64_t> PgStore::JoinNode(const scheduler::Node& node) {
  return pool_.Run<std::int64_t>([&](GlobalTx& tx) -> Result<std::int64_t> {
    const auto others = tx.Exec("SELECT count(*) FROM scheduling.nodes WHERE id <> $1", node.id);
    if (others[0][0].as<int>() >= kNodesMax) {
      return Fail(Code::kResourceExhausted, "TOO_MANY_NODES",
                  fmt::format("an installation has at most {} nodes; {} would be one more", kNodesMax, node.id));
    }
    const auto rows = tx.Exec(kJoinNode, node.id, node.region, node.capacity.memory_bytes, node.capacity.cpu_millis,
                              node.jurisdiction);
    return rows[0][0].as<std::int64_t>();
  });
}

Status PgStore::TouchNodes(const std::vector<std::string>& ids) {
  const auto done = pool_.Run<int>([&](GlobalTx& tx) -> Result<int> {
    tx.Exec(kTouchNodes, ids);
    return 0;
  });
  if (!done) return std::unexpected(done.error());
  return {};
}

Result<std::vector<Node>> PgStore::ListNodes() {
  return pool_.Run<std::vector<Node>>([&](GlobalTx& tx) -> Result<std::vector<Node>> {
    return ReadAll(tx.Exec(kListNodes), [](RowReader& row) {
      Node out;
      scheduler::Node& node = out.node;
      row.Into(node.id, node.region, node.capacity.memory_bytes, node.capacity.cpu_millis, node.jurisdiction,
               out.session_epoch, node.last_report, out.worker_count, out.allocated.memory_bytes,
               out.allocated.cpu_millis);
      return out;
    });
  });
}

Result<TenantChanges> PgStore::ListChanged(const std::string& since, const std::optional<TenantId>& after, int count) {
  return pool_.Run<TenantChanges>([&](GlobalTx& tx) -> Result<TenantChanges> {
    TenantChanges changes;
    // Both statements below may see what the other does not: the mark is taken first, so that nothing falls between.
    changes.mark = tx.Exec(kSelectMark)[0][0].c_str();
    changes.tenants =
        ReadAll(tx.Exec(kListChanged, since.empty() ? "0" : since, after.value_or(TenantId()).ToString(), count),
                [](RowReader& row) {
                  TenantVersion out;
                  row.Into(out.tenant, out.version);
                  return out;
                });
    return changes;
  });
}

Result<TenantState> PgStore::LoadTenant(const TenantId& tenant) {
  return pool_.RunSnapshot<TenantState>(tenant, [&](TenantTx& tx) -> Result<TenantState> {
    TenantState state{tenant, VersionOf(tx), {}, {}};
    state.instances =
        ReadAll(tx.Exec(fmt::format("SELECT {} FROM scheduling.instances WHERE tenant_id = $1 ORDER BY create_time, id",
                                    kInstanceColumns),
                        tenant.ToString()),
                InstancesOf(tenant));
    AttachParts(tx, state.instances);
    ALLOD_CHECK_OK(CheckAllWhole(state.instances));
    state.open_operations = ReadAll(
        tx.Exec(
            fmt::format("SELECT {} FROM scheduling.operations WHERE tenant_id = $1 AND NOT done", kOperationColumns),
            tenant.ToString()),
        OperationsOf(tenant));
    return state;
  });
}

Result<TenantState> PgStore::LoadInstance(const TenantId& tenant, const std::string& name) {
  return pool_.RunSnapshot<TenantState>(tenant, [&](TenantTx& tx) -> Result<TenantState> {
    TenantState state{tenant, VersionOf(tx), {}, {}};
    auto instance = SelectInstance(tx, name);
    if (!instance && instance.error().code == Code::kNotFound) return state;
    if (!instance) return std::unexpected(instance.error());
    state.open_operations = ReadAll(
        tx.Exec(
            fmt::format("SELECT {} FROM scheduling.operations WHERE tenant_id = $1 AND instance_id = $2 AND NOT done",
                        kOperationColumns),
            tenant.ToString(), instance->id.ToString()),
        OperationsOf(tenant));
    state.instances.push_back(*std::move(instance));
    return state;
  });
}

Result<std::vector<TenantTerms>> PgStore::ListTerms() {
  return pool_.Run<std::vector<TenantTerms>>([&](GlobalTx& tx) -> Result<std::vector<TenantTerms>> {
    return ReadAll(tx.Exec("SELECT id, active, weight, residency, residency_rules, purge FROM scheduling.tenant_terms"),
                   [](RowReader& row) {
                     TenantTerms out;
                     row.Into(out.tenant, out.active, out.weight, out.residency.jurisdictions);
                     auto rules = RulesFromWords(row.Next<std::vector<std::string>>());
                     // Rules that nobody understands allow nothing.
                     if (!rules) out.residency = {};
                     if (rules) out.residency.of_class = *std::move(rules);
                     row.Into(out.purge);
                     return out;
                   });
  });
}

Status PgStore::SaveTerms(const std::vector<TenantTerms>& changed, const std::vector<TenantId>& gone) {
  std::vector<std::string> ids, active, weights, residencies, rules, purges, gone_ids;
  for (const TenantTerms& terms : changed) {
    ids.push_back(terms.tenant.ToString());
    active.emplace_back(terms.active ? "t" : "f");
    weights.push_back(std::to_string(terms.weight));
    residencies.push_back(fmt::format("{}", fmt::join(terms.residency.jurisdictions, ",")));
    rules.push_back(fmt::format("{}", fmt::join(RuleWords(terms.residency.of_class), ",")));
    purges.emplace_back(terms.purge ? "t" : "f");
  }
  for (const TenantId& tenant : gone) gone_ids.push_back(tenant.ToString());
  const auto done = pool_.Run<int>(
      [&](GlobalTx& tx) -> Result<int> {
        tx.Exec(kSaveTerms, ids, active, weights, residencies, rules, purges);
        tx.Exec("DELETE FROM scheduling.tenant_terms WHERE id = ANY($1::uuid[])", gone_ids);
        return 0;
      },
      RunAgain{});
  if (!done) return std::unexpected(done.error());
  return {};
}

Result<std::vector<TenantId>> PgStore::ListForgettable(Time before, const std::optional<TenantId>& after, int count) {
  return pool_.Run<std::vector<TenantId>>([&](GlobalTx& tx) -> Result<std::vector<TenantId>> {
    return ReadAll(tx.Exec(kListForgettable, SecondsOf(before), after.value_or(TenantId{}).ToString(), count),
                   [](RowReader& row) { return row.Next<TenantId>(); });
  });
}

Result<int> PgStore::ForgetOperations(const TenantId& tenant, Time before, int count) {
  return pool_.Run<int>(
      tenant,
      [&](TenantTx& tx) -> Result<int> {
        tx.Exec(kLockTenant, tenant.ToString());
        const auto requests = tx.Exec(kForgetRequests, tenant.ToString(), SecondsOf(before), count);
        if (std::cmp_greater_equal(requests.affected_rows(), count)) return count;
        const auto forgotten = tx.Exec(kForgetOperations, tenant.ToString(), SecondsOf(before), count);
        tx.Exec(kNoteOldestDone, tenant.ToString());
        return static_cast<int>(forgotten.affected_rows());
      },
      RunAgain{});
}

}  // namespace allod::scheduling
