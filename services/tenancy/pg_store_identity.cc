#include "services/tenancy/pg_store_identity.h"

#include <fmt/format.h>

#include "services/common/pg/row_reader.h"
#include "services/tenancy/audit_acts.h"
#include "services/tenancy/pg_identity_rows.h"

namespace allod::tenancy {
namespace {

constexpr char kRuleColumns[] =
    "project_id, id, uid, display_name, provider_id, claims, claim_values, claim_matches, scopes, roles, "
    "token_minutes, "
    "disabled, " ALLOD_MICROS("create_time") ", change_version, custom_roles";

std::string NameOfRule(const std::string& tenant, const std::string& project, const std::string& id) {
  return fmt::format("tenants/{}/projects/{}/workloadRules/{}", tenant, project, id);
}

auto ReadRuleOf(const std::string& tenant) {
  return [tenant](RowReader& row) {
    WorkloadRule out{.tenant = tenant};
    row.Into(out.project, out.id, out.uid, out.display_name, out.provider);
    out.claims = ReadClaims(row);
    std::vector<std::string> scopes, roles;
    row.Into(scopes, roles, out.token_minutes, out.disabled, out.create_time, out.version, out.custom_roles);
    for (const std::string& word : scopes) out.scopes.insert(FromRowWord<Scope>(word));
    out.roles = RolesFrom(roles);
    return out;
  };
}

std::optional<std::string> ClientIdOf(const IdentityProvider& provider) {
  if (!provider.sign_in) return std::nullopt;
  return provider.sign_in->client_id;
}

constexpr char kMembersOfProvider[] = "SELECT count(*) FROM tenancy.members WHERE tenant_id = $1 AND provider_id = $2";

Result<WorkloadRule> ReadRule(TenantTx& tx, const std::string& tenant, const std::string& project,
                              const std::string& id) {
  const auto rows =
      tx.Exec(fmt::format("SELECT {} FROM tenancy.workload_rules WHERE tenant_id = $1 AND project_id = $2 AND id = $3",
                          kRuleColumns),
              tx.tenant().ToString(), project, id);
  if (rows.empty()) return NotFound(fmt::format("{} does not exist", NameOfRule(tenant, project, id)));
  return ReadFirst(rows, ReadRuleOf(tenant));
}

Status CheckIssuerIsFree(TenantTx& tx, const IdentityProvider& provider) {
  const auto rows =
      tx.Exec("SELECT 1 FROM tenancy.identity_providers WHERE tenant_id = $1 AND issuer = $2 AND id <> $3",
              tx.tenant().ToString(), provider.issuer, provider.id);
  if (rows.empty()) return {};
  return std::unexpected(IssuerTaken(provider));
}

// That its custom roles are there, as it was checked by them.
Status CheckRolesStand(TenantTx& tx, const WorkloadRule& rule) {
  if (rule.custom_roles.empty()) return {};
  return StandingRoles(ReadRoles(tx, rule.tenant)).CheckUnchanged(rule.custom_roles, rule.roles_seen);
}

}  // namespace

Result<IdentityProvider> PgIdentityStore::CreateProvider(const IdentityProvider& provider, const RequestId& request) {
  return pool_.Run<IdentityProvider>(
      KeyOf(provider.tenant),
      [&](TenantTx& tx) -> Result<IdentityProvider> {
        ALLOD_CHECK_OK(LockTenant(tx, provider.tenant));
        return MadeOnce(
            tx, provider, "", request, [&] { return ReadProvider(tx, provider.tenant, provider.id); },
            [&]() -> Status {
              ALLOD_CHECK_OK(CheckIssuerIsFree(tx, provider));
              ALLOD_CHECK_OK(RoomForProvider(
                  provider,
                  CountOf(tx, "SELECT count(*) FROM tenancy.identity_providers WHERE tenant_id = $1 AND id <> $2",
                          provider.id)));
              ALLOD_TRY(const std::int64_t version, NextIdentityVersion(tx));
              tx.Exec(
                  "INSERT INTO tenancy.identity_providers (tenant_id, id, display_name, issuer, audiences, disabled, "
                  "create_time, change_version, client_id, sign_in_scopes, sealed_client_secret) VALUES "
                  "($1, $2, $3, $4, $5::text[], $6, " ALLOD_FROM_MICROS("$7") ", $8, $9, $10::text[], $11)",
                  tx.tenant().ToString(), provider.id, provider.display_name, provider.issuer, provider.audiences,
                  provider.disabled, provider.create_time, version, ClientIdOf(provider),
                  provider.sign_in.value_or(SignIn()).scopes, provider.sign_in.value_or(SignIn()).sealed_secret);
              ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + provider.tenant, CreationOf(provider)));
              return {};
            });
      },
      RunAgain{});
}

