#include "services/scheduling/pg_rows.h"

#include <map>

namespace allod::scheduling {
namespace {

struct RevisionRow {
  Uuid instance;
  Revision revision;
};

RevisionRow ReadRevision(RowReader& row) {
  RevisionRow out;
  Revision& revision = out.revision;
  InstanceSpec& spec = revision.spec;
  scheduler::Demand& demand = revision.demand;
  row.Into(out.instance, revision.generation, spec.listing, spec.variant, spec.region, spec.isolation_class,
           spec.replicas, spec.context_tokens, spec.max_concurrency, spec.sleep_after_seconds, spec.quote);
  row.Into(revision.price_book, revision.artifact_sha256, revision.artifact_bytes, revision.trained_context_tokens,
           revision.residency);
  row.Into(demand.own.memory_bytes, demand.own.cpu_millis, demand.weights_bytes, demand.pool_bytes);
  if (demand.weights_bytes > 0) demand.shared_key = revision.artifact_sha256;
  return out;
}

Replica ReadReplica(RowReader& row) {
  Replica replica;
  scheduler::Replica& placement = replica.placement;
  row.Into(placement.id, placement.instance, placement.generation, placement.node, placement.epoch, placement.state,
           placement.state_time, replica.target, replica.message, replica.start_count);
  return replica;
}

// The current revision of each instance and those that its replicas run.
constexpr const char* kSelectRevisions =
    "SELECT r.instance_id, r.generation, r.listing, r.variant, r.region, r.isolation_class, r.replicas, "
    "r.context_tokens, "
    "r.max_concurrency, r.sleep_after_seconds, r.quote, r.price_book, r.artifact_sha256, r.artifact_bytes, "
    "r.trained_context_tokens, r.residency, r.memory_bytes, r.cpu_millis, r.weights_bytes, r.pool_bytes "
    "FROM scheduling.revisions r "
    "JOIN scheduling.instances i ON i.tenant_id = r.tenant_id AND i.id = r.instance_id "
    "WHERE r.tenant_id = $1 AND r.instance_id = ANY($2::uuid[]) AND (r.generation = i.generation OR EXISTS ("
    "SELECT 1 FROM scheduling.replicas p WHERE p.tenant_id = r.tenant_id AND p.instance_id = r.instance_id AND "
    "p.generation = r.generation))";

constexpr const char* kSelectReplicas =
    "SELECT id, instance_id, generation, node, epoch, state, " ALLOD_MICROS("state_time") ", target, message, start_count "
    "FROM scheduling.replicas "
    "WHERE tenant_id = $1 AND instance_id = ANY($2::uuid[]) ORDER BY epoch, id";

constexpr const char* kCountChange =
    "UPDATE scheduling.tenants SET version = version + 1, changed_in = pg_current_xact_id(), oldest_done_time = CASE "
    "WHEN $2 THEN COALESCE(oldest_done_time, now()) ELSE oldest_done_time END WHERE id = $1 RETURNING version";
constexpr const char* kInsertRevision =
    "INSERT INTO scheduling.revisions (tenant_id, instance_id, generation, listing, variant, region, isolation_class, "
    "replicas, context_tokens, max_concurrency, price_book, artifact_sha256, artifact_bytes, trained_context_tokens, "
    "residency, memory_bytes, cpu_millis, sleep_after_seconds, weights_bytes, pool_bytes, quote) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15::text[], $16, $17, $18, $19, $20, $21)";

}  // namespace

Operation ReadOperation(const TenantId& tenant, RowReader& row) {
  Operation operation;
  operation.tenant = tenant;
  row.Into(operation.id, operation.kind, operation.instance, operation.instance_name, operation.generation,
           operation.phase, operation.done);
  Error error;
  error.code = static_cast<Code>(row.Next<int>());
  row.Into(error.reason, error.message);
  if (error.code != Code{}) operation.error = std::move(error);
  row.Into(operation.create_time);
  return operation;
}

Instance ReadInstance(const TenantId& tenant, RowReader& row) {
  Instance instance;
  instance.tenant = tenant;
  InstanceStatus& status = instance.status;
  row.Into(instance.id, instance.name, instance.generation, instance.template_generation, instance.version,
           instance.deleting);
  row.Into(status.state, status.observed_generation, status.ready_replicas, status.message, status.reason);
  row.Into(instance.stopped_for_credit, instance.create_time);
  return instance;
}

void AttachParts(TenantTx& tx, std::vector<Instance>& instances) {
  if (instances.empty()) return;
  std::map<Uuid, Instance*> by_id;
  std::vector<std::string> ids;
  for (Instance& instance : instances) {
    by_id[instance.id] = &instance;
    ids.push_back(instance.id.ToString());
  }
  const std::string tenant = tx.tenant().ToString();
  for (auto& [instance, revision] : ReadAll(tx.Exec(kSelectRevisions, tenant, ids), ReadRevision)) {
    by_id.at(instance)->revisions[revision.generation] = std::move(revision);
  }
  for (Replica& replica : ReadAll(tx.Exec(kSelectReplicas, tenant, ids), ReadReplica)) {
    by_id.at(replica.placement.instance)->replicas.push_back(std::move(replica));
  }
  for (Instance& instance : instances) {
    for (Replica& replica : instance.replicas) {
      const auto revision = instance.revisions.find(replica.placement.generation);
      if (revision != instance.revisions.end()) replica.placement.demand = revision->second.demand;
    }
  }
}

Status CheckAllWhole(const std::vector<Instance>& instances) {
  for (const Instance& instance : instances) ALLOD_CHECK_OK(CheckWhole(instance));
  return {};
}

std::int64_t CountChange(TenantTx& tx, bool ends_operations) {
  const auto rows = tx.Exec(kCountChange, tx.tenant().ToString(), ends_operations);
  return rows.empty() ? 0 : rows[0][0].as<std::int64_t>();
}

void InsertRevision(TenantTx& tx, const Uuid& instance, const Revision& revision) {
  const InstanceSpec& spec = revision.spec;
  tx.Exec(kInsertRevision, tx.tenant().ToString(), instance.ToString(), revision.generation, spec.listing, spec.variant,
          spec.region, spec.isolation_class, spec.replicas, spec.context_tokens, spec.max_concurrency,
          revision.price_book, revision.artifact_sha256, revision.artifact_bytes, revision.trained_context_tokens,
          revision.residency, revision.demand.own.memory_bytes, revision.demand.own.cpu_millis,
          spec.sleep_after_seconds, revision.demand.weights_bytes, revision.demand.pool_bytes, spec.quote);
}

}  // namespace allod::scheduling
