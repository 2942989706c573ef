// PgStore::Apply: the checked transaction that turns a plan into rows. Its rules are those of apply_changes.h, which
// says them of rows in memory.

#include <fmt/format.h>

#include <algorithm>

#include "services/common/fault_point.h"
#include "services/scheduling/pg_rows.h"
#include "services/scheduling/pg_store.h"

namespace allod::scheduling {
namespace {

constexpr const char* kSelectInstance =
    "SELECT version, deleting, template_generation FROM scheduling.instances WHERE tenant_id = $1 AND id = $2";
// Other tenants' plans wait here, so that the room added up below cannot be promised twice.
constexpr const char* kLockNode = "SELECT memory_bytes, cpu_millis FROM scheduling.nodes WHERE id = $1 FOR UPDATE";
// What the node would hold with one more lease ($2 to $6): own parts added up, shared ones once per key.
constexpr const char* kSumLeases =
    "WITH l AS (SELECT memory_bytes, cpu_millis, shared_key, weights_bytes, pool_bytes FROM scheduling.leases "
    "WHERE node = $1 UNION ALL SELECT $2::bigint, $3::bigint, $4::text, $5::bigint, $6::bigint) "
    "SELECT (sum(memory_bytes) + COALESCE((SELECT sum(s.bytes) FROM (SELECT max(weights_bytes) + max(pool_bytes) AS "
    "bytes "
    "FROM l WHERE shared_key <> '' GROUP BY shared_key) s), 0))::bigint, sum(cpu_millis)::bigint FROM l";
constexpr const char* kInsertLease =
    "INSERT INTO scheduling.leases (replica_id, tenant_id, node, epoch, memory_bytes, cpu_millis, shared_key, "
    "weights_bytes, pool_bytes) VALUES ($1, $2, $3, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, $4, $5, "
    "$6, $7, $8) RETURNING epoch";
constexpr const char* kInsertReplica =
    "INSERT INTO scheduling.replicas (tenant_id, id, instance_id, generation, node, epoch) VALUES ($1, $2, $3, $4, $5, "
    "$6)";
// A replica that is stopping stays so until it is gone, whatever its worker still says.
constexpr const char* kObserve =
    "UPDATE scheduling.replicas SET state = $4, target = $5, message = $6, start_count = $7, "
    "state_time = CASE WHEN state = $4 THEN state_time ELSE now() END "
    "WHERE tenant_id = $1 AND id = $2 AND epoch = $3 AND (state <> 'stopping' OR $4 = 'stopped')";
constexpr const char* kStop =
    "UPDATE scheduling.replicas SET state = 'stopping', state_time = now(), target = '', message = $4 "
    "WHERE tenant_id = $1 AND id = $2 AND epoch = $3 AND state NOT IN ('stopping', 'stopped')";
constexpr const char* kRemove =
    "DELETE FROM scheduling.replicas WHERE tenant_id = $1 AND id = $2 AND epoch = $3 AND state IN ('stopping', "
    "'stopped')";
constexpr const char* kRemoveLease =
    "DELETE FROM scheduling.leases WHERE replica_id = $1 AND tenant_id = $2 AND epoch <= $3";
constexpr const char* kSetStatus =
    "UPDATE scheduling.instances SET state = $4, observed_generation = $5, ready_replicas = $6, message = $7, reason = "
    "$8 "
    "WHERE tenant_id = $1 AND id = $2 AND version = $3";
constexpr const char* kSetOperation =
    "UPDATE scheduling.operations SET phase = $3, done = $4, done_time = CASE WHEN $4 THEN now() END, error_code = $5, "
    "error_reason = $6, error_message = $7 "
    "WHERE tenant_id = $1 AND id = $2 AND NOT done";
constexpr const char* kRemoveInstance =
    "DELETE FROM scheduling.instances i WHERE tenant_id = $1 AND id = $2 AND deleting AND NOT EXISTS ("
    "SELECT 1 FROM scheduling.replicas r WHERE r.tenant_id = i.tenant_id AND r.instance_id = i.id)";
constexpr const char* kEndOperations =
    "UPDATE scheduling.operations SET phase = 'deleted', done = true, done_time = now() "
    "WHERE tenant_id = $1 AND instance_id = $2 AND kind = 'delete' AND NOT done";

class Applier {
 public:
  Applier(TenantTx& tx, std::int64_t version) : tx_(tx), tenant_(tx.tenant().ToString()) { applied_.version = version; }

