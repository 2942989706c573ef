// The storage port of billing. Every method is one whole transaction: either all of it happened or none.
//
// Implementations: PgStore (PostgreSQL) and FakeStore (memory, for tests); one contract suite runs on both. Thread-safe
// and blocking. Besides the errors named here every method may fail with UNAVAILABLE when the database cannot be
// reached; all mutations are idempotent, so the caller retries with the same ids.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/billing/computed_usage.h"
#include "services/billing/decide.h"
#include "services/billing/domain.h"
#include "services/billing/invoice_store.h"
#include "services/billing/lease.h"
#include "services/billing/leased_usage.h"
#include "services/common/request_id.h"

namespace allod::billing {

struct SetAccountCommand {
  TenantId tenant;
  std::string tenant_name;
  std::string currency_code;  // the tenant's
  Amount credit_limit;
  RequestId request;  // may be absent
};

// Newest first: descending request ids, which are ordered by admission.
struct UsageQuery {
  TenantId tenant;
  int limit = 50;
  std::optional<Uuid> before;  // only ids below: the last one of the page before
  std::optional<Time> start;   // admitted at or after
  std::optional<Time> end;     // admitted before
  std::string instance;        // empty: all
  std::string project;         // its id; empty: all. Not looked at beside an instance
  // Only the requests that this line bills. Its instance and month are those that count.
  std::optional<IssuedLine> line;
};

// The usage of requests admitted in the month that begins at `month` (UTC).
struct MonthQuery {
  TenantId tenant;
  Time month;
  std::size_t limit = 0;
  std::string project;  // its id; empty: all
};

struct KnownTenant {
  TenantId id;
  std::string name;
};

// What became of an adjustment. For want of funds it is refused, and yet something is written: that other leases are to
// give back what is free in them.
struct LeaseAdjustment {
  std::optional<AdjustedLease> lease;  // unless it was refused
  std::optional<Error> refused;
  // Of other open leases of the tenant that have money, or slices of what is short of this one's; at most kRecallsMax
  // of each.
  std::vector<LeaseRecall> recalls;
};

struct SettledUsage {
  Amount cost;
};

struct LeaseKey {
  TenantId tenant;
  Uuid lease;
  auto operator<=>(const LeaseKey&) const = default;
};

// Over which billed and computed usage are compared, and how many findings are listed.
struct UsageRange {
  Time start;
  Time end;
  std::size_t findings_max = 0;
};
inline constexpr UsageRange kAllUsage{Time{}, std::chrono::sys_days(std::chrono::year(2200) / 1 / 1)};

// One tenant's books, added up from its transfers, and its usage, in one snapshot.
struct TenantAudit {
  struct Account {
    std::string code;
    std::string currency_code;
    Amount kept_balance, kept_held;
    Amount balance, held;  // from the transfers
  };
  std::vector<Account> accounts;
  std::int64_t transfer_count = 0;
  std::int64_t usage_record_count = 0;
  std::int64_t open_hold_count = 0;         // pending transfers without a terminal one
  std::int64_t open_reservation_count = 0;  // what the expirer knows of; the same number
  std::int64_t overdue_hold_count = 0;      // of those, with an end more than kOverdueAfter ago; 0
  std::int64_t excess_record_count = 0;     // usage records with tokens that their hold did not cover
  std::int64_t open_lease_count = 0;
  std::int64_t overdue_lease_count = 0;   // of those, with an end more than kOverdueAfter ago; 0
  std::int64_t short_record_count = 0;    // usage records whose lease, still open, did not have their cost
  std::vector<Uuid> mismatched_leases;    // what is kept of them is not what their transfers leave; at most
                                          // kMismatchedLeasesMax; none
  Amount posted_usage;                    // by transfers
  Amount recorded_usage;                  // by usage records; the same amount
  Amount invoiced_usage;                  // by the running totals of invoices; the same amount
  std::int64_t invoice_fault_count = 0;   // issued documents, and totals, that do not add up; 0
  std::int64_t rollup_fault_count = 0;    // of what reports of usage read, against totals and records; 0
  std::int64_t transfer_fault_count = 0;  // that do not fit the hold or the reservation that they follow; 0
  std::int64_t payment_fault_count = 0;   // payments, and what they paid, that do not add up; 0
  std::int64_t budget_fault_count = 0;    // budgets that counted something else than was used, or hold for nobody; 0
  std::int64_t instance_time_fault_count = 0;  // intervals, totals and transfers that do not fit together; 0
  UsageCheck usage;                            // over all time
  UsageCheck recent_usage;                     // over the range that was asked for
};

// The expirer comes by every second.
inline constexpr std::chrono::minutes kOverdueAfter{1};

// Of one tenant, that an audit names.
inline constexpr int kMismatchedLeasesMax = 100;

// For loops over all tenants.
inline constexpr int kTenantsPerPage = 200;

class Store : public InvoiceStore {
 public:
  // `book` has passed CheckPriceBook. The same content again gives the stored book; other content ALREADY_EXISTS.
  virtual Result<PriceBook> CreatePriceBook(const PriceBook& book, Time now) = 0;
  virtual Result<PriceBook> GetPriceBook(Uuid id) = 0;  // NOT_FOUND

