// The storage port of the purger (tenant_purger.h): every method is one whole transaction. Implementation:
// PgPurgeStore; tests/contract/tenant_purge_test.cc. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "services/tenancy/tenant_deletion.h"

namespace allod::tenancy {

struct PurgeStep {
  // Afterwards. Neither PURGING nor DELETED: it was undeleted meanwhile, or its grace is not over.
  TenantState state = TenantState::kActive;
  std::int64_t removed = 0;  // rows
  bool changed = false;      // the state: those who follow tenants are to be told
};

class PurgeStore {
 public:
  virtual ~PurgeStore() = default;

  // Ids of tenants whose grace is over at `now` and of which something may be left: in their order, those after
  // `after`, at most `limit`.
  virtual Result<std::vector<std::string>> DueForPurge(Time now, const std::string& after, int limit) = 0;
  // The next step on the way from DELETING to DELETED: it becomes PURGING, up to `batch` rows of it are removed, or
  // nothing is left and it becomes DELETED. Under the lock of its row, as an undelete is, so that one of the two comes
  // first. Whatever died between two steps, the next one goes on. NOT_FOUND.
  virtual Result<PurgeStep> Purge(const std::string& tenant, Time now, int batch) = 0;
};

}  // namespace allod::tenancy
