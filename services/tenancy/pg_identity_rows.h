// What the stores of providers and rules, of members, of sessions and of custom roles do alike: the tenant's lock, the
// clock that gateways follow, and rows that more than one of them reads. Throw as PgTx::Exec does.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "services/common/pg/pool.h"
#include "services/common/pg/row_reader.h"
#include "services/common/pg/words.h"
#include "services/common/result.h"
#include "services/tenancy/identity_store.h"
#include "services/tenancy/pg_rows.h"

namespace allod {

template <>
inline constexpr auto kRowWords<tenancy::ClaimComparison> =
    std::to_array<RowWord<tenancy::ClaimComparison>>({{tenancy::ClaimComparison::kEquals, "equals"},
                                                      {tenancy::ClaimComparison::kPrefix, "prefix"},
                                                      {tenancy::ClaimComparison::kContains, "contains"}});

}  // namespace allod

namespace allod::tenancy {

// Holds the tenant's row to the commit: changes of its providers, rules, members and sessions are made one after
// another, so that what is counted and compared stays.
Status LockTenant(TenantTx& tx, const std::string& tenant);

// The version of what this transaction changes. Holds the clock's row until the commit.
Result<std::int64_t> NextIdentityVersion(TenantTx& tx);
// That of the last change, for what was done before: gateways that have it have that too.
Result<std::int64_t> StandingIdentityVersion(TenantTx& tx);

// Of a statement that counts rows of the tenant ($1) with one argument more ($2).
std::int64_t CountOf(TenantTx& tx, std::string_view sql, const std::string& argument);

// Claims as columns hold them.
struct ClaimColumns {
  explicit ClaimColumns(const std::vector<ClaimMatch>& claims);
  std::vector<std::string> claims, values, matches;
};
// Reads the three columns.
std::vector<ClaimMatch> ReadClaims(RowReader& row);

// NOT_FOUND.
Result<IdentityProvider> ReadProvider(TenantTx& tx, const std::string& tenant, const std::string& id);
std::vector<IdentityProvider> ReadProviders(TenantTx& tx, const std::string& tenant);
Result<Member> ReadMember(TenantTx& tx, const std::string& tenant, const std::string& id);
std::vector<Member> ReadMembers(TenantTx& tx, const std::string& tenant);
// Those of them that there are.
std::vector<Member> ReadMembers(TenantTx& tx, const std::string& tenant, const std::vector<std::string>& ids);
Page<Member> ReadMemberPage(TenantTx& tx, const std::string& tenant, const PageRequest& page);
People ReadPeople(TenantTx& tx, const std::string& tenant);
// NOT_FOUND.
Result<TenantRole> ReadRole(TenantTx& tx, const std::string& tenant, const std::string& id);
std::vector<TenantRole> ReadRoles(TenantTx& tx, const std::string& tenant);
Page<TenantRole> ReadRolePage(TenantTx& tx, const std::string& tenant, const PageRequest& page);

// How each of them is made, under the tenant's lock: once for a request id, and not at all where the same stands
// already (ALREADY_EXISTS for other content). `make` checks, writes and records it; `read` is what stands.
template <typename T, typename Read, typename Make>
Result<T> MadeOnce(TenantTx& tx, const T& wanted, const std::string& project, const RequestId& request,
                   const Read& read, const Make& make) {
  ALLOD_TRY(const auto earlier, ClaimRequest(tx, project, request, wanted.id));
  Result<T> standing = read();
  if (earlier) return standing;
  if (!standing) {
    ALLOD_CHECK_OK(make());
    return read();
  }
  if (!SameContent(*standing, wanted)) return std::unexpected(TakenByOtherContent(wanted.name()));
  return standing;
}

// After a COMMIT in doubt: done if what stands has the content that was asked for.
template <typename T>
Result<T> IfDone(Result<T> standing, const T& wanted) {
  if (standing && SameContent(*standing, wanted)) return standing;
  return NotFound("not done");
}

}  // namespace allod::tenancy
