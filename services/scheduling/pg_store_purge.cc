// PgStore::PurgeTenant.

#include "services/scheduling/audit_acts.h"
#include "services/scheduling/pg_rows.h"
#include "services/scheduling/pg_store.h"

namespace allod::scheduling {
namespace {

constexpr const char* kLockPurged = "SELECT name FROM scheduling.tenants WHERE id = $1 FOR NO KEY UPDATE";
constexpr const char* kMarkAll =
    "UPDATE scheduling.instances SET deleting = true, version = version + 1, state = 'deleting', message = '', "
    "reason = '' WHERE tenant_id = $1 AND id IN (SELECT id FROM scheduling.instances WHERE tenant_id = $1 AND NOT "
    "deleting ORDER BY id LIMIT $2) RETURNING id, name";
// What was under way ends as for an instance that somebody deletes.
constexpr const char* kEndOpen =
    "UPDATE scheduling.operations SET done = true, done_time = now(), phase = 'deleted', error_code = $3, "
    "error_reason = $4, error_message = $5 WHERE tenant_id = $1 AND instance_id = $2 AND NOT done";
constexpr const char* kAnyInstance = "SELECT 1 FROM scheduling.instances WHERE tenant_id = $1 LIMIT 1";
constexpr const char* kForgetAnyRequests =
    "DELETE FROM scheduling.request_ids WHERE tenant_id = $1 AND (project, id) IN (SELECT project, id "
    "FROM scheduling.request_ids WHERE tenant_id = $1 LIMIT $2)";
constexpr const char* kForgetAnyOperations =
    "DELETE FROM scheduling.operations WHERE tenant_id = $1 AND id IN (SELECT id FROM scheduling.operations "
    "WHERE tenant_id = $1 LIMIT $2)";
constexpr const char* kForgetAnyQuotes =
    "DELETE FROM scheduling.quotes WHERE tenant_id = $1 AND id IN (SELECT id FROM scheduling.quotes "
    "WHERE tenant_id = $1 LIMIT $2)";

}  // namespace

Result<PurgeStep> PgStore::PurgeTenant(const TenantId& tenant, int count) {
  return pool_.Run<PurgeStep>(
      tenant,
      [&](TenantTx& tx) -> Result<PurgeStep> {
        const auto locked = tx.Exec(kLockPurged, tenant);
        if (locked.empty()) return PurgeStep{.gone = true};
        const auto name_of_tenant = locked[0][0].as<std::string>();
        const auto marked = tx.Exec(kMarkAll, tenant, count);
        if (!marked.empty()) {
          CountChange(tx, true);
          for (const pqxx::row& row : marked) {
            const auto name = row[1].as<std::string>();
            const Error ended = InstanceDeleted(name);
            tx.Exec(kEndOpen, tenant, row[0].as<std::string>(), static_cast<int>(ended.code), ended.reason,
                    ended.message);
            ALLOD_CHECK_OK(audit_.Append(tx, name_of_tenant, DeletionOf(name)));
          }
          return PurgeStep{.marked = true};
        }
        if (!tx.Exec(kAnyInstance, tenant).empty()) return PurgeStep{.waits = true};
        if (tx.Exec(kForgetAnyRequests, tenant, count).affected_rows() > 0) return PurgeStep{};
        if (tx.Exec(kForgetAnyOperations, tenant, count).affected_rows() > 0) return PurgeStep{};
        if (tx.Exec(kForgetAnyQuotes, tenant, count).affected_rows() > 0) return PurgeStep{};
        tx.Exec("DELETE FROM scheduling.leases WHERE tenant_id = $1", tenant);
        tx.Exec("DELETE FROM scheduling.tenants WHERE id = $1", tenant);
        return PurgeStep{.gone = true};
      },
      RunAgain{});
}

}  // namespace allod::scheduling
