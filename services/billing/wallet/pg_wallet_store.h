// Wallets on PostgreSQL (migrations/billing/0016_create_wallets.sql), behind the lock of the tenant's account like all
// that moves its money.
#pragma once

#include "services/billing/wallet/wallet_store.h"
#include "services/common/audit/pg_log.h"
#include "services/common/pg/pool.h"

namespace allod::billing::wallet {

class PgWalletStore final : public WalletStore {
 public:
  // The pools connect as allod_billing and outlive it.
  PgWalletStore(PgPool& desk, PgPool& reports) : desk_(desk), reports_(reports) {}
  explicit PgWalletStore(PgPool& pool) : PgWalletStore(pool, pool) {}

  Result<Wallet> FindWallet(TenantId tenant) override;
  Result<Wallet> SetLowBalance(TenantId tenant, const std::string& tenant_name,
                               std::optional<Amount> low_balance) override;
  Result<std::vector<TenantId>> TenantsWithCrossedBalances(std::optional<TenantId> after, int limit) override;
  Result<bool> TellOfBalance(TenantId tenant) override;
  Result<Payment> RecordPayment(const PaymentCommand& command) override;
  Result<std::vector<Payment>> ListPayments(const PaymentsQuery& query) override;
  Result<std::vector<InvoiceBalance>> ListInvoiceBalances(TenantId tenant, const std::string& before,
                                                          int limit) override;
  Result<std::vector<Voucher>> CreateVouchers(const VouchersCommand& command) override;
  Result<std::vector<Voucher>> ListVouchers(Uuid after, int limit) override;
  Result<Payment> RedeemVoucher(const RedeemCommand& command) override;

 private:
  PgPool& desk_;
  PgPool& reports_;
  const audit::PgLog audit_{"billing"};
};

}  // namespace allod::billing::wallet
