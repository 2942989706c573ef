#include "services/tenancy/pg_tenant_rows.h"

#include <fmt/format.h>

#include <optional>

namespace allod::tenancy {

Tenant ReadTenant(RowReader& row) {
  Tenant out;
  row.Into(out.id, out.display_name, out.currency_code, out.residency, out.state, out.create_time, out.weight,
           out.suspend_reason, out.version);
  ReadQuota(row, out.quota);
  row.Into(out.quota.projects);
  ReadLimits(row, out.limits);
  std::optional<Time> delete_time, purge_time;
  std::optional<TenantState> state_before;
  std::string reason;
  row.Into(delete_time, purge_time, reason, state_before);
  if (delete_time && purge_time && state_before) out.deletion = {*delete_time, *purge_time, reason, *state_before};
  return out;
}

Result<Tenant> ReadTenantRow(PgTx& tx, const std::string& tenant, RowLock lock) {
  const auto rows = tx.Exec(fmt::format("SELECT {} FROM tenancy.tenants WHERE id = $1{}", kTenantColumns,
                                        lock == RowLock::kUntilCommit ? " FOR NO KEY UPDATE" : ""),
                            tenant);
  if (rows.empty()) return NotFound(fmt::format("tenants/{} does not exist", tenant));
  return ReadFirst(rows, ReadTenant);
}

void WriteLife(TenantTx& tx, const Tenant& tenant) {
  const auto& deletion = tenant.deletion;
  const auto or_null = [&](auto member) { return deletion ? std::optional((*deletion).*member) : std::nullopt; };
  tx.Exec("UPDATE tenancy.tenants SET state = $2, delete_time = " ALLOD_FROM_MICROS(
              "$3") ", purge_time = " ALLOD_FROM_MICROS("$4") ", delete_reason = $5, state_before = $6 "
                                                              "WHERE tenant_id = $1",
          tenant.uid(), tenant.state, or_null(&TenantDeletion::delete_time), or_null(&TenantDeletion::purge_time),
          deletion ? deletion->reason : "", or_null(&TenantDeletion::state_before));
}

}  // namespace allod::tenancy
