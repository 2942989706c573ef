#include "services/billing/analysis/pg_partitions.h"

namespace allod::billing {

Result<int> PgPartitionStore::MakePartitions(int ahead) {
  return pool_.Run<int>(
      [&](GlobalTx& tx) -> Result<int> {
        return tx.Exec("SELECT billing.make_usage_partitions($1)", ahead)[0][0].as<int>();
      },
      // What was made is there.
      RunAgain{});
}

}  // namespace allod::billing
