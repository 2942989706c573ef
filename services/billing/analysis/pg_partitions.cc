#include "services/billing/analysis/pg_partitions.h"

#include "services/common/pg/row_reader.h"

namespace allod::billing::analysis {

Result<int> PgPartitionStore::MakePartitions(int ahead) {
  return pool_.Run<int>(
      [&](GlobalTx& tx) -> Result<int> {
        return tx.Exec("SELECT billing.make_usage_partitions($1)", ahead)[0][0].as<int>();
      },
      // What was made is there.
      RunAgain{});
}

Result<std::vector<TenantId>> PgPartitionStore::Tenants(std::optional<TenantId> after, int limit) {
  return pool_.Run<std::vector<TenantId>>([&](GlobalTx& tx) -> Result<std::vector<TenantId>> {
    return ReadAll(tx.Exec("SELECT k.tenant_id FROM billing.known_tenants k WHERE k.tenant_id > $1::uuid "
                           "ORDER BY k.tenant_id LIMIT $2",
                           after ? after->value : Uuid(), limit),
                   [](RowReader& row) { return row.Next<TenantId>(); });
  });
}

Result<int> PgPartitionStore::TrimComputedUsage(TenantId tenant, Time before, int limit) {
  return pool_.Run<int>(
      tenant,
      [&](TenantTx& tx) -> Result<int> {
        return tx.Exec("SELECT billing.trim_computed_usage($1::uuid, $2, $3)", tenant, before, limit)[0][0].as<int>();
      },
      // What is gone is gone.
      RunAgain{});
}

}  // namespace allod::billing::analysis
