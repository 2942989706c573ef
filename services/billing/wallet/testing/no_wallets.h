// A WalletStore that answers nobody, for tests of who is let through to it.
#pragma once

#include "services/billing/wallet/wallet_store.h"

namespace allod::billing::wallet {

class NoWallets final : public WalletStore {
  static std::unexpected<Error> Asked() { return Internal("a wallet was asked for by a key of a project"); }

 public:
  Result<Wallet> FindWallet(TenantId) override { return Asked(); }
  Result<Wallet> SetLowBalance(TenantId, const std::string&, std::optional<Amount>) override { return Asked(); }
  Result<std::vector<TenantId>> TenantsWithCrossedBalances(std::optional<TenantId>, int) override { return Asked(); }
  Result<bool> TellOfBalance(TenantId) override { return Asked(); }
  Result<Payment> RecordPayment(const PaymentCommand&) override { return Asked(); }
  Result<std::vector<Payment>> ListPayments(const PaymentsQuery&) override { return Asked(); }
  Result<std::vector<InvoiceBalance>> ListInvoiceBalances(TenantId, const std::string&, int) override {
    return Asked();
  }
  Result<std::vector<Voucher>> CreateVouchers(const VouchersCommand&) override { return Asked(); }
  Result<std::vector<Voucher>> ListVouchers(Uuid, int) override { return Asked(); }
  Result<Payment> RedeemVoucher(const RedeemCommand&) override { return Asked(); }
};

}  // namespace allod::billing::wallet
