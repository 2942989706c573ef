#include "services/tenancy/pg_store_members.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "services/tenancy/audit_acts.h"
#include "services/tenancy/pg_identity_rows.h"

namespace allod::tenancy {
namespace {

// Grants as columns hold them.
struct GrantColumns {
  explicit GrantColumns(const std::vector<RoleGrant>& grants) {
    for (const RoleGrant& grant : grants) {
      if (grant.project.empty()) {
        at_tenant = WordsOf(grant.roles);
        custom_at_tenant = grant.custom_roles;
      } else {
        projects.push_back(grant.project);
        at_projects.push_back(grant.roles.ToString());
        custom_at_projects.push_back(fmt::format("{}", fmt::join(grant.custom_roles, ",")));
      }
    }
  }
  std::vector<std::string> at_tenant, projects, at_projects, custom_at_tenant, custom_at_projects;
};

// That the member may be as it is to be, beside all that stands.
Status CheckStands(TenantTx& tx, const People& people, const Member& member) {
  ALLOD_CHECK_OK(CheckPlace(people, member));
  for (const RoleGrant& grant : member.grants) {
    if (!grant.project.empty()) ALLOD_CHECK_OK(RequireProjectRow(tx, member.tenant, grant.project));
  }
  return {};
}

}  // namespace

Result<Member> PgMemberStore::CreateMember(const Member& member, const RequestId& request) {
  return pool_.Run<Member>(
      KeyOf(member.tenant),
      [&](TenantTx& tx) -> Result<Member> {
        ALLOD_CHECK_OK(LockTenant(tx, member.tenant));
        return MadeOnce(
            tx, member, "", request, [&] { return ReadMember(tx, member.tenant, member.id); },
            [&]() -> Status {
              ALLOD_CHECK_OK(CheckStands(tx, ReadPeople(tx, member.tenant), member));
              ALLOD_TRY(const std::int64_t version, NextIdentityVersion(tx));
              const ClaimColumns claims(member.claims);
              const GrantColumns grants(member.grants);
              tx.Exec(
                  "INSERT INTO tenancy.members (tenant_id, id, uid, display_name, provider_id, claims, claim_values, "
                  "claim_matches, tenant_roles, grant_projects, grant_roles, disabled, create_time, change_version, "
                  "tenant_custom_roles, grant_custom_roles) VALUES "
                  "($1, $2, $3, $4, $5, $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], "
                  "$12, " ALLOD_FROM_MICROS("$13") ", $14, $15::text[], $16::text[])",
                  tx.tenant().ToString(), member.id, member.uid, member.display_name, member.provider, claims.claims,
                  claims.values, claims.matches, grants.at_tenant, grants.projects, grants.at_projects, member.disabled,
                  member.create_time, version, grants.custom_at_tenant, grants.custom_at_projects);
              ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + member.tenant, ActOn("create", member)));
              return {};
            });
      },
      RunAgain{});
}

Result<Member> PgMemberStore::GetMember(const std::string& tenant, const std::string& id) {
  return pool_.Run<Member>(KeyOf(tenant), [&](TenantTx& tx) { return ReadMember(tx, tenant, id); });
}

Result<Page<Member>> PgMemberStore::ListMembers(const std::string& tenant, const PageRequest& page) {
  return pool_.Run<Page<Member>>(KeyOf(tenant), [&](TenantTx& tx) -> Result<Page<Member>> {
    ALLOD_CHECK_OK(RequireTenantRow(tx, tenant));
    return ReadMemberPage(tx, tenant, page);
  });
}

Result<Member> PgMemberStore::UpdateMember(const Member& member, const std::string& etag, const Rights& held,
                                           const RequestId& request) {
  return pool_.Run<Member>(
      KeyOf(member.tenant),
      [&](TenantTx& tx) -> Result<Member> {
        ALLOD_CHECK_OK(LockTenant(tx, member.tenant));
        ALLOD_TRY(const auto earlier, ClaimRequest(tx, "", request, member.id));
        ALLOD_TRY(Member standing, ReadMember(tx, member.tenant, member.id));
        if (earlier) return standing;
        ALLOD_CHECK_OK(CheckEtag("member", member.name(), EtagOf(standing), etag));
        ALLOD_CHECK_OK(CheckHolds(standing, held, StandingRoles(ReadRoles(tx, member.tenant))));
        if (SameContent(standing, member)) return standing;
        const People before = ReadPeople(tx, member.tenant);
        ALLOD_CHECK_OK(CheckStands(tx, before, member));
        ALLOD_CHECK_OK(CheckOwnerRemains(before, With(before, member)));
        ALLOD_TRY(const std::int64_t version, NextIdentityVersion(tx));
        const ClaimColumns claims(member.claims);
        const GrantColumns grants(member.grants);
        tx.Exec(
            "UPDATE tenancy.members SET display_name = $3, provider_id = $4, claims = $5::text[], claim_values = "
            "$6::text[], claim_matches = $7::text[], tenant_roles = $8::text[], grant_projects = $9::text[], "
            "grant_roles = $10::text[], disabled = $11, change_version = $12, tenant_custom_roles = $13::text[], "
            "grant_custom_roles = $14::text[] WHERE tenant_id = $1 AND id = $2",
            tx.tenant().ToString(), member.id, member.display_name, member.provider, claims.claims, claims.values,
            claims.matches, grants.at_tenant, grants.projects, grants.at_projects, member.disabled, version,
            grants.custom_at_tenant, grants.custom_at_projects);
        ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + member.tenant, ActOn("update", member)));
        return ReadMember(tx, member.tenant, member.id);
      },
      [&](TenantTx& tx) { return IfDone(ReadMember(tx, member.tenant, member.id), member); });
}

Result<std::int64_t> PgMemberStore::DeleteMember(const std::string& tenant, const std::string& id, const Rights& held,
                                                 const RequestId& request) {
  return pool_.Run<std::int64_t>(
      KeyOf(tenant),
      [&](TenantTx& tx) -> Result<std::int64_t> {
        ALLOD_CHECK_OK(LockTenant(tx, tenant));
        ALLOD_TRY(const auto earlier, ClaimRequest(tx, "", request, id));
        if (earlier) return StandingIdentityVersion(tx);
        ALLOD_TRY(const Member standing, ReadMember(tx, tenant, id));
        const People before = ReadPeople(tx, tenant);
        ALLOD_CHECK_OK(CheckHolds(standing, held, StandingRoles(before.roles)));
        ALLOD_CHECK_OK(CheckOwnerRemains(before, Without(before, id)));
        tx.Exec("DELETE FROM tenancy.members WHERE tenant_id = $1 AND id = $2", tx.tenant().ToString(), id);
        ALLOD_TRY(const std::int64_t version, NextIdentityVersion(tx));
        ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + tenant, DeletionOf(standing)));
        return version;
      },
      [&](TenantTx& tx) -> Result<std::int64_t> {
        if (ReadMember(tx, tenant, id)) return NotFound("not done");
        return StandingIdentityVersion(tx);
      });
}

}  // namespace allod::tenancy
