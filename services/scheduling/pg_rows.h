// Rows of schema `scheduling` to domain values and back. Included by the files of PgStore only.
#pragma once

#include <string>
#include <vector>

#include "services/common/pg/pool.h"
#include "services/scheduling/domain.h"

namespace allod::scheduling {

// Columns that OperationOf and InstanceOf read, in their order.
inline constexpr const char* kOperationColumns =
    "id, kind, instance_id, instance_name, generation, phase, done, error_code, error_reason, error_message, "
    "(extract(epoch FROM create_time) * 1000000)::bigint AS create_us";
inline constexpr const char* kInstanceColumns =
    "id, name, generation, template_generation, version, deleting, state, observed_generation, ready_replicas, "
    "message, "
    "(extract(epoch FROM create_time) * 1000000)::bigint AS create_us";

Uuid UuidOf(const pqxx::field& field);
Time TimeOf(const pqxx::field& microseconds);

Operation OperationOf(const TenantId& tenant, const pqxx::row& row);
Instance InstanceOf(const TenantId& tenant, const pqxx::row& row);

// "{a,b}" for a uuid[] or text[] parameter; the elements need no quoting (ids, jurisdictions).
std::string ArrayOf(const std::vector<std::string>& elements);

const char* NameOf(scheduler::ReplicaState state);
const char* NameOf(InstanceState state);
const char* NameOf(OperationKind kind);

// Fills in the revisions and replicas of `instances`. INTERNAL / ROWS_BROKEN when one is not whole: read them in the
// snapshot or under the lock in which `instances` were read.
Status AttachParts(TenantTx& tx, std::vector<Instance>& instances);

// Counts this transaction as a change of the tenant's rows, and holds the tenant's lock to its end: who changes them
// does this first. `ends_operations`: it may. Answers with the new version; 0 for a tenant that is not known.
std::int64_t CountChange(TenantTx& tx, bool ends_operations);

void InsertRevision(TenantTx& tx, const Uuid& instance, const Revision& revision);

}  // namespace allod::scheduling
