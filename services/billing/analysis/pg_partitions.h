// Partitions and retention in PostgreSQL (migrations/billing/0013_partition_usage_records.sql,
// 0021_trim_computed_usage.sql).
#pragma once

#include "services/billing/analysis/partition_maker.h"
#include "services/billing/analysis/retention.h"
#include "services/common/pg/pool.h"

namespace allod::billing::analysis {

class PgPartitionStore final : public PartitionStore, public RetentionStore {
 public:
  explicit PgPartitionStore(PgPool& pool) : pool_(pool) {}  // outlives it
  Result<int> MakePartitions(int ahead) override;
  Result<std::vector<TenantId>> Tenants(std::optional<TenantId> after, int limit) override;
  Result<int> TrimComputedUsage(TenantId tenant, Time before, int limit) override;

 private:
  PgPool& pool_;
};

}  // namespace allod::billing::analysis
