// The InstanceTimeStore on PostgreSQL. Decided under the lock of the tenant's account, like all that moves its money.
#pragma once

#include "services/billing/instance_time/instance_time_store.h"
#include "services/common/pg/pool.h"

namespace allod::billing::instance_time {

class PgInstanceTimeStore final : public InstanceTimeStore {
 public:
  // Both connect as allod_billing and outlive the store.
  PgInstanceTimeStore(PgPool& desk, PgPool& reports) : desk_(desk), reports_(reports) {}

  Result<RecordedTime> RecordInstanceTime(TenantId tenant, const std::vector<InstanceInterval>& intervals) override;
  Result<std::vector<InstanceTimeTotal>> ListInstanceTime(const InstanceTimeQuery& query) override;

 private:
  PgPool& desk_;
  PgPool& reports_;
};

}  // namespace allod::billing::instance_time
