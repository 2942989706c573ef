// Partitions in PostgreSQL (migrations/billing/0013).
#pragma once

#include "services/billing/analysis/partition_maker.h"
#include "services/common/pg/pool.h"

namespace allod::billing {

class PgPartitionStore final : public PartitionStore {
 public:
  explicit PgPartitionStore(PgPool& pool) : pool_(pool) {}  // outlives it
  Result<int> MakePartitions(int ahead) override;

 private:
  PgPool& pool_;
};

}  // namespace allod::billing