Result<IdentityProvider> PgIdentityStore::GetProvider(const std::string& tenant, const std::string& id) {
  return pool_.Run<IdentityProvider>(KeyOf(tenant), [&](TenantTx& tx) { return ReadProvider(tx, tenant, id); });
}

Result<Page<IdentityProvider>> PgIdentityStore::ListProviders(const std::string& tenant, const PageRequest& page) {
  return pool_.Run<Page<IdentityProvider>>(KeyOf(tenant), [&](TenantTx& tx) -> Result<Page<IdentityProvider>> {
    const auto rows = tx.Exec(fmt::format("SELECT {} FROM tenancy.identity_providers WHERE tenant_id = $1 AND id > $2 "
                                          "ORDER BY id LIMIT $3",
                                          kProviderColumns),
                              tx.tenant().ToString(), page.after, page.size + 1);
    return MakePage(page, ReadAll(rows, ReadProviderOf(tenant)), [](const IdentityProvider& p) { return p.id; });
  });
}

Result<IdentityProvider> PgIdentityStore::UpdateProvider(const IdentityProvider& provider, const std::string& etag,
                                                         const Rights& held, const RequestId& request) {
  return pool_.Run<IdentityProvider>(
      KeyOf(provider.tenant),
      [&](TenantTx& tx) -> Result<IdentityProvider> {
        ALLOD_CHECK_OK(LockTenant(tx, provider.tenant));
        ALLOD_TRY(const auto earlier, ClaimRequest(tx, "", request, provider.id));
        ALLOD_TRY(const IdentityProvider standing, ReadProvider(tx, provider.tenant, provider.id));
        if (earlier) return standing;
        ALLOD_CHECK_OK(CheckEtag("identity_provider", provider.name(), EtagOf(standing), etag));
        ALLOD_TRY(const IdentityProvider changed, Changed(standing, provider));
        if (SameContent(standing, changed)) return standing;
        ALLOD_CHECK_OK(CheckSignInUnused(standing, changed, CountOf(tx, kMembersOfProvider, provider.id)));
        const People before = ReadPeople(tx, provider.tenant);
        ALLOD_CHECK_OK(CheckHolds(standing, changed, before, held));
        ALLOD_CHECK_OK(CheckOwnerRemains(before, With(before, changed)));
        ALLOD_TRY(const std::int64_t version, NextIdentityVersion(tx));
        tx.Exec(
            "UPDATE tenancy.identity_providers SET display_name = $3, audiences = $4::text[], disabled = $5, "
            "change_version = $6, client_id = $7, sign_in_scopes = $8::text[], sealed_client_secret = $9 "
            "WHERE tenant_id = $1 AND id = $2",
            tx.tenant().ToString(), changed.id, changed.display_name, changed.audiences, changed.disabled, version,
            ClientIdOf(changed), changed.sign_in.value_or(SignIn()).scopes,
            changed.sign_in.value_or(SignIn()).sealed_secret);
        ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + provider.tenant, ChangeOf(standing, changed)));
        return ReadProvider(tx, provider.tenant, provider.id);
      },
      [&](TenantTx& tx) -> Result<IdentityProvider> {
        ALLOD_TRY(const IdentityProvider stored, ReadProvider(tx, provider.tenant, provider.id));
        ALLOD_TRY(const IdentityProvider as_wanted, Changed(stored, provider));
        return IfDone<IdentityProvider>(stored, as_wanted);
      });
}

Result<std::int64_t> PgIdentityStore::DeleteProvider(const std::string& tenant, const std::string& id,
                                                     const RequestId& request) {
  return pool_.Run<std::int64_t>(
      KeyOf(tenant),
      [&](TenantTx& tx) -> Result<std::int64_t> {
        ALLOD_CHECK_OK(LockTenant(tx, tenant));
        ALLOD_TRY(const auto earlier, ClaimRequest(tx, "", request, id));
        if (earlier) return StandingIdentityVersion(tx);
        ALLOD_TRY(const IdentityProvider standing, ReadProvider(tx, tenant, id));
        const std::int64_t rules =
            CountOf(tx, "SELECT count(*) FROM tenancy.workload_rules WHERE tenant_id = $1 AND provider_id = $2", id);
        ALLOD_CHECK_OK(CheckUnused(standing, rules, CountOf(tx, kMembersOfProvider, id)));
        tx.Exec("DELETE FROM tenancy.identity_providers WHERE tenant_id = $1 AND id = $2", tx.tenant().ToString(), id);
        ALLOD_TRY(const std::int64_t version, NextIdentityVersion(tx));
        ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + tenant, DeletionOf(standing)));
        return version;
      },
      [&](TenantTx& tx) -> Result<std::int64_t> {
        if (ReadProvider(tx, tenant, id)) return NotFound("not done");
        return StandingIdentityVersion(tx);
      });
}

