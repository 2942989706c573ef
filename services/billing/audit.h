// The verdict on the books of all tenants, put together tenant by tenant. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "services/billing/store.h"

namespace allod::billing {

struct LedgerReport {
  std::map<std::string, Amount> sums;   // kept balances by currency; each zero or the books are broken
  std::vector<std::string> mismatches;  // resource names; at most kMismatchesMax
  std::int64_t transfer_count = 0;
  std::int64_t usage_record_count = 0;
  std::int64_t open_reservation_count = 0;
  std::int64_t overdue_hold_count = 0;   // 0, or holds are not released in time
  std::int64_t excess_record_count = 0;  // delivered beyond what was held; recorded, not billed
  std::int64_t open_lease_count = 0;
  std::int64_t overdue_lease_count = 0;                        // 0, or leases are not ended in time
  std::int64_t short_record_count = 0;                         // delivered beyond what their lease had; billed
  UsageCheck usage;                                            // counts over all time
  UsageCheck recent_usage;                                     // counts over the range that was asked for
  std::vector<std::pair<std::string, UsageFinding>> findings;  // in it, by tenant; at most kUsageFindingsMax
  std::vector<std::string> unaudited;  // tenants that are in none of the above; at most kUnreadTenantsMax
};

inline constexpr std::size_t kMismatchesMax = 1000;
inline constexpr std::size_t kUnreadTenantsMax = 1000;

// Requests that nodes computed and nobody recorded: their hold is gone without a usage record, or still open although
// they ended long ago.
inline std::int64_t UnrecordedCount(const LedgerReport& report) {
  return report.usage.unbilled_count + report.usage.unsettled_count;
}

// Adds one tenant. Besides accounts whose kept balance or hold is not the sum of their transfers, it names
// `{tenant}/openReservations` when the expirer's list is not the set of open holds, `{tenant}/transfers` when one does
// not fit the hold or the reservation that it follows, `{tenant}/usageRecords` when the
// cost of the records is not what was posted, `{tenant}/invoices` when it is not what invoices add up to, or an issued
// one does not add up or is not in the ledger as it says, `{tenant}/instanceTime` when the time of its instances is not
// what was counted and posted, `{tenant}/payments` when a payment is not in the ledger as it says, or more of an
// invoice or a voucher was paid or redeemed than there is, `{tenant}/usageReports` when roll-ups add up to something
// else than usage does, `{tenant}/budgets` when one counted something else than was used or holds for a lease that has
// ended, and
// `{tenant}/leases/{id}` when what is kept of a lease is not what its transfers leave. OUT_OF_RANGE when a sum leaves
// 38 digits; nothing is added then.
Status AddTenant(LedgerReport& report, const std::string& tenant_name, const TenantAudit& audit);
// `payouts/{payout}` of those that do not add up.
void AddPayouts(LedgerReport& report, const std::vector<std::string>& mismatched);
// The books of one tenant, or its usage, could not be read: it is named and logged, and the audit goes on.
void AddUnread(std::vector<std::string>& tenants, const std::string& tenant_name, const Error& error);

}  // namespace allod::billing
