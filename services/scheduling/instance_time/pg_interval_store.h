// The IntervalStore on PostgreSQL.
#pragma once

#include "services/common/pg/pool.h"
#include "services/scheduling/instance_time/interval_store.h"

namespace allod::scheduling::instance_time {

class PgIntervalStore final : public IntervalStore {
 public:
  explicit PgIntervalStore(PgPool& pool) : pool_(pool) {}

  Result<std::vector<NamedTenant>> ListDue(const std::optional<TenantId>& after, int limit) override;
  Result<std::vector<TimeInterval>> LoadDue(const TenantId& tenant, int limit) override;
  Status MarkTold(const TenantId& tenant, const std::vector<TimeInterval>& intervals) override;
  Status Postpone(const TenantId& tenant, const std::vector<TimeInterval>& intervals) override;
  Result<std::vector<std::string>> StopForCredit(const TenantId& tenant,
                                                 const std::vector<std::string>& instances) override;
  Result<std::vector<std::string>> Resume(const TenantId& tenant) override;
  Result<std::vector<NamedTenant>> ListStoppedForCredit(const std::optional<TenantId>& after, int limit) override;

 private:
  PgPool& pool_;
};

}  // namespace allod::scheduling::instance_time
