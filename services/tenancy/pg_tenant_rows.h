// Rows of tenants, and how those above and below one are read and locked. Throw as PgTx::Exec does.
//
// Rows of several tenants are locked in the order of their ids, and before the clocks that triggers advance: a tenant's
// id begins with its parent's, so whoever goes down locks in this order too.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "services/common/pg/pool.h"
#include "services/common/pg/row_reader.h"
#include "services/common/pg/words.h"
#include "services/tenancy/pg_rows.h"
#include "services/tenancy/tenant_tree.h"

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

inline constexpr char kTenantColumns[] =
    "id, display_name, currency_code, residency, state, " ALLOD_MICROS("create_time") ", weight, suspend_reason, "
    "version, " ALLOD_QUOTA_COLUMNS ", quota_projects, " ALLOD_LIMIT_COLUMNS ", parent, ancestors, suspended_by, "
    ALLOD_BELOW_COLUMNS ", below_projects, " ALLOD_MICROS("delete_time") ", " ALLOD_MICROS("purge_time")
    ", delete_reason, state_before, residency_rules, suspended_from_above, "
    "deleted_from_above";

// A row of kTenantColumns.
Tenant ReadTenant(RowReader& row);
// NOT_FOUND.
Result<Tenant> ReadTenantRow(PgTx& tx, const std::string& tenant, RowLock lock = RowLock::kNone);
// Its state, and what is said of its deletion. Whoever calls holds the row's lock.
void WriteLife(TenantTx& tx, const Tenant& tenant);
// As the column has it.
std::optional<std::string> ParentColumn(const Tenant& tenant);

// Those whose parent it is, by id, but for what is gone (DELETED).
std::vector<Tenant> ReadChildren(PgTx& tx, const std::string& tenant);
// A tenant, until the commit, after the one at its top: what is below that can be counted, and who changes several rows
// of one tree waits for who makes one. NOT_FOUND.
Result<Tenant> LockFromTop(PgTx& tx, const std::string& tenant);
// That of `tenant`, until the commit; none if it is below none. NOT_FOUND for the tenant.
Result<std::optional<Tenant>> LockParentOf(PgTx& tx, const std::string& tenant);
// All below it, of all levels, until the commit.
void LockBelow(PgTx& tx, const std::string& tenant);
// How many are below each from the top to `parent`, but for what is gone. Nothing is added under the lock of the top.
std::vector<int> CountBelow(PgTx& tx, const Tenant& parent);
// What the transaction's tenant has itself. Under its row's lock nothing is added meanwhile.
OwnUse OwnUseOf(TenantTx& tx);
// What the parent of the transaction's tenant has itself. Under the parent's lock nothing is added meanwhile.
OwnUse UseOfParent(TenantTx& tx);

}  // namespace allod::tenancy
