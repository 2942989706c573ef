// The store of billing in memory, for tests: the same decisions and the same ledger rules as PgStore, under one mutex.
// The contract suite keeps the two alike.
#pragma once

#include <map>
#include <mutex>
#include <set>

#include "services/billing/store.h"

namespace allod::billing {

class FakeStore : public Store {
 public:
  Result<PriceBook> CreatePriceBook(const PriceBook& book, Time now) override;
  Result<PriceBook> GetPriceBook(Uuid id) override;
  Result<BillingAccount> SetBillingAccount(const SetAccountCommand& command, Time now) override;
  Result<BillingAccount> GetBillingAccount(TenantId tenant) override;
  Result<Reservation> Reserve(const ReserveCommand& command, Time now) override;
  Result<UsageRecord> Settle(const SettleCommand& command, Time now) override;
  Result<std::vector<TenantId>> TenantsWithDueHolds(Time now, std::optional<TenantId> after, int limit) override;
  Result<int> ExpireReservations(TenantId tenant, Time now, int limit) override;
  Result<LeaseAdjustment> AdjustLease(const AdjustLeaseCommand& command) override;
  Result<std::vector<Result<SettledUsage>>> SettleBatch(const SettleBatchCommand& command, Time now) override;
  Result<std::vector<LeaseKey>> LeasesBesides(Uuid gateway, const std::vector<Uuid>& current,
                                              std::optional<LeaseKey> after, int limit) override;
  Result<int> EndLeases(TenantId tenant, const std::vector<Uuid>& leases) override;
  Result<std::vector<TenantId>> TenantsWithDueLeases(std::optional<TenantId> after, int limit) override;
  Result<int> ExpireLeases(TenantId tenant, int limit) override;
  Result<std::vector<UsageRecord>> ListUsageRecords(const UsageQuery& query) override;
  Result<std::vector<InvoiceLine>> SumMonth(const MonthQuery& query) override;
  Result<std::vector<LedgerAccount>> ListLedgerAccounts(TenantId tenant, const std::string& after, int limit) override;
  Result<TenantAudit> AuditTenant(TenantId tenant, Time now, const std::optional<UsageRange>& recent) override;
  Result<std::vector<KnownTenant>> ListKnownTenants(std::optional<TenantId> after, int limit) override;
  Result<RecordedEvents> RecordComputedUsage(TenantId tenant, const std::vector<ComputedUsage>& events) override;
  Result<std::vector<ComputedUsage>> ListComputedUsage(const ComputedQuery& query) override;
  Result<UsageCheck> CheckUsage(TenantId tenant, const UsageRange& range, Time now) override;

  // Moves the clock by which leases live: that of the machine, and what passed by this.
  void Elapse(std::chrono::seconds time);

 private:
  struct Transfer {
    Amount amount;
    bool posted = false;  // else it released the hold or made it
    Uuid lease = {};
    Amount leased = {};  // by so much what remains of the lease went up or down
    bool is_short = false;
  };
  struct Books {
    std::string tenant_name;
    std::string currency_code;
    Amount credit_limit;
    std::map<std::string, LedgerAccount> accounts;
    std::vector<Transfer> transfers;
    std::map<Uuid, Reservation> reservations;  // the newest revision of each
    std::map<Uuid, HoldState> terminal;        // of its hold
    std::set<std::pair<Time, Uuid>> open;
    std::map<Uuid, UsageRecord> usage;
    std::map<Uuid, Lease> leases;
    std::map<std::string, ComputedUsage> computed;
    std::map<Uuid, std::string> request_ids;
  };

  // Whether the instance is of the project with that id; of any if it is empty.
  static bool IsOf(const std::string& project, const std::string& instance) {
    return project.empty() || instance.find("/projects/" + project + "/") != std::string::npos;
  }
  static UsageCheck CheckUsageIn(const Books& books, const UsageRange& range, Time now);
  BillingAccount AccountOf(TenantId tenant, const Books& books) const;
  void Release(Books& books, const Reservation& reservation, HoldState state);
  void Post(Books& books, Amount amount);
  Time LeaseNow() const { return std::chrono::system_clock::now() + elapsed_; }
  // Moves money into the lease, or out of it.
  void MoveLeased(Books& books, Lease& lease, Amount amount);
  int End(Books& books, const std::vector<Uuid>& leases);
  TermsPrice PriceOf(const PriceTerms& terms, const std::string& currency_code) const;
  SettleBatchState BatchState(const SettleBatchCommand& command) const;
  static void AuditLeases(const Books& books, Time now, Amount& held, TenantAudit& audit);

  std::mutex mutex_;
  std::map<Uuid, PriceBook> price_books_;
  std::map<TenantId, Books> books_;
  std::chrono::seconds elapsed_{0};
};

}  // namespace allod::billing
