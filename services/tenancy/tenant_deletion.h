// How a tenant ends: deleted, with a grace in which it can be brought back, then purged. Pure: no I/O, no clock.
//
//   ACTIVE, SUSPENDED --delete--> DELETING --its purge time--> PURGING --nothing is left--> DELETED
//          ^                          |
//          +-------- undelete --------+
//
// From PURGING on nothing leads back, and nothing of the tenant is made or changed. The record of a tenant that is
// DELETED stays, so that its id is never another's.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "services/common/clock.h"
#include "services/common/result.h"
#include "services/tenancy/domain.h"

namespace allod::tenancy {

inline constexpr std::chrono::seconds kGraceDefault{std::chrono::hours(30 * 24)};
inline constexpr std::chrono::seconds kGraceMin{std::chrono::hours(24)};
inline constexpr std::chrono::seconds kGraceMax{std::chrono::hours(365 * 24)};

// How long a deleted tenant can be brought back; kGraceDefault if none is asked for. `min` is kGraceMin, but for
// tests. INVALID_ARGUMENT / INVALID_GRACE.
Result<std::chrono::seconds> GraceOf(const std::optional<std::chrono::seconds>& wanted, std::chrono::seconds min);

struct TenantDeletionRequest {
  std::string etag;
  std::string reason;  // as CheckSuspendReason() has it
  std::chrono::seconds grace;
  Time now;  // whole microseconds
  Setter by = Setter::kOperator;
};

// `standing` while its grace goes on. INVALID_ARGUMENT / ETAG_REQUIRED; ABORTED / ETAG_MISMATCH; FAILED_PRECONDITION /
// TENANT_DELETING, TENANT_DELETED; SUSPENDED_BY_OPERATOR for people from above, who would remove what he looks into.
Result<Tenant> Deleted(const Tenant& standing, const TenantDeletionRequest& request);
// `standing` as it was before it was deleted, or as it is if it was not. FAILED_PRECONDITION / TENANT_DELETED from its
// purge time on, whether the purger has come to it or not; DELETED_BY_OPERATOR for people from above who would undo
// what an operator did.
Result<Tenant> Undeleted(const Tenant& standing, Time now, Setter by = Setter::kOperator);

// Whether its grace is over: what it had is being removed, or is gone.
bool IsPurged(TenantState state);
// Whether something of the tenant may be made or changed: FAILED_PRECONDITION / TENANT_DELETED.
Status CheckNotPurged(const Tenant& tenant);
Error TenantDeleted(std::string_view tenant);
// Whether it may be suspended, or resumed: FAILED_PRECONDITION / TENANT_DELETING too.
Status CheckNotDeleted(const Tenant& tenant);

// ALREADY_EXISTS / TENANT_ID_USED.
Error TenantIdUsed(std::string_view tenant);

// What stays of a tenant of which all is gone.
Tenant TombstoneOf(const Tenant& tenant);

}  // namespace allod::tenancy
