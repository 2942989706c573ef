// What removes the rows of tenants whose grace is over, in PostgreSQL (migrations/tenancy).
#pragma once

#include "services/common/audit/pg_log.h"
#include "services/common/pg/pool.h"
#include "services/tenancy/purge_store.h"

namespace allod::tenancy {

class PgPurgeStore final : public PurgeStore {
 public:
  explicit PgPurgeStore(PgPool& pool) : pool_(pool) {}

  Result<std::vector<std::string>> DueForPurge(Time now, const std::string& after, int limit) override;
  Result<PurgeStep> Purge(const std::string& tenant, Time now, int batch) override;

 private:
  PgPool& pool_;
  const audit::PgLog audit_{"tenancy"};
};

}  // namespace allod::tenancy