Result<WorkloadRule> PgIdentityStore::CreateRule(const WorkloadRule& rule, const RequestId& request) {
  return pool_.Run<WorkloadRule>(
      KeyOf(rule.tenant),
      [&](TenantTx& tx) -> Result<WorkloadRule> {
        ALLOD_CHECK_OK(LockTenant(tx, rule.tenant));
        ALLOD_CHECK_OK(RequireProjectRow(tx, rule.tenant, rule.project));
        return MadeOnce(
            tx, rule, rule.project, request, [&] { return ReadRule(tx, rule.tenant, rule.project, rule.id); },
            [&]() -> Status {
              ALLOD_CHECK_OK(ReadProvider(tx, rule.tenant, rule.provider));
              ALLOD_CHECK_OK(CheckRolesStand(tx, rule));
              ALLOD_CHECK_OK(RoomForRule(
                  rule,
                  CountOf(tx, "SELECT count(*) FROM tenancy.workload_rules WHERE tenant_id = $1 AND project_id = $2",
                          rule.project),
                  CountOf(tx, "SELECT count(*) FROM tenancy.workload_rules WHERE tenant_id = $1 AND $2 <> ''",
                          rule.id)));
              ALLOD_TRY(const std::int64_t version, NextIdentityVersion(tx));
              const ClaimColumns claims(rule.claims);
              tx.Exec(
                  "INSERT INTO tenancy.workload_rules (tenant_id, project_id, id, uid, display_name, provider_id, "
                  "claims, "
                  "claim_values, claim_matches, scopes, roles, token_minutes, disabled, create_time, change_version, "
                  "custom_roles) VALUES "
                  "($1, $2, $3, $4, $5, $6, $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12, "
                  "$13, " ALLOD_FROM_MICROS("$14") ", $15, $16::text[])",
                  tx.tenant().ToString(), rule.project, rule.id, rule.uid, rule.display_name, rule.provider,
                  claims.claims, claims.values, claims.matches, WordsOf(rule.scopes), WordsOf(rule.roles),
                  rule.token_minutes, rule.disabled, rule.create_time, version, rule.custom_roles);
              ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + rule.tenant, ActOn("create", rule)));
              return {};
            });
      },
      RunAgain{});
}

Result<WorkloadRule> PgIdentityStore::GetRule(const std::string& tenant, const std::string& project,
                                              const std::string& id) {
  return pool_.Run<WorkloadRule>(KeyOf(tenant), [&](TenantTx& tx) { return ReadRule(tx, tenant, project, id); });
}

Result<Page<WorkloadRule>> PgIdentityStore::ListRules(const std::string& tenant, const std::string& project,
                                                      const PageRequest& page) {
  return pool_.Run<Page<WorkloadRule>>(KeyOf(tenant), [&](TenantTx& tx) -> Result<Page<WorkloadRule>> {
    ALLOD_CHECK_OK(RequireProjectRow(tx, tenant, project));
    const auto rows =
        tx.Exec(fmt::format("SELECT {} FROM tenancy.workload_rules WHERE tenant_id = $1 AND project_id = $2 "
                            "AND id > $3 ORDER BY id LIMIT $4",
                            kRuleColumns),
                tx.tenant().ToString(), project, page.after, page.size + 1);
    return MakePage(page, ReadAll(rows, ReadRuleOf(tenant)), [](const WorkloadRule& r) { return r.id; });
  });
}

