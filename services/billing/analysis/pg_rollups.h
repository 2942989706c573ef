// Roll-ups in PostgreSQL (billing.usage_rollups and usage_dimensions).
#pragma once

#include "services/billing/analysis/rollup_store.h"
#include "services/common/pg/pool.h"

namespace allod::billing::analysis {

class PgRollupStore final : public RollupStore {
 public:
  // They outlive it. Reports have connections of their own.
  PgRollupStore(PgPool& desk, PgPool& reports) : desk_(desk), reports_(reports) {}

  Result<std::vector<TenantId>> TenantsBehind(std::optional<TenantId> after, int limit) override;
  Result<int> RollUp(TenantId tenant, int limit) override;
  Result<std::int64_t> Rebuild(TenantId tenant) override;
  Result<UsageReport> Report(const UsageReportQuery& query) override;

 private:
  PgPool& desk_;
  PgPool& reports_;
};

}  // namespace allod::billing::analysis
