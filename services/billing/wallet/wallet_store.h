// The storage port of wallets. As for all of billing (../store.h): every method is one whole transaction, thread-safe
// and blocking, and may fail with UNAVAILABLE when the database cannot be reached.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/billing/wallet/wallet.h"

namespace allod::billing::wallet {

// Newest first.
struct PaymentsQuery {
  TenantId tenant;
  int limit = 50;
  std::optional<Time> before_time;  // with before_id the last one of the page before
  Uuid before_id;
};

class WalletStore {
 public:
  virtual ~WalletStore() = default;

  virtual Result<Wallet> FindWallet(TenantId tenant) = 0;  // NOT_FOUND
  // Nothing: it is not told. FAILED_PRECONDITION / NO_BILLING_ACCOUNT.
  virtual Result<Wallet> SetLowBalance(TenantId tenant, const std::string& tenant_name,
                                       std::optional<Amount> low_balance) = 0;
  // Whose balance has fallen below what they said, or is above it again; ordered by id, those after `after`. Costs
  // nothing for tenants that are not told.
  virtual Result<std::vector<TenantId>> TenantsWithCrossedBalances(std::optional<TenantId> after, int limit) = 0;
  // Adds the event `wallet.low` if it has fallen and was not told of; says whether it did.
  virtual Result<bool> TellOfBalance(TenantId tenant) = 0;
  // Errors of DecidePayment.
  virtual Result<Payment> RecordPayment(const PaymentCommand& command) = 0;
  virtual Result<std::vector<Payment>> ListPayments(const PaymentsQuery& query) = 0;
  // Of issued invoices, newest first, those before the id `before` if it is not empty.
  virtual Result<std::vector<InvoiceBalance>> ListInvoiceBalances(TenantId tenant, const std::string& before,
                                                                  int limit) = 0;

  // One for each digest, in that order. They have passed CheckVoucher. ALREADY_EXISTS / VOUCHERS_MADE.
  virtual Result<std::vector<Voucher>> CreateVouchers(const VouchersCommand& command) = 0;
  // Ordered by id, those after `after`.
  virtual Result<std::vector<Voucher>> ListVouchers(Uuid after, int limit) = 0;
  // Errors of DecideRedeem. What was no voucher's is counted although it is refused.
  virtual Result<Payment> RedeemVoucher(const RedeemCommand& command) = 0;
};

}  // namespace allod::billing::wallet
