// Slices of budgets on PostgreSQL, within the transactions that adjust leases and settle their requests: under the lock
// of the tenant's account. For pg_store_leases.cc and pg_store_batch.cc.
#pragma once

#include "services/billing/lease.h"
#include "services/billing/leased_usage.h"
#include "services/common/pg/pool.h"

namespace allod::billing {

// Does what the command says of slices (unless it was done before) and adds to `answer` what became of them, and the
// budgets if the gateway does not know them. Gives whose slices are to be given back.
std::vector<LeaseRecall> AdjustSlices(TenantTx& tx, const AdjustLeaseCommand& command, bool was_done,
                                      std::int64_t budgets_version, AdjustedLease& answer);

// What settled requests cost comes out of the slices that it was taken from.
void TakeFromSlices(TenantTx& tx, const std::vector<SliceCost>& costs);

// Whether a request, with a reservation of its own and no lease, would count in a hard budget.
bool CountsInHardBudget(TenantTx& tx, const std::string& api_key, const std::string& instance, Time admitted);

}  // namespace allod::billing
