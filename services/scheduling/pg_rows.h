// Rows of schema `scheduling` to domain values and back. Included by the files of PgStore only.
#pragma once

#include <string>
#include <vector>

#include "services/common/pg/pool.h"
#include "services/common/pg/row_reader.h"
#include "services/scheduling/domain.h"

namespace allod {

template <>
inline constexpr auto kRowWords<scheduler::ReplicaState> =
    std::to_array<RowWord<scheduler::ReplicaState>>({{scheduler::ReplicaState::kPending, "pending"},
                                                     {scheduler::ReplicaState::kStarting, "starting"},
                                                     {scheduler::ReplicaState::kReady, "ready"},
                                                     {scheduler::ReplicaState::kStopping, "stopping"},
                                                     {scheduler::ReplicaState::kFailed, "failed"},
                                                     {scheduler::ReplicaState::kStopped, "stopped"},
                                                     {scheduler::ReplicaState::kAsleep, "asleep"}});
template <>
inline constexpr auto kRowWords<scheduler::IsolationClass> =
    std::to_array<RowWord<scheduler::IsolationClass>>({{scheduler::IsolationClass::kIsolated, "isolated"},
                                                       {scheduler::IsolationClass::kPooled, "pooled"},
                                                       {scheduler::IsolationClass::kDedicated, "dedicated"}});
template <>
inline constexpr auto kRowWords<scheduling::InstanceState> =
    std::to_array<RowWord<scheduling::InstanceState>>({{scheduling::InstanceState::kProvisioning, "provisioning"},
                                                       {scheduling::InstanceState::kReady, "ready"},
                                                       {scheduling::InstanceState::kFailing, "failing"},
                                                       {scheduling::InstanceState::kDeleting, "deleting"},
                                                       {scheduling::InstanceState::kStopped, "stopped"}});
template <>
inline constexpr auto kRowWords<scheduling::OperationKind> =
    std::to_array<RowWord<scheduling::OperationKind>>({{scheduling::OperationKind::kCreate, "create"},
                                                       {scheduling::OperationKind::kUpdate, "update"},
                                                       {scheduling::OperationKind::kDelete, "delete"}});

}  // namespace allod

namespace allod::scheduling {

// Columns that ReadOperation and ReadInstance read, in their order.
inline constexpr const char* kOperationColumns =
    "id, kind, instance_id, instance_name, generation, phase, done, error_code, error_reason, "
    "error_message, " ALLOD_MICROS("create_time");
inline constexpr const char* kInstanceColumns =
    "id, name, generation, template_generation, version, deleting, state, observed_generation, ready_replicas, "
    "message, reason, stopped_for_credit, " ALLOD_MICROS("create_time");

Operation ReadOperation(const TenantId& tenant, RowReader& row);
Instance ReadInstance(const TenantId& tenant, RowReader& row);

// Fills in the revisions and replicas of `instances`. Read them in the snapshot or under the lock in which `instances`
// were read. One of which rows are missing is left as it is: CheckWhole() tells.
void AttachParts(TenantTx& tx, std::vector<Instance>& instances);

// Counts this transaction as a change of the tenant's rows, and holds the tenant's lock to its end: who changes them
// does this before. `ends_operations`: it may. Answers with the new version; 0 for a tenant that is not known.
std::int64_t CountChange(TenantTx& tx, bool ends_operations);

// INTERNAL / ROWS_BROKEN when one is not whole.
Status CheckAllWhole(const std::vector<Instance>& instances);

void InsertRevision(TenantTx& tx, const Uuid& instance, const Revision& revision);

}  // namespace allod::scheduling
