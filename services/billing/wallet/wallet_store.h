// The storage port of wallets. As for all of billing (../store.h): every method is one whole transaction, thread-safe
// and blocking, and may fail with UNAVAILABLE when the database cannot be reached.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/billing/wallet/wallet.h"

namespace allod::billing {

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

  virtual Result<BillingAccount> FindAccount(TenantId tenant) = 0;  // NOT_FOUND
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

}  // namespace allod::billing
