// The store of billing in memory, for tests: the same decisions and the same ledger rules as PgStore, under one mutex.
// The contract suite keeps the two alike.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <tuple>

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
  Result<std::vector<Charge>> OpenCharges(const MonthQuery& query) override;
  Result<std::vector<LedgerAccount>> ListLedgerAccounts(TenantId tenant, const std::string& after, int limit) override;
  Result<TenantAudit> AuditTenant(TenantId tenant, Time now, const std::optional<UsageRange>& recent) override;
  Result<std::vector<std::string>> MismatchedPayouts(int) override { return std::vector<std::string>(); }
  Result<std::vector<KnownTenant>> ListKnownTenants(std::optional<TenantId> after, int limit) override;
  Result<RecordedEvents> RecordComputedUsage(TenantId tenant, const std::vector<ComputedUsage>& events) override;
  Result<std::vector<ComputedUsage>> ListComputedUsage(const ComputedQuery& query) override;
  Result<UsageCheck> CheckUsage(TenantId tenant, const UsageRange& range, Time now) override;
  Result<LegalEntity> SetLegalEntity(const LegalEntity& entity, Time now) override;
  Result<LegalEntity> GetLegalEntity(const std::string& id) override;
  Result<std::vector<LegalEntity>> ListLegalEntities(const std::string& after, int limit) override;
  Result<BillingProfile> SetBillingProfile(const BillingProfile& profile, Time now) override;
  Result<BillingProfile> GetBillingProfile(TenantId tenant) override;
  Result<IssuedInvoice> FinaliseInvoice(const FinaliseCommand& command, Time now) override;
  Result<IssuedInvoice> CreateCreditNote(const CreditCommand& command, Time now) override;
  Result<IssuedInvoice> FindInvoice(TenantId tenant, const std::string& id) override;
  Result<IssuedLine> FindInvoiceLine(TenantId tenant, const std::string& id, std::int32_t number) override;
  Result<std::vector<IssuedInvoice>> ListInvoices(TenantId tenant, const std::string& before, int limit) override;
  Result<std::vector<DuePeriod>> TenantsWithDuePeriods(Time before, std::optional<TenantId> after, int limit) override;

  // A charge that waits for an invoice.
  void AddOpenCharge(TenantId tenant, Charge charge);
  // Moves the clock by which leases live: that of the machine, and what passed by this.
  void Elapse(std::chrono::seconds time);

 private:
  struct Transfer {
    Amount amount;
    bool posted = false;  // else it released the hold or made it
    std::string debit = {}, credit = {};
    bool is_usage = false;
    Uuid lease = {};
    Amount leased = {};  // by so much what remains of the lease went up or down
    bool is_short = false;
  };
  // Month, instance, variant, price book, class.
  using TotalsKey = std::tuple<Time, std::string, std::string, Uuid, std::string>;
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
    std::map<TotalsKey, OpenUsage> invoiced;  // without their totals
    std::int32_t invoice_epoch = 0;
    std::map<Uuid, std::int32_t> epochs;  // of usage before this epoch
    std::vector<Charge> charges;          // that no invoice has
    std::optional<BillingProfile> profile;
    std::map<std::string, IssuedInvoice> issued;
  };

  // Whether the instance is of the project with that id; of any if it is empty.
  static bool IsOf(const std::string& project, const std::string& instance) {
    return project.empty() || instance.find("/projects/" + project + "/") != std::string::npos;
  }
  static UsageCheck CheckUsageIn(const Books& books, const UsageRange& range, Time now);
  BillingAccount AccountOf(TenantId tenant, const Books& books) const;
  void Release(Books& books, const Reservation& reservation, HoldState state);
  void Move(Books& books, std::string_view debit, std::string_view credit, Amount amount);
  void Post(Books& books, Amount amount);  // of usage
  Time LeaseNow() const { return std::chrono::system_clock::now() + elapsed_; }
  // Moves money into the lease, or out of it.
  void MoveLeased(Books& books, Lease& lease, Amount amount);
  int End(Books& books, const std::vector<Uuid>& leases);
  KeyPrice PriceOf(const PriceKey& terms, const std::string& currency_code) const;
  SettleBatchState BatchState(const SettleBatchCommand& command) const;
  static void AuditLeases(const Books& books, Time now, Amount& held, TenantAudit& audit);
  // By month first, with what is invoiced of each.
  static std::map<TotalsKey, OpenUsage> Totals(const Books& books);
  static bool IsOfLine(const Books& books, const UsageRecord& record, const IssuedLine& line);
  // Numbers it, and books it.
  IssuedInvoice Issue(Books& books, IssuedInvoice doc);

  std::mutex mutex_;
  std::map<Uuid, PriceBook> price_books_;
  std::map<std::string, LegalEntity> legal_entities_;
  std::map<std::pair<std::string, IssuedInvoice::Kind>, std::pair<std::int64_t, Time>> numbers_;  // last, and when
  std::map<TenantId, Books> books_;
  std::chrono::seconds elapsed_{0};
};

}  // namespace allod::billing