  // Opens the account with its chart of accounts, or changes the limit. A repeated request_id changes nothing and gives
  // the account as it is; with another payload ALREADY_EXISTS / REQUEST_ID_REUSED. FAILED_PRECONDITION /
  // CURRENCY_IMMUTABLE.
  virtual Result<BillingAccount> SetBillingAccount(const SetAccountCommand& command, Time now) = 0;
  virtual Result<BillingAccount> GetBillingAccount(TenantId tenant) = 0;  // NOT_FOUND

  // Errors of DecideReserve and DecideSettle.
  virtual Result<Reservation> Reserve(const ReserveCommand& command, Time now) = 0;
  virtual Result<UsageRecord> Settle(const SettleCommand& command, Time now) = 0;
  // Tenants with open holds whose time is over, ordered by id, those after `after`. Costs nothing for the others.
  virtual Result<std::vector<TenantId>> TenantsWithDueHolds(Time now, std::optional<TenantId> after, int limit) = 0;
  // Releases at most `limit` holds whose time is over, oldest first; returns how many.
  virtual Result<int> ExpireReservations(TenantId tenant, Time now, int limit) = 0;

  // Leases live by the clock of the store. Errors of DecideAdjustLease; INSUFFICIENT_FUNDS is in the answer, and says
  // when to ask again if other leases were recalled.
  virtual Result<LeaseAdjustment> AdjustLease(const AdjustLeaseCommand& command) = 0;
  // One answer for each of the command's, in that order: errors of DecideSettleBatch. All that are recorded are so in
  // one transaction.
  virtual Result<std::vector<Result<SettledUsage>>> SettleBatch(const SettleBatchCommand& command, Time now) = 0;
  // Open leases of the gateway but for those in `current`, in order, those after `after`.
  virtual Result<std::vector<LeaseKey>> LeasesBesides(Uuid gateway, const std::vector<Uuid>& current,
                                                      std::optional<LeaseKey> after, int limit) = 0;
  // Ends those of them that are open, and frees what remains; returns how many.
  virtual Result<int> EndLeases(TenantId tenant, const std::vector<Uuid>& leases) = 0;
  // Tenants with open leases whose time is over, ordered by id, those after `after`. Costs nothing for the others.
  virtual Result<std::vector<TenantId>> TenantsWithDueLeases(std::optional<TenantId> after, int limit) = 0;
  // Ends at most `limit` leases whose time is over, oldest first; returns how many.
  virtual Result<int> ExpireLeases(TenantId tenant, int limit) = 0;

  virtual Result<std::vector<UsageRecord>> ListUsageRecords(const UsageQuery& query) = 0;
  // What was billed, ordered by instance, variant, price book, class; at most `limit`. Kept up with each settlement:
  // costs the same however many requests there were.
  virtual Result<std::vector<InvoiceLine>> SumMonth(const MonthQuery& query) = 0;
  // Charges of the month that no invoice has yet, at most `limit`, and what price terms do to it. To a project those of
  // its instances.
  virtual Result<std::vector<Charge>> OpenCharges(const MonthQuery& query) = 0;

  // Ordered by code, those after `after`.
  virtual Result<std::vector<LedgerAccount>> ListLedgerAccounts(TenantId tenant, const std::string& after,
                                                                int limit) = 0;
  virtual Result<TenantAudit> AuditTenant(TenantId tenant, Time now, const std::optional<UsageRange>& recent) = 0;
  // Payouts to publishers that do not add up, by name; at most `limit`; none.
  virtual Result<std::vector<std::string>> MismatchedPayouts(int limit) = 0;
  // Tenants that have a billing account, ordered by id, those after `after`.
  virtual Result<std::vector<KnownTenant>> ListKnownTenants(std::optional<TenantId> after, int limit) = 0;

  // Records what is new of at most kComputedBatchMax events of one tenant; they have passed CheckComputedUsage.
  virtual Result<RecordedEvents> RecordComputedUsage(TenantId tenant, const std::vector<ComputedUsage>& events) = 0;
  virtual Result<std::vector<ComputedUsage>> ListComputedUsage(const ComputedQuery& query) = 0;
  // Of one tenant, in one snapshot.
  virtual Result<UsageCheck> CheckUsage(TenantId tenant, const UsageRange& range, Time now) = 0;
};

}  // namespace allod::billing
