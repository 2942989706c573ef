// Proto <-> domain for the API of scheduling; the only place where the two meet.
#pragma once

#include <string>

#include "allod/scheduling/v1/instance.pb.h"
#include "allod/scheduling/v1/node.pb.h"
#include "allod/tenancy/v1/tenant.pb.h"
#include "services/scheduling/observe.h"
#include "services/scheduling/quota.h"

namespace allod::scheduling {

// INVALID_ARGUMENT / INVALID_SPEC, INVALID_NAME. Limits are checked by CheckSpec.
Result<InstanceSpec> SpecFrom(const v1::InstanceSpec& spec);
v1::InstanceSpec ToProto(const InstanceSpec& spec);
v1::Instance ToProto(const Instance& instance);

// Name and uid of an instance that does not exist any more, for the response of an operation that ended before.
v1::Instance Remains(const Operation& operation);
v1::InstanceOperationMetadata MetadataOf(const Operation& operation);
std::string OperationName(const Operation& operation);

v1::Node ToProto(const Node& node);
// INVALID_ARGUMENT / INVALID_NAME, INVALID_CAPACITY, UNKNOWN_COUNTRY.
Result<scheduler::Node> NodeFrom(const v1::WatchAssignmentsRequest& request);

// What is wanted of it and what its node says; without figures.
v1::Worker ToProto(const drivers::WorkerView& worker);

v1::Assignment ToProto(const drivers::DesiredWorker& worker);
// Whether what a worker says of its sandbox is of a size to be passed on.
bool LayersFit(const v1::WorkerReport& report);
// INVALID_ARGUMENT / INVALID_UUID. Whatever else makes no sense makes it a failed worker, whose message says what.
Result<drivers::ObservedWorker> WorkerFrom(const v1::WorkerReport& report);

v1::Route ToProto(const Route& route);

// Of a quota what instances count against.
InstanceTotals LimitsFrom(const tenancy::v1::Quota& quota);
// Of a tenant's own: without what tenants below it have.
InstanceTotals LimitsFrom(const tenancy::v1::Tenant& tenant);
// Whether it and all above it are active. A state of the future is none in which something runs.
bool IsActive(const tenancy::v1::Tenant& tenant);
// Of a project if `project` is set, else of the tenant.
v1::GetInstanceQuotaUseResponse UseToProto(const QuotaScopes& limits, const QuotaScopes& used, bool project);

// Of a tenant of which what is said cannot be understood: nothing of it runs anywhere. INVALID_ARGUMENT / INVALID_NAME.
Result<TenantTerms> ClosedTerms(const tenancy::v1::Tenant& tenant);
// What tenancy says of a tenant. INVALID_ARGUMENT / INVALID_NAME, INVALID_WEIGHT, INVALID_RESIDENCY_RULE.
Result<TenantTerms> TermsFrom(const tenancy::v1::Tenant& tenant);

}  // namespace allod::scheduling
