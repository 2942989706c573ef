#include "services/tenancy/pg_tenant_rows.h"

#include <fmt/format.h>

#include <stdexcept>

namespace allod::tenancy {
namespace {

OwnUse ReadUse(RowReader& row) {
  OwnUse out;
  row.Into(out.projects, out.api_keys);
  return out;
}

}  // namespace

Tenant ReadTenant(RowReader& row) {
  Tenant out;
  row.Into(out.id, out.display_name, out.currency_code, out.residency, out.state, out.create_time, out.weight,
           out.suspend_reason, out.version);
  ReadQuota(row, out.quota);
  row.Into(out.quota.projects);
  ReadLimits(row, out.limits);
  std::optional<std::string> parent;
  row.Into(parent, out.ancestors, out.suspended_by);
  out.parent = parent.value_or("");
  ReadQuota(row, out.quota_below);
  row.Into(out.quota_below.projects);
  std::optional<Time> delete_time, purge_time;
  std::optional<TenantState> state_before;
  std::string reason;
  row.Into(delete_time, purge_time, reason, state_before);
  if (delete_time && purge_time && state_before)
    out.deletion = {*delete_time, *purge_time, reason, *state_before, false};
  auto rules = RulesFromWords(row.Next<std::vector<std::string>>());
  if (!rules) throw std::runtime_error("residency_rules that are none");
  out.residency_rules = *std::move(rules);
  row.Into(out.suspended_from_above);
  const auto deleted_from_above = row.Next<bool>();
  if (out.deletion) out.deletion->from_above = deleted_from_above;
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
              "$3") ", purge_time = " ALLOD_FROM_MICROS("$4") ", delete_reason = $5, state_before = $6, "
                                                              "deleted_from_above = $7 WHERE tenant_id = $1",
          tenant.uid(), tenant.state, or_null(&TenantDeletion::delete_time), or_null(&TenantDeletion::purge_time),
          deletion ? deletion->reason : "", or_null(&TenantDeletion::state_before),
          deletion && deletion->from_above);
}

std::optional<std::string> ParentColumn(const Tenant& tenant) {
  if (tenant.parent.empty()) return std::nullopt;
  return tenant.parent;
}

std::vector<Tenant> ReadChildren(PgTx& tx, const std::string& tenant) {
  return ReadAll(
      tx.Exec(fmt::format("SELECT {} FROM tenancy.tenants WHERE parent = $1 AND state <> 'DELETED' ORDER BY id",
                          kTenantColumns),
              tenant),
      ReadTenant);
}

Result<Tenant> LockFromTop(PgTx& tx, const std::string& tenant) {
  ALLOD_TRY(const Tenant seen, ReadTenantRow(tx, tenant));
  if (!seen.ancestors.empty()) ALLOD_CHECK_OK(ReadTenantRow(tx, seen.ancestors.front(), RowLock::kUntilCommit));
  return ReadTenantRow(tx, tenant, RowLock::kUntilCommit);
}

Result<std::optional<Tenant>> LockParentOf(PgTx& tx, const std::string& tenant) {
  ALLOD_TRY(const Tenant seen, ReadTenantRow(tx, tenant));
  if (seen.parent.empty()) return std::nullopt;
  ALLOD_TRY(Tenant parent, ReadTenantRow(tx, seen.parent, RowLock::kUntilCommit));
  return std::optional(std::move(parent));
}

void LockBelow(PgTx& tx, const std::string& tenant) {
  tx.Exec("SELECT 1 FROM tenancy.tenants WHERE ancestors @> ARRAY[$1] ORDER BY id FOR NO KEY UPDATE", tenant);
}

std::vector<int> CountBelow(PgTx& tx, const Tenant& parent) {
  std::vector<std::string> path = parent.ancestors;
  path.push_back(parent.id);
  const auto rows = tx.Exec(
      "SELECT (SELECT count(*) FROM tenancy.tenants t WHERE t.ancestors @> ARRAY[p.id COLLATE \"C\"] AND t.state <> "
      "'DELETED') FROM unnest($1::text[]) WITH ORDINALITY AS p (id, level) ORDER BY p.level",
      path);
  std::vector<int> out;
  for (const auto& row : rows) out.push_back(row[0].as<int>());
  return out;
}

OwnUse OwnUseOf(TenantTx& tx) {
  return ReadFirst(tx.Exec("SELECT (SELECT count(*) FROM tenancy.projects WHERE tenant_id = $1), (SELECT count(*) FROM "
                           "tenancy.api_keys WHERE tenant_id = $1 AND revoke_time IS NULL AND "
                           "COALESCE(expire_time, 'infinity'::timestamptz) > now())",
                           tx.tenant().ToString()),
                   ReadUse);
}

OwnUse UseOfParent(TenantTx& tx) {
  return ReadFirst(tx.Exec("SELECT projects, api_keys FROM tenancy.use_of_parent()"), ReadUse);
}

}  // namespace allod::tenancy
