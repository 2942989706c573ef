// The storage port of reports of usage: roll-ups by hour and day, filled from the outbox, and what is beyond them.
// Thread-safe and blocking. Besides the errors named here every method may fail with UNAVAILABLE.
#pragma once

#include <optional>
#include <vector>

#include "services/billing/analysis/usage_report.h"

namespace allod::billing::analysis {

class RollupStore {
 public:
  virtual ~RollupStore() = default;
  // Tenants of which something is not in the roll-ups, ordered by id, those after `after`. Costs nothing for the
  // others.
  virtual Result<std::vector<TenantId>> TenantsBehind(std::optional<TenantId> after, int limit) = 0;
  // Adds what at most `limit` events of the outbox tell of, once; returns how many there were.
  virtual Result<int> RollUp(TenantId tenant, int limit) = 0;
  // Makes all anew from the usage records; returns how many there are.
  virtual Result<std::int64_t> Rebuild(TenantId tenant) = 0;
  // Of a sound query. In one snapshot, with what the roll-ups do not have yet.
  virtual Result<UsageReport> Report(const UsageReportQuery& query) = 0;
};

}  // namespace allod::billing::analysis
