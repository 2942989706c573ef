#include "services/tenancy/pg_identity_rows.h"

#include <fmt/format.h>

#include <optional>

namespace allod::tenancy {
namespace {

constexpr char kProviderColumns[] = "id, display_name, issuer, audiences, disabled, " ALLOD_MICROS(
    "create_time") ", change_version, client_id, sign_in_scopes, sealed_client_secret";
constexpr char kMemberColumns[] =
    "id, uid, display_name, provider_id, claims, claim_values, claim_matches, tenant_roles, grant_projects, "
    "grant_roles, disabled, " ALLOD_MICROS("create_time") ", change_version, tenant_custom_roles, grant_custom_roles";
constexpr char kRoleColumns[] =
    "id, uid, display_name, summary, permissions, " ALLOD_MICROS("create_time") ", change_version";

auto ReadProviderOf(const std::string& tenant) {
  return [tenant](RowReader& row) {
    IdentityProvider out{.tenant = tenant};
    std::optional<std::string> client_id;
    SignIn sign_in;
    row.Into(out.id, out.display_name, out.issuer, out.audiences, out.disabled, out.create_time, out.version, client_id,
             sign_in.scopes, sign_in.sealed_secret);
    if (client_id) {
      sign_in.client_id = *std::move(client_id);
      out.sign_in = std::move(sign_in);
    }
    return out;
  };
}

std::vector<std::string> SplitWords(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

auto ReadMemberOf(const std::string& tenant) {
  return [tenant](RowReader& row) {
    Member out{.tenant = tenant};
    row.Into(out.id, out.uid, out.display_name, out.provider);
    out.claims = ReadClaims(row);
    std::vector<std::string> at_tenant, projects, at_projects, custom_at_tenant, custom_at_projects;
    row.Into(at_tenant, projects, at_projects, out.disabled, out.create_time, out.version, custom_at_tenant,
             custom_at_projects);
    if (!at_tenant.empty() || !custom_at_tenant.empty()) {
      out.grants.push_back({"", RolesFrom(at_tenant), custom_at_tenant});
    }
    custom_at_projects.resize(projects.size());  // of a row of before there are none
    for (std::size_t i = 0; i < projects.size(); ++i) {
      out.grants.push_back(
          {projects[i], RolesFrom(SplitWords(at_projects.at(i))), SplitWords(custom_at_projects.at(i))});
    }
    return out;
  };
}

auto ReadRoleOf(const std::string& tenant) {
  return [tenant](RowReader& row) {
    TenantRole out{.tenant = tenant};
    row.Into(out.id, out.uid, out.display_name, out.summary, out.permissions, out.create_time, out.version);
    return out;
  };
}

}  // namespace

Status LockTenant(TenantTx& tx, const std::string& tenant) {
  return RequireTenantRow(tx, tenant, RowLock::kUntilCommit);
}

Result<std::int64_t> NextIdentityVersion(TenantTx& tx) {
  // A trigger puts the clock's next version in.
  const auto rows = tx.Exec(
      "UPDATE tenancy.tenants SET identity_version = identity_version WHERE tenant_id = $1 RETURNING identity_version",
      tx.tenant().ToString());
  if (rows.empty()) return Internal("a tenant vanished");
  return rows[0][0].as<std::int64_t>();
}

Result<std::int64_t> StandingIdentityVersion(TenantTx& tx) {
  const auto rows =
      tx.Exec("SELECT identity_version FROM tenancy.tenants WHERE tenant_id = $1", tx.tenant().ToString());
  if (rows.empty()) return Internal("a tenant vanished");
  return rows[0][0].as<std::int64_t>();
}

std::int64_t CountOf(TenantTx& tx, std::string_view sql, const std::string& argument) {
  return tx.Exec(sql, tx.tenant().ToString(), argument)[0][0].as<std::int64_t>();
}

ClaimColumns::ClaimColumns(const std::vector<ClaimMatch>& from) {
  for (const ClaimMatch& match : from) {
    claims.push_back(match.claim);
    values.push_back(match.value);
    matches.emplace_back(ToRowWord(match.comparison));
  }
}

std::vector<ClaimMatch> ReadClaims(RowReader& row) {
  std::vector<std::string> claims, values, matches;
  row.Into(claims, values, matches);
  std::vector<ClaimMatch> out;
  out.reserve(claims.size());
  for (std::size_t i = 0; i < claims.size(); ++i) {
    out.push_back({claims[i], values.at(i), FromRowWord<ClaimComparison>(matches.at(i))});
  }
  return out;
}

Result<IdentityProvider> ReadProvider(TenantTx& tx, const std::string& tenant, const std::string& id) {
  const auto rows = tx.Exec(
      fmt::format("SELECT {} FROM tenancy.identity_providers WHERE tenant_id = $1 AND id = $2", kProviderColumns),
      tx.tenant().ToString(), id);
  if (rows.empty()) return NotFound(fmt::format("tenants/{}/identityProviders/{} does not exist", tenant, id));
  return ReadFirst(rows, ReadProviderOf(tenant));
}

std::vector<IdentityProvider> ReadProviders(TenantTx& tx, const std::string& tenant) {
  return ReadAll(tx.Exec(fmt::format("SELECT {} FROM tenancy.identity_providers WHERE tenant_id = $1 ORDER BY id",
                                     kProviderColumns),
                         tx.tenant().ToString()),
                 ReadProviderOf(tenant));
}

Result<Member> ReadMember(TenantTx& tx, const std::string& tenant, const std::string& id) {
  const auto rows =
      tx.Exec(fmt::format("SELECT {} FROM tenancy.members WHERE tenant_id = $1 AND id = $2", kMemberColumns),
              tx.tenant().ToString(), id);
  if (rows.empty()) return NotFound(fmt::format("tenants/{}/members/{} does not exist", tenant, id));
  return ReadFirst(rows, ReadMemberOf(tenant));
}

std::vector<Member> ReadMembers(TenantTx& tx, const std::string& tenant) {
  return ReadAll(tx.Exec(fmt::format("SELECT {} FROM tenancy.members WHERE tenant_id = $1 ORDER BY id", kMemberColumns),
                         tx.tenant().ToString()),
                 ReadMemberOf(tenant));
}

std::vector<Member> ReadMembers(TenantTx& tx, const std::string& tenant, const std::vector<std::string>& ids) {
  return ReadAll(tx.Exec(fmt::format("SELECT {} FROM tenancy.members WHERE tenant_id = $1 AND id = ANY ($2::text[])",
                                     kMemberColumns),
                         tx.tenant().ToString(), ids),
                 ReadMemberOf(tenant));
}

Page<Member> ReadMemberPage(TenantTx& tx, const std::string& tenant, const PageRequest& page) {
  const auto rows =
      tx.Exec(fmt::format("SELECT {} FROM tenancy.members WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3",
                          kMemberColumns),
              tx.tenant().ToString(), page.after, page.size + 1);
  return MakePage(page, ReadAll(rows, ReadMemberOf(tenant)), [](const Member& m) { return m.id; });
}

People ReadPeople(TenantTx& tx, const std::string& tenant) {
  return {ReadProviders(tx, tenant), ReadMembers(tx, tenant), ReadRoles(tx, tenant)};
}

Result<TenantRole> ReadRole(TenantTx& tx, const std::string& tenant, const std::string& id) {
  const auto rows = tx.Exec(fmt::format("SELECT {} FROM tenancy.roles WHERE tenant_id = $1 AND id = $2", kRoleColumns),
                            tx.tenant().ToString(), id);
  if (rows.empty()) return NotFound(fmt::format("tenants/{}/roles/{} does not exist", tenant, id));
  return ReadFirst(rows, ReadRoleOf(tenant));
}

std::vector<TenantRole> ReadRoles(TenantTx& tx, const std::string& tenant) {
  return ReadAll(tx.Exec(fmt::format("SELECT {} FROM tenancy.roles WHERE tenant_id = $1 ORDER BY id", kRoleColumns),
                         tx.tenant().ToString()),
                 ReadRoleOf(tenant));
}

Page<TenantRole> ReadRolePage(TenantTx& tx, const std::string& tenant, const PageRequest& page) {
  const auto rows = tx.Exec(
      fmt::format("SELECT {} FROM tenancy.roles WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3", kRoleColumns),
      tx.tenant().ToString(), page.after, page.size + 1);
  return MakePage(page, ReadAll(rows, ReadRoleOf(tenant)), [](const TenantRole& r) { return r.id; });
}

}  // namespace allod::tenancy
