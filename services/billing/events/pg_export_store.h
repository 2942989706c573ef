// What exports read, in PostgreSQL (migrations/billing/0015).
#pragma once

#include "services/billing/events/event_export.h"
#include "services/billing/events/pg_event_rows.h"
#include "services/common/pg/pool.h"

namespace allod::billing::events {

class PgExportStore final : public ExportStore {
 public:
  // The pool outlives it.
  PgExportStore(PgPool& pool, UsageJsonFn usage_json) : pool_(pool), usage_json_(std::move(usage_json)) {}

  Status SetExports(const std::vector<std::string>& names) override;
  Status RemoveExport(const std::string& name) override;
  Result<std::vector<TenantBehind>> Behind(const std::string& destination, std::optional<TenantId> after,
                                           int limit) override;
  Result<TenantRows> ReadRows(TenantId tenant, std::int64_t after) override;
  Status Advance(TenantId tenant, const std::string& destination, std::int64_t sequence) override;

 private:
  PgPool& pool_;
  const UsageJsonFn usage_json_;
};

}  // namespace allod::billing::events
