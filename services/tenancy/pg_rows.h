// What the stores of this service do alike: request ids, the rows that others hang on, and words in more than one
// table. Throw as PgTx::Exec does.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/common/ids.h"
#include "services/common/pg/pool.h"
#include "services/common/pg/row_reader.h"
#include "services/common/pg/words.h"
#include "services/common/request_id.h"
#include "services/common/result.h"
#include "services/tenancy/domain.h"

// Of tenants and of projects, in the order of Quota; a tenant has quota_projects too.
#define ALLOD_QUOTA_COLUMNS "quota_instances, quota_replicas, quota_context_tokens, quota_memory_bytes, quota_api_keys"

// Of tenants: what their children have of it; with below_projects too.
#define ALLOD_BELOW_COLUMNS "below_instances, below_replicas, below_context_tokens, below_memory_bytes, below_api_keys"

// Of tenants, projects and keys, in the order of Limits.
#define ALLOD_LIMIT_COLUMNS "limit_requests, limit_tokens, limit_concurrency, limit_shadow"

// As the index api_keys_valid has it: the keys that hold at a time.
#define ALLOD_HOLDS_AT(parameter) \
  "revoke_time IS NULL AND COALESCE(expire_time, 'infinity'::timestamptz) > " ALLOD_FROM_MICROS(parameter)

namespace allod {

template <>
inline constexpr auto kRowWords<tenancy::Scope> = std::to_array<RowWord<tenancy::Scope>>(
    {{tenancy::Scope::kInference, "INFERENCE"}, {tenancy::Scope::kPortal, "PORTAL"}});

}  // namespace allod

namespace allod::tenancy {

inline TenantId KeyOf(const std::string& tenant) { return {Uuid::FromName("tenants/" + tenant)}; }

// Takes the request id for `resource` in `project`, or for the tenant as a whole if it is empty; a concurrent twin
// waits here for the first to commit. Gives the resource of the earlier request with the same id and payload, if there
// was one.
Result<std::optional<std::string>> ClaimRequest(TenantTx& tx, const std::string& project, const RequestId& request,
                                                const std::string& resource);
// The same for a mutation of operators, whose subject is the tenant itself; the resource is its id.
Result<std::optional<std::string>> ClaimRequest(PgTx& tx, const RequestId& request, const std::string& resource);

// As columns hold them.
std::vector<std::string> WordsOf(const std::set<Scope>& scopes);
std::vector<std::string> WordsOf(Roles roles);
// A role that is no more permits nothing.
Roles RolesFrom(const std::vector<std::string>& words);

enum class RowLock { kNone, kUntilCommit };
// The columns of ALLOD_LIMIT_COLUMNS.
void ReadLimits(RowReader& row, Limits& out);
// The columns of ALLOD_QUOTA_COLUMNS or ALLOD_BELOW_COLUMNS.
void ReadQuota(RowReader& row, Quota& out);

// Of the transaction's tenant: how many keys hold at `now`, beside the quotas; without the number of projects. Under
// the lock of the tenant's row nothing is added meanwhile.
Result<QuotaState> ReadKeyQuotas(TenantTx& tx, const std::string& project, Time now);

// NOT_FOUND. Locked, it puts the counts that limits are checked against in order, and FAILED_PRECONDITION /
// TENANT_DELETED refuses changes of a tenant whose grace is over.
Status RequireTenantRow(PgTx& tx, const std::string& tenant, RowLock lock = RowLock::kNone);
// NOT_FOUND.
Status RequireProjectRow(TenantTx& tx, const std::string& tenant, const std::string& project);

}  // namespace allod::tenancy
