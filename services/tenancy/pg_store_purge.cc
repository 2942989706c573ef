#include "services/tenancy/pg_store_purge.h"

#include "services/tenancy/audit_acts.h"
#include "services/tenancy/pg_tenant_rows.h"

namespace allod::tenancy {
namespace {

// Of a tenant that is gone nothing is left that somebody typed about it.
void WriteTombstone(TenantTx& tx, const Tenant& tombstone) {
  WriteLife(tx, tombstone);
  tx.Exec("UPDATE tenancy.tenants SET display_name = $2, suspend_reason = $3 WHERE tenant_id = $1", tombstone.uid(),
          tombstone.display_name, tombstone.suspend_reason);
}

}  // namespace

Result<std::vector<std::string>> PgPurgeStore::DueForPurge(Time now, const std::string& after, int limit) {
  return pool_.Run<std::vector<std::string>>([&](GlobalTx& tx) -> Result<std::vector<std::string>> {
    return ReadAll(tx.Exec("SELECT id FROM tenancy.tenants WHERE state IN ('DELETING', 'PURGING') AND "
                           "purge_time <= " ALLOD_FROM_MICROS("$1") " AND id > $2 ORDER BY id LIMIT $3",
                           now, after, limit),
                   [](RowReader& row) { return row.Next<std::string>(); });
  });
}

Result<PurgeStep> PgPurgeStore::Purge(const std::string& tenant, Time now, int batch) {
  return pool_.Run<PurgeStep>(
      KeyOf(tenant),
      [&](TenantTx& tx) -> Result<PurgeStep> {
        // What is gone gives its part of the parent's quota back, by a trigger: the parent is locked first, as
        // everywhere.
        ALLOD_CHECK_OK(LockParentOf(tx, tenant));
        ALLOD_TRY(Tenant standing, ReadTenantRow(tx, tenant, RowLock::kUntilCommit));
        PurgeStep out{standing.state};
        if (standing.state == TenantState::kDeleting && standing.deletion->purge_time <= now) {
          standing.state = out.state = TenantState::kPurging;
          out.changed = true;
          WriteLife(tx, standing);
          ALLOD_CHECK_OK(audit_.Append(tx, standing.name(), PurgeOf(standing)));
        } else if (standing.state == TenantState::kPurging) {
          out.removed = tx.Exec("SELECT tenancy.purge_tenant($1)", batch)[0][0].as<std::int64_t>();
          if (out.removed > 0) return out;
          const Tenant tombstone = TombstoneOf(standing);
          out.state = tombstone.state;
          out.changed = true;
          WriteTombstone(tx, tombstone);
          ALLOD_CHECK_OK(audit_.Append(tx, tombstone.name(), PurgeOf(tombstone)));
        }
        return out;
      },
      RunAgain{});
}

}  // namespace allod::tenancy
