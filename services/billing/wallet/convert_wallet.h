// Messages of WalletService to domain values and back; see ../convert.h.
#pragma once

#include "allod/billing/v1/wallet.pb.h"
#include "services/billing/wallet/wallet_store.h"
#include "services/common/page_token.h"

namespace allod::billing::wallet {

// The `tenants/{tenant}` of `tenants/{tenant}/wallet`.
Result<std::string> TenantOfWallet(const std::string& name);
v1::Wallet ToProto(const Wallet& wallet, Amount available);
// Empty: nothing.
Result<std::optional<Amount>> LowBalanceFrom(const v1::UpdateWalletRequest& request);

Result<PaymentCommand> FromProto(const v1::TopUpWalletRequest& request);
Result<PaymentCommand> FromProto(const v1::RefundWalletRequest& request);
Result<PaymentCommand> FromProto(const v1::PayInvoiceRequest& request);
v1::Payment ToProto(const Payment& payment, const std::string& tenant_name);

// The query of a page; `limit` is one more than the page's size.
struct PaymentsPage {
  PageRequest page;
  PaymentsQuery query;
};
Result<PaymentsPage> FromProto(const v1::ListPaymentsRequest& request);
std::string PageKeyOf(const Payment& payment);

v1::InvoiceBalance ToProto(const InvoiceBalance& balance, const std::string& tenant_name, Time now);

// The codes, in the order of the command's digests.
struct VouchersParts {
  VouchersCommand command;
  std::vector<std::string> codes;
};
Result<VouchersParts> FromProto(const v1::CreateVouchersRequest& request, Time now);
v1::Voucher ToProto(const Voucher& voucher);
Result<RedeemCommand> FromProto(const v1::RedeemVoucherRequest& request);

}  // namespace allod::billing::wallet
