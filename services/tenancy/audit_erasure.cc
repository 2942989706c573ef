#include "services/tenancy/audit_erasure.h"

#include <fmt/format.h>

#include "services/tenancy/audit_acts.h"
#include "services/tenancy/pg_rows.h"

namespace allod::tenancy {
namespace {

// $1 the tenant, $2 whom it is about, $3 how many entries.
constexpr char kEntriesOfMember[] =
    "SELECT e.sequence FROM tenancy.audit_entries e WHERE e.tenant_id = $1 AND e.resource = $2 AND "
    "e.personal_details <> '{}' AND EXISTS (SELECT FROM tenancy.audit_personal x WHERE x.tenant_id = $1 AND "
    "x.sequence = e.sequence) ORDER BY e.sequence LIMIT $3";
constexpr char kEntriesOfPerson[] =
    "SELECT x.sequence FROM tenancy.audit_personal x JOIN tenancy.audit_entries e ON e.tenant_id = x.tenant_id AND "
    "e.sequence = x.sequence WHERE x.tenant_id = $1 AND x.name = 'subject' AND x.value = $2 AND "
    "e.detail_values[array_position(e.detail_names, 'identity_provider')] = $4 ORDER BY x.sequence LIMIT $3";

// As many entries, and values.
struct Gone {
  std::int64_t entries = 0;
  std::int64_t values = 0;
};

template <typename... Args>
Gone EraseEntries(TenantTx& tx, const char* entries, const Args&... args) {
  const auto rows = tx.Exec(
      fmt::format(
          "WITH chosen AS ({}), gone AS (DELETE FROM tenancy.audit_personal WHERE tenant_id = $1 AND sequence IN "
          "(SELECT sequence FROM chosen) RETURNING 1) SELECT (SELECT count(*) FROM chosen), "
          "(SELECT count(*) FROM gone)",
          entries),
      tx.tenant(), args...);
  Gone out;
  RowReader(rows[0]).Into(out.entries, out.values);
  return out;
}

}  // namespace

Result<Erasure> AuditErasure::EraseMember(const std::string& tenant, const std::string& member, int batch) {
  return pool_.Run<Erasure>(
      KeyOf(tenant),
      [&](TenantTx& tx) -> Result<Erasure> {
        ALLOD_CHECK_OK(RequireTenantRow(tx, tenant));
        const std::string name = fmt::format("tenants/{}/members/{}", tenant, member);
        const Gone gone = EraseEntries(tx, kEntriesOfMember, name, batch);
        if (gone.values > 0) ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + tenant, ErasureOf(name, gone.values)));
        return Erasure{gone.values, gone.entries == batch};
      },
      RunAgain{});
}

Result<Erasure> AuditErasure::ErasePerson(const std::string& tenant, const Person& person, int batch) {
  return pool_.Run<Erasure>(
      KeyOf(tenant),
      [&](TenantTx& tx) -> Result<Erasure> {
        ALLOD_CHECK_OK(RequireTenantRow(tx, tenant));
        const Gone gone = EraseEntries(tx, kEntriesOfPerson, person.subject, batch, person.provider);
        if (gone.values > 0) {
          const std::string provider = fmt::format("tenants/{}/identityProviders/{}", tenant, person.provider);
          ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + tenant, ErasureOf(provider, gone.values)));
        }
        return Erasure{gone.values, gone.entries == batch};
      },
      RunAgain{});
}

}  // namespace allod::tenancy
