#include "services/tenancy/pg_store_identity.h"

#include <fmt/format.h>

#include "services/common/pg/row_reader.h"
#include "services/tenancy/audit_acts.h"
#include "services/tenancy/pg_rows.h"

namespace allod::tenancy {

// How a claim of a token is held against that of a rule: as ClaimMatch::is_prefix says.
enum class ClaimComparison { kEquals, kPrefix };

}  // namespace allod::tenancy

namespace allod {

template <>
inline constexpr auto kRowWords<tenancy::ClaimComparison> = std::to_array<RowWord<tenancy::ClaimComparison>>(
    {{tenancy::ClaimComparison::kEquals, "equals"}, {tenancy::ClaimComparison::kPrefix, "prefix"}});

}  // namespace allod

namespace allod::tenancy {
namespace {

constexpr char kProviderColumns[] =
    "id, display_name, issuer, audiences, disabled, " ALLOD_MICROS("create_time") ", change_version";
constexpr char kRuleColumns[] =
    "project_id, id, uid, display_name, provider_id, claims, claim_values, claim_matches, scopes, roles, "
    "token_minutes, "
    "disabled, " ALLOD_MICROS("create_time") ", change_version";

std::string NameOfRule(const std::string& tenant, const std::string& project, const std::string& id) {
  return fmt::format("tenants/{}/projects/{}/workloadRules/{}", tenant, project, id);
}

auto ReadProviderOf(const std::string& tenant) {
  return [tenant](RowReader& row) {
    IdentityProvider out{.tenant = tenant};
    row.Into(out.id, out.display_name, out.issuer, out.audiences, out.disabled, out.create_time, out.version);
    return out;
  };
}

auto ReadRuleOf(const std::string& tenant) {
  return [tenant](RowReader& row) {
    WorkloadRule out{.tenant = tenant};
    std::vector<std::string> claims, values, matches, scopes, roles;
    row.Into(out.project, out.id, out.uid, out.display_name, out.provider, claims, values, matches, scopes, roles,
             out.token_minutes, out.disabled, out.create_time, out.version);
    for (std::size_t i = 0; i < claims.size(); ++i) {
      out.claims.push_back(
          {claims[i], values.at(i), FromRowWord<ClaimComparison>(matches.at(i)) == ClaimComparison::kPrefix});
    }
    for (const std::string& word : scopes) out.scopes.insert(FromRowWord<Scope>(word));
    for (const std::string& word : roles) {
      if (const auto role = RoleOf(word)) out.roles.Add(*role);  // one that is no more permits nothing
    }
    return out;
  };
}

// The columns of a rule that hold lists.
struct RuleWords {
  explicit RuleWords(const WorkloadRule& rule) {
    for (const ClaimMatch& match : rule.claims) {
      claims.push_back(match.claim);
      values.push_back(match.value);
      matches.emplace_back(ToRowWord(match.is_prefix ? ClaimComparison::kPrefix : ClaimComparison::kEquals));
    }
    for (const Scope scope : rule.scopes) scopes.emplace_back(ToRowWord(scope));
    for (const Role role : rule.roles.List()) roles.emplace_back(WordOfRole(role));
  }
  std::vector<std::string> claims, values, matches, scopes, roles;
};

// Holds the tenant's row to the commit: changes of its providers and rules are made one after another, so that what is
// counted and compared stays.
Status LockTenant(TenantTx& tx, const std::string& tenant) {
  return RequireTenantRow(tx, tenant, RowLock::kUntilCommit);
}

// The version of what this transaction changes. Holds the clock's row until the commit.
Result<std::int64_t> NextIdentityVersion(TenantTx& tx) {
  // A trigger puts the clock's next version in.
  const auto rows = tx.Exec(
      "UPDATE tenancy.tenants SET identity_version = identity_version WHERE tenant_id = $1 RETURNING identity_version",
      tx.tenant().ToString());
  if (rows.empty()) return Internal("a tenant vanished");
  return rows[0][0].as<std::int64_t>();
}

// That of the last change, for what was done before: gateways that have it have that too.
Result<std::int64_t> StandingIdentityVersion(TenantTx& tx) {
  const auto rows =
      tx.Exec("SELECT identity_version FROM tenancy.tenants WHERE tenant_id = $1", tx.tenant().ToString());
  if (rows.empty()) return Internal("a tenant vanished");
  return rows[0][0].as<std::int64_t>();
}

std::int64_t CountOf(TenantTx& tx, std::string_view sql, const std::string& argument) {
  return tx.Exec(sql, tx.tenant().ToString(), argument)[0][0].as<std::int64_t>();
}

Result<IdentityProvider> ReadProvider(TenantTx& tx, const std::string& tenant, const std::string& id) {
  const auto rows = tx.Exec(
      fmt::format("SELECT {} FROM tenancy.identity_providers WHERE tenant_id = $1 AND id = $2", kProviderColumns),
      tx.tenant().ToString(), id);
  if (rows.empty()) return NotFound(fmt::format("tenants/{}/identityProviders/{} does not exist", tenant, id));
  return ReadFirst(rows, ReadProviderOf(tenant));
}

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

// After a COMMIT in doubt: done if what stands has the content that was asked for.
template <typename T>
Result<T> IfDone(Result<T> standing, const T& wanted) {
  if (standing && SameContent(*standing, wanted)) return standing;
  return NotFound("not done");
}

}  // namespace

Result<IdentityProvider> PgIdentityStore::CreateProvider(const IdentityProvider& provider, const RequestId& request) {
  return pool_.Run<IdentityProvider>(
      KeyOf(provider.tenant),
      [&](TenantTx& tx) -> Result<IdentityProvider> {
        ALLOD_CHECK_OK(LockTenant(tx, provider.tenant));
        ALLOD_TRY(const auto earlier, ClaimRequest(tx, "", request, provider.id));
        const auto standing = ReadProvider(tx, provider.tenant, provider.id);
        if (earlier) return standing;
        if (standing) {
          if (!SameContent(*standing, provider)) return std::unexpected(TakenByOtherContent(provider.name()));
          return standing;
        }
        ALLOD_CHECK_OK(CheckIssuerIsFree(tx, provider));
        ALLOD_CHECK_OK(RoomForProvider(
            provider, CountOf(tx, "SELECT count(*) FROM tenancy.identity_providers WHERE tenant_id = $1 AND id <> $2",
                              provider.id)));
        ALLOD_TRY(const std::int64_t version, NextIdentityVersion(tx));
        tx.Exec(
            "INSERT INTO tenancy.identity_providers (tenant_id, id, display_name, issuer, audiences, disabled, "
            "create_time, change_version) VALUES ($1, $2, $3, $4, $5::text[], $6, " ALLOD_FROM_MICROS("$7") ", $8)",
            tx.tenant().ToString(), provider.id, provider.display_name, provider.issuer, provider.audiences,
            provider.disabled, provider.create_time, version);
        ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + provider.tenant, ActOn("create", provider)));
        return ReadProvider(tx, provider.tenant, provider.id);
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
                                                         const RequestId& request) {
  return pool_.Run<IdentityProvider>(
      KeyOf(provider.tenant),
      [&](TenantTx& tx) -> Result<IdentityProvider> {
        ALLOD_CHECK_OK(LockTenant(tx, provider.tenant));
        ALLOD_TRY(const auto earlier, ClaimRequest(tx, "", request, provider.id));
        ALLOD_TRY(const IdentityProvider standing, ReadProvider(tx, provider.tenant, provider.id));
        if (earlier) return standing;
        ALLOD_CHECK_OK(CheckEtag("identity_provider", provider.name(), EtagOf(standing), etag));
        ALLOD_CHECK_OK(CheckSameIssuer(standing, provider));
        if (SameContent(standing, provider)) return standing;
        ALLOD_TRY(const std::int64_t version, NextIdentityVersion(tx));
        tx.Exec(
            "UPDATE tenancy.identity_providers SET display_name = $3, audiences = $4::text[], disabled = $5, "
            "change_version = $6 WHERE tenant_id = $1 AND id = $2",
            tx.tenant().ToString(), provider.id, provider.display_name, provider.audiences, provider.disabled, version);
        ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + provider.tenant, ActOn("update", provider)));
        return ReadProvider(tx, provider.tenant, provider.id);
      },
      [&](TenantTx& tx) { return IfDone(ReadProvider(tx, provider.tenant, provider.id), provider); });
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
        if (rules > 0) return std::unexpected(ProviderInUse(standing.name(), rules));
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
        ALLOD_TRY(const auto earlier, ClaimRequest(tx, rule.project, request, rule.id));
        const auto standing = ReadRule(tx, rule.tenant, rule.project, rule.id);
        if (earlier) return standing;
        if (standing) {
          if (!SameContent(*standing, rule)) return std::unexpected(TakenByOtherContent(rule.name()));
          return standing;
        }
        ALLOD_CHECK_OK(ReadProvider(tx, rule.tenant, rule.provider));
        ALLOD_CHECK_OK(RoomForRule(
            rule,
            CountOf(tx, "SELECT count(*) FROM tenancy.workload_rules WHERE tenant_id = $1 AND project_id = $2",
                    rule.project),
            CountOf(tx, "SELECT count(*) FROM tenancy.workload_rules WHERE tenant_id = $1 AND $2 <> ''", rule.id)));
        ALLOD_TRY(const std::int64_t version, NextIdentityVersion(tx));
        const RuleWords words(rule);
        tx.Exec(
            "INSERT INTO tenancy.workload_rules (tenant_id, project_id, id, uid, display_name, provider_id, claims, "
            "claim_values, claim_matches, scopes, roles, token_minutes, disabled, create_time, change_version) VALUES "
            "($1, $2, $3, $4, $5, $6, $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12, "
            "$13, " ALLOD_FROM_MICROS("$14") ", $15)",
            tx.tenant().ToString(), rule.project, rule.id, rule.uid, rule.display_name, rule.provider, words.claims,
            words.values, words.matches, words.scopes, words.roles, rule.token_minutes, rule.disabled, rule.create_time,
            version);
        ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + rule.tenant, ActOn("create", rule)));
        return ReadRule(tx, rule.tenant, rule.project, rule.id);
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
        ALLOD_TRY(const std::int64_t version, NextIdentityVersion(tx));
        const RuleWords words(rule);
        tx.Exec(
            "UPDATE tenancy.workload_rules SET display_name = $4, provider_id = $5, claims = $6::text[], claim_values "
            "= "
            "$7::text[], claim_matches = $8::text[], scopes = $9::text[], roles = $10::text[], token_minutes = $11, "
            "disabled = $12, change_version = $13 WHERE tenant_id = $1 AND project_id = $2 AND id = $3",
            tx.tenant().ToString(), rule.project, rule.id, rule.display_name, rule.provider, words.claims, words.values,
            words.matches, words.scopes, words.roles, rule.token_minutes, rule.disabled, version);
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
        "SELECT id, state = 'ACTIVE', identity_version FROM tenancy.tenants "
        "WHERE identity_version > 0 AND identity_version > $1 ORDER BY identity_version LIMIT $2",
        after, limit);
    return ReadAll(rows, [](RowReader& row) {
      TenantIdentityVersion out;
      row.Into(out.tenant, out.active, out.version);
      return out;
    });
  });
}

Result<TenantIdentity> PgIdentityStore::ReadIdentity(const std::string& tenant) {
  return pool_.RunSnapshot<TenantIdentity>(KeyOf(tenant), [&](TenantTx& tx) -> Result<TenantIdentity> {
    TenantIdentity out;
    out.providers = ReadAll(
        tx.Exec(
            fmt::format("SELECT {} FROM tenancy.identity_providers WHERE tenant_id = $1 ORDER BY id", kProviderColumns),
            tx.tenant().ToString()),
        ReadProviderOf(tenant));
    out.rules = ReadAll(
        tx.Exec(fmt::format("SELECT {} FROM tenancy.workload_rules WHERE tenant_id = $1 ORDER BY project_id, id",
                            kRuleColumns),
                tx.tenant().ToString()),
        ReadRuleOf(tenant));
    return out;
  });
}

}  // namespace allod::tenancy
