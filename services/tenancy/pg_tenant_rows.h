// Rows of tenancy.tenants to domain values and back, for the stores that change tenants. Throw as PgTx::Exec does.
#pragma once

#include <string>

#include "services/tenancy/pg_rows.h"

namespace allod {

template <>
inline constexpr auto kRowWords<tenancy::TenantState> =
    std::to_array<RowWord<tenancy::TenantState>>({{tenancy::TenantState::kActive, "ACTIVE"},
                                                  {tenancy::TenantState::kSuspended, "SUSPENDED"},
                                                  {tenancy::TenantState::kDeleting, "DELETING"},
                                                  {tenancy::TenantState::kPurging, "PURGING"},
                                                  {tenancy::TenantState::kDeleted, "DELETED"}});

}  // namespace allod

namespace allod::tenancy {

// What ReadTenant() reads, in its order.
inline constexpr char kTenantColumns[] = "id, display_name, currency_code, residency, state, " ALLOD_MICROS(
    "create_time") ", weight, suspend_reason, version, " ALLOD_QUOTA_COLUMNS ", quota_projects, " ALLOD_LIMIT_COLUMNS
                   ", " ALLOD_MICROS("delete_time") ", " ALLOD_MICROS("purge_time") ", delete_reason, state_before";

Tenant ReadTenant(RowReader& row);
// NOT_FOUND.
Result<Tenant> ReadTenantRow(PgTx& tx, const std::string& tenant, RowLock lock = RowLock::kNone);
// Its state, and what is said of its deletion. Whoever calls holds the row's lock.
void WriteLife(TenantTx& tx, const Tenant& tenant);

}  // namespace allod::tenancy
