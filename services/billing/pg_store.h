// The store of billing on PostgreSQL (migrations/billing). Two round trips inside each hot transaction: lock and read
// (billing.lock_for_*), then one statement that writes all of it.
//
// When a connection is lost during COMMIT the row that the transaction would have written is looked up by the request
// id, so a request is never counted twice nor forgotten.
#pragma once

#include "services/billing/store.h"
#include "services/common/audit/pg_log.h"
#include "services/common/pg/pool.h"

namespace allod::billing {

class PgStore final : public Store {
 public:
  // Pools connect as the role allod_billing and outlive the store. What moves money has connections of its own
  // (reservations, leases, settlements and expiry), so that neither reports nor anything else can keep it from one;
  // reports have theirs, and all else uses `desk`.
  PgStore(PgPool& money, PgPool& desk, PgPool& reports) : money_(money), desk_(desk), reports_(reports) {}
  explicit PgStore(PgPool& pool) : PgStore(pool, pool, pool) {}

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
  Result<std::vector<std::string>> MismatchedPayouts(int limit) override;
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

 private:
  static UsageCheck CheckUsageIn(TenantTx& tx, const UsageRange& range, Time now);

  PgPool& money_;
  PgPool& desk_;
  PgPool& reports_;
  const audit::PgLog audit_{"billing"};
};

}  // namespace allod::billing
