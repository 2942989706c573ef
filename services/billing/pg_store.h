// The store of billing on PostgreSQL (migrations/billing). Two round trips inside each hot transaction: lock and read
// (billing.lock_for_*), then one statement that writes all of it.
//
// When a connection is lost during COMMIT the row that the transaction would have written is looked up by the request
// id, so a request is never counted twice nor forgotten.
#pragma once

#include "services/billing/store.h"
#include "services/common/pg.h"

namespace allod::billing {

class PgStore final : public Store {
 public:
  // `pool` connects as the role allod_billing and outlives the store.
  explicit PgStore(PgPool& pool) : pool_(pool) {}

  Result<PriceBook> CreatePriceBook(const PriceBook& book, Time now) override;
  Result<PriceBook> GetPriceBook(Uuid id) override;
  Result<BillingAccount> SetBillingAccount(const SetAccountCommand& command, Time now) override;
  Result<BillingAccount> GetBillingAccount(TenantId tenant) override;
  Result<Reservation> Reserve(const ReserveCommand& command, Time now) override;
  Result<UsageRecord> Settle(const SettleCommand& command, Time now) override;
  Result<int> ExpireReservations(TenantId tenant, Time now, int limit) override;
  Result<std::vector<UsageRecord>> ListUsageRecords(const UsageQuery& query) override;
  Result<std::vector<InvoiceLine>> SumUsage(TenantId tenant, Time start, Time end, std::size_t limit) override;
  Result<std::vector<LedgerAccount>> ListLedgerAccounts(TenantId tenant, const std::string& after, int limit) override;
  Result<TenantAudit> AuditTenant(TenantId tenant) override;
  Result<std::vector<KnownTenant>> ListKnownTenants(std::optional<TenantId> after, int limit) override;
  Result<RecordedEvents> RecordComputedUsage(TenantId tenant, const std::vector<ComputedUsage>& events) override;
  Result<std::vector<ComputedUsage>> ListComputedUsage(const ComputedQuery& query) override;
  Result<UsageCheck> CheckUsage(TenantId tenant, Time start, Time end, std::size_t findings_max) override;

 private:
  PgPool& pool_;
};

}  // namespace allod::billing
