#include "services/tenancy/pg_store_roles.h"

#include "services/tenancy/audit_acts.h"
#include "services/tenancy/pg_identity_rows.h"

namespace allod::tenancy {
namespace {

// Who is granted it, by full name.
std::vector<std::string> UsersOf(TenantTx& tx, const TenantRole& role) {
  return ReadAll(
      tx.Exec("SELECT $3 || '/members/' || id AS name FROM tenancy.members WHERE tenant_id = $1 AND "
              "($2 = ANY (tenant_custom_roles) OR EXISTS (SELECT 1 FROM unnest(grant_custom_roles) AS one "
              "WHERE $2 = ANY (string_to_array(one, ',')))) "
              "UNION ALL SELECT $3 || '/projects/' || project_id || '/workloadRules/' || id FROM "
              "tenancy.workload_rules WHERE tenant_id = $1 AND $2 = ANY (custom_roles) "
              "UNION ALL SELECT $3 || '/projects/' || project_id || '/apiKeys/' || kid FROM tenancy.api_keys "
              "WHERE tenant_id = $1 AND $2 = ANY (custom_roles) AND revoke_time IS NULL AND "
              "(expire_time IS NULL OR expire_time > now()) ORDER BY name",
              tx.tenant().ToString(), role.id, "tenants/" + role.tenant),
      [](RowReader& row) { return row.Next<std::string>(); });
}

}  // namespace

Result<TenantRole> PgRoleStore::CreateRole(const TenantRole& role, const RequestId& request) {
  return pool_.Run<TenantRole>(
      KeyOf(role.tenant),
      [&](TenantTx& tx) -> Result<TenantRole> {
        ALLOD_CHECK_OK(LockTenant(tx, role.tenant));
        return MadeOnce(
            tx, role, "", request, [&] { return ReadRole(tx, role.tenant, role.id); },
            [&]() -> Status {
              ALLOD_CHECK_OK(RoomForRole(
                  role, CountOf(tx, "SELECT count(*) FROM tenancy.roles WHERE tenant_id = $1 AND id <> $2", role.id)));
              ALLOD_TRY(const std::int64_t version, NextIdentityVersion(tx));
              tx.Exec(
                  "INSERT INTO tenancy.roles (tenant_id, id, uid, display_name, summary, permissions, create_time, "
                  "change_version) VALUES ($1, $2, $3, $4, $5, $6::text[], " ALLOD_FROM_MICROS("$7") ", $8)",
                  tx.tenant().ToString(), role.id, role.uid, role.display_name, role.summary, role.permissions,
                  role.create_time, version);
              ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + role.tenant, ActOn("create", role)));
              return {};
            });
      },
      RunAgain{});
}

Result<TenantRole> PgRoleStore::GetRole(const std::string& tenant, const std::string& id) {
  return pool_.Run<TenantRole>(KeyOf(tenant), [&](TenantTx& tx) { return ReadRole(tx, tenant, id); });
}

Result<Page<TenantRole>> PgRoleStore::ListRoles(const std::string& tenant, const PageRequest& page) {
  return pool_.Run<Page<TenantRole>>(KeyOf(tenant), [&](TenantTx& tx) -> Result<Page<TenantRole>> {
    ALLOD_CHECK_OK(RequireTenantRow(tx, tenant));
    return ReadRolePage(tx, tenant, page);
  });
}

Result<TenantRole> PgRoleStore::UpdateRole(const TenantRole& role, const std::string& etag, const Rights& held,
                                           const RequestId& request) {
  return pool_.Run<TenantRole>(
      KeyOf(role.tenant),
      [&](TenantTx& tx) -> Result<TenantRole> {
        ALLOD_CHECK_OK(LockTenant(tx, role.tenant));
        ALLOD_TRY(const auto earlier, ClaimRequest(tx, "", request, role.id));
        ALLOD_TRY(const TenantRole standing, ReadRole(tx, role.tenant, role.id));
        if (earlier) return standing;
        ALLOD_CHECK_OK(CheckEtag("role", role.name(), EtagOf(standing), etag));
        ALLOD_CHECK_OK(CheckHolds(standing, held));
        if (SameContent(standing, role)) return standing;
        ALLOD_TRY(const std::int64_t version, NextIdentityVersion(tx));
        tx.Exec(
            "UPDATE tenancy.roles SET display_name = $3, summary = $4, permissions = $5::text[], change_version = $6 "
            "WHERE tenant_id = $1 AND id = $2",
            tx.tenant().ToString(), role.id, role.display_name, role.summary, role.permissions, version);
        ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + role.tenant, ChangeOf(standing, role)));
        return ReadRole(tx, role.tenant, role.id);
      },
      [&](TenantTx& tx) { return IfDone(ReadRole(tx, role.tenant, role.id), role); });
}

Result<std::int64_t> PgRoleStore::DeleteRole(const std::string& tenant, const std::string& id, const Rights& held,
                                             const RequestId& request) {
  return pool_.Run<std::int64_t>(
      KeyOf(tenant),
      [&](TenantTx& tx) -> Result<std::int64_t> {
        ALLOD_CHECK_OK(LockTenant(tx, tenant));
        ALLOD_TRY(const auto earlier, ClaimRequest(tx, "", request, id));
        if (earlier) return StandingIdentityVersion(tx);
        ALLOD_TRY(const TenantRole standing, ReadRole(tx, tenant, id));
        ALLOD_CHECK_OK(CheckHolds(standing, held));
        ALLOD_CHECK_OK(CheckUnused(standing, UsersOf(tx, standing)));
        tx.Exec("DELETE FROM tenancy.roles WHERE tenant_id = $1 AND id = $2", tx.tenant().ToString(), id);
        ALLOD_TRY(const std::int64_t version, NextIdentityVersion(tx));
        ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + tenant, DeletionOf(standing)));
        return version;
      },
      [&](TenantTx& tx) -> Result<std::int64_t> {
        if (ReadRole(tx, tenant, id)) return NotFound("not done");
        return StandingIdentityVersion(tx);
      });
}

}  // namespace allod::tenancy