  void Create(const NewReplica& replica) {
    const auto& create = replica.create;
    const auto rows = tx_.Exec(kSelectInstance, tenant_, create.instance.ToString());
    const bool holds = !rows.empty() && rows[0]["version"].as<std::int64_t>() == create.instance_version &&
                       !rows[0]["deleting"].as<bool>() &&
                       rows[0]["template_generation"].as<std::int64_t>() == create.generation;
    if (!holds || !HasRoom(create)) {
      ++applied_.dropped;
      return;
    }
    const auto lease = tx_.Exec(kInsertLease, replica.id.ToString(), tenant_, create.node,
                                create.demand.own.memory_bytes, create.demand.own.cpu_millis, create.demand.shared_key,
                                create.demand.weights_bytes, create.demand.pool_bytes);
    tx_.Exec(kInsertReplica, tenant_, replica.id.ToString(), create.instance.ToString(), create.generation, create.node,
             lease[0][0].as<std::int64_t>());
    applied_.epochs[replica.id] = lease[0][0].as<std::int64_t>();
    ++applied_.created;
  }

  void Observe(const Observation& seen) {
    Count(tx_.Exec(kObserve, tenant_, seen.replica.ToString(), seen.epoch, seen.state, seen.target, seen.message,
                   seen.start_count));
  }
  void Stop(const scheduler::StopReplica& stop) {
    Count(tx_.Exec(kStop, tenant_, stop.replica.ToString(), stop.epoch, stop.reason));
  }
  void Remove(const scheduler::RemoveReplica& remove) {
    const auto removed = tx_.Exec(kRemove, tenant_, remove.replica.ToString(), remove.epoch);
    Count(removed);
    if (removed.affected_rows() > 0) tx_.Exec(kRemoveLease, remove.replica.ToString(), tenant_, remove.epoch);
  }
  void SetStatus(const StatusChange& change) {
    Count(tx_.Exec(kSetStatus, tenant_, change.instance.ToString(), change.version, change.status.state,
                   change.status.observed_generation, change.status.ready_replicas, change.status.message,
                   change.status.reason));
  }
  void SetOperation(const OperationChange& change) {
    const Error none{};
    const Error& error = change.error ? *change.error : none;
    Count(tx_.Exec(kSetOperation, tenant_, change.operation.ToString(), change.phase, change.done,
                   change.error ? static_cast<int>(error.code) : 0, error.reason, error.message));
  }
  void RemoveInstance(const Uuid& instance) {
    const auto removed = tx_.Exec(kRemoveInstance, tenant_, instance.ToString());
    Count(removed);
    if (removed.affected_rows() > 0) tx_.Exec(kEndOperations, tenant_, instance.ToString());
  }

  Applied applied() const { return applied_; }

 private:
  void Count(const pqxx::result& result) {
    if (result.affected_rows() == 0) ++applied_.dropped;
  }

  bool HasRoom(const scheduler::CreateReplica& create) {
    const auto node = tx_.Exec(kLockNode, create.node);
    if (node.empty()) return false;
    const scheduler::Demand& more = create.demand;
    const auto used = tx_.Exec(kSumLeases, create.node, more.own.memory_bytes, more.own.cpu_millis, more.shared_key,
                               more.weights_bytes, more.pool_bytes);
    return scheduler::Resources{node[0][0].as<std::int64_t>(), node[0][1].as<std::int64_t>()}.Fits(
        {used[0][0].as<std::int64_t>(), used[0][1].as<std::int64_t>()});
  }

  TenantTx& tx_;
  const std::string tenant_;
  Applied applied_;
};

}  // namespace

Result<Applied> PgStore::Apply(const TenantId& tenant, const Changes& changes) {
  // Nodes are locked in one order by everyone.
  std::vector<NewReplica> creates = changes.creates;
  std::ranges::stable_sort(creates, {}, [](const NewReplica& replica) { return replica.create.node; });
  return pool_.Run<Applied>(
      tenant,
      [&](TenantTx& tx) -> Result<Applied> {
        // What was only observed is seen again after a crash and written again by the next pass, so nobody waits for
        // the disk; what is decided (leases, epochs, what stops) must last before a node hears of it.
        const bool decides =
            !(changes.creates.empty() && changes.stops.empty() && changes.removes.empty() && changes.gone.empty());
        if (!decides) tx.Exec("SET LOCAL synchronous_commit = off");
        const bool ends = !changes.gone.empty() || std::ranges::any_of(changes.operations, &OperationChange::done);
        Applier applier(tx, CountChange(tx, ends));
        for (const auto& observation : changes.observations) applier.Observe(observation);
        for (const auto& stop : changes.stops) applier.Stop(stop);
        for (const auto& remove : changes.removes) applier.Remove(remove);
        for (const auto& create : creates) applier.Create(create);
        for (const auto& status : changes.statuses) applier.SetStatus(status);
        for (const auto& operation : changes.operations) applier.SetOperation(operation);
        for (const auto& instance : changes.gone) applier.RemoveInstance(instance);
        ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kPlanWritten));
        return applier.applied();
      },
      // The reconciler looks again anyway: whatever became of the transaction, the next round starts from the rows.
      [](TenantTx&) -> Result<Applied> { return Applied{.dropped = 1}; });
}

}  // namespace allod::scheduling
