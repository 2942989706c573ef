// Revenue shares and payouts in PostgreSQL (migrations/billing). What publishers earned is written there by the trigger
// on invoices (book_publisher_shares); this store reads no row of a tenant.
#pragma once

#include "services/billing/payouts/payout_store.h"
#include "services/common/pg/pool.h"

namespace allod::billing::payouts {

class PgPayoutStore final : public PayoutStore {
 public:
  // Connects as the role allod_billing and outlives the store.
  explicit PgPayoutStore(PgPool& pool) : pool_(pool) {}

  Result<RevenueShare> SetRevenueShare(const RevenueShare& share) override;
  Result<std::vector<RevenueShare>> ListRevenueShares(const std::string& after, int limit) override;
  Result<Payout> FinalisePayout(const PayoutKey& key, const std::string& legal_entity, Time now) override;
  Result<Payout> GetPayout(const PayoutKey& key) override;
  Result<std::vector<Payout>> ListPayouts(const std::string& after, int limit) override;
  Result<Payout> RecordPayment(const PayoutKey& key, const Payment& payment) override;

 private:
  PgPool& pool_;
};

}  // namespace allod::billing::payouts