Result<WorkloadRule> PgIdentityStore::UpdateRule(const WorkloadRule& rule, const std::string& etag,
                                                 const RequestId& request) {
  return pool_.Run<WorkloadRule>(
      KeyOf(rule.tenant),
      [&](TenantTx& tx) -> Result<WorkloadRule> {
        ALLOD_CHECK_OK(LockTenant(tx, rule.tenant));
        ALLOD_TRY(const auto earlier, ClaimRequest(tx, rule.project, request, rule.id));
        ALLOD_TRY(const WorkloadRule standing, ReadRule(tx, rule.tenant, rule.project, rule.id));
        if (earlier) return standing;
        ALLOD_CHECK_OK(CheckEtag("workload_rule", rule.name(), EtagOf(standing), etag));
        if (SameContent(standing, rule)) return standing;
        ALLOD_CHECK_OK(ReadProvider(tx, rule.tenant, rule.provider));
        ALLOD_CHECK_OK(CheckRolesStand(tx, rule));
        ALLOD_TRY(const std::int64_t version, NextIdentityVersion(tx));
        const ClaimColumns claims(rule.claims);
        tx.Exec(
            "UPDATE tenancy.workload_rules SET display_name = $4, provider_id = $5, claims = $6::text[], claim_values "
            "= "
            "$7::text[], claim_matches = $8::text[], scopes = $9::text[], roles = $10::text[], token_minutes = $11, "
            "disabled = $12, change_version = $13, custom_roles = $14::text[] WHERE tenant_id = $1 AND project_id = $2 "
            "AND id = $3",
            tx.tenant().ToString(), rule.project, rule.id, rule.display_name, rule.provider, claims.claims,
            claims.values, claims.matches, WordsOf(rule.scopes), WordsOf(rule.roles), rule.token_minutes, rule.disabled,
            version, rule.custom_roles);
        ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + rule.tenant, ActOn("update", rule)));
        return ReadRule(tx, rule.tenant, rule.project, rule.id);
      },
      [&](TenantTx& tx) { return IfDone(ReadRule(tx, rule.tenant, rule.project, rule.id), rule); });
}

Result<std::int64_t> PgIdentityStore::DeleteRule(const std::string& tenant, const std::string& project,
                                                 const std::string& id, const RequestId& request) {
  return pool_.Run<std::int64_t>(
      KeyOf(tenant),
      [&](TenantTx& tx) -> Result<std::int64_t> {
        ALLOD_CHECK_OK(LockTenant(tx, tenant));
        ALLOD_TRY(const auto earlier, ClaimRequest(tx, project, request, id));
        if (earlier) return StandingIdentityVersion(tx);
        ALLOD_TRY(const WorkloadRule standing, ReadRule(tx, tenant, project, id));
        tx.Exec("DELETE FROM tenancy.workload_rules WHERE tenant_id = $1 AND project_id = $2 AND id = $3",
                tx.tenant().ToString(), project, id);
        ALLOD_TRY(const std::int64_t version, NextIdentityVersion(tx));
        ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + tenant, DeletionOf(standing)));
        return version;
      },
      [&](TenantTx& tx) -> Result<std::int64_t> {
        if (ReadRule(tx, tenant, project, id)) return NotFound("not done");
        return StandingIdentityVersion(tx);
      });
}

Result<std::vector<TenantIdentityVersion>> PgIdentityStore::IdentityVersions(std::int64_t after, int limit) {
  return pool_.Run<std::vector<TenantIdentityVersion>>([&](GlobalTx& tx) -> Result<std::vector<TenantIdentityVersion>> {
    const auto rows = tx.Exec(
        "SELECT id, state = 'ACTIVE' AND suspended_by = '', identity_version FROM tenancy.tenants "
        "WHERE identity_version > 0 AND identity_version > $1 ORDER BY identity_version LIMIT $2",
        after, limit);
    return ReadAll(rows, [](RowReader& row) {
      TenantIdentityVersion out;
      row.Into(out.tenant, out.active, out.version);
      return out;
    });
  });
}

Result<std::vector<TenantRole>> PgIdentityStore::ReadRoles(const std::string& tenant) {
  return pool_.Run<std::vector<TenantRole>>(
      KeyOf(tenant), [&](TenantTx& tx) -> Result<std::vector<TenantRole>> { return tenancy::ReadRoles(tx, tenant); });
}

Result<TenantIdentity> PgIdentityStore::ReadIdentity(const std::string& tenant, Time now) {
  return pool_.RunSnapshot<TenantIdentity>(KeyOf(tenant), [&](TenantTx& tx) -> Result<TenantIdentity> {
    TenantIdentity out;
    out.providers = ReadProviders(tx, tenant);
    out.rules = ReadAll(
        tx.Exec(fmt::format("SELECT {} FROM tenancy.workload_rules WHERE tenant_id = $1 ORDER BY project_id, id",
                            kRuleColumns),
                tx.tenant().ToString()),
        ReadRuleOf(tenant));
    out.members = ReadMembers(tx, tenant);
    out.roles = tenancy::ReadRoles(tx, tenant);
    out.ended_sessions =
        ReadAll(tx.Exec("SELECT id FROM tenancy.sessions WHERE tenant_id = $1 AND end_time IS NOT NULL AND "
                        "expire_time > " ALLOD_FROM_MICROS("$2") " ORDER BY id",
                        tx.tenant().ToString(), now),
                [](RowReader& row) { return row.Next<Uuid>(); });
    return out;
  });
}

}  // namespace allod::tenancy
