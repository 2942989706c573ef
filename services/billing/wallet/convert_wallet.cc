#include "services/billing/wallet/convert_wallet.h"

#include <fmt/format.h>

#include "services/billing/convert.h"
#include "services/common/pg/micros.h"
#include "services/common/rpc/timestamp.h"
#include "services/common/text_check.h"

namespace allod::billing::wallet {
namespace {

// What the three requests of an operator have alike.
template <typename Request>
Result<PaymentCommand> CommandOf(const Request& request, PaymentKind kind, std::string_view method,
                                 const std::string& tenant_name, const std::string& invoice) {
  PaymentCommand out{.tenant_name = tenant_name,
                     .kind = kind,
                     .amount = request.amount(),
                     .invoice = invoice,
                     .reference = request.reference()};
  ALLOD_TRY(out.tenant, TenantId::FromName(tenant_name));
  ALLOD_CHECK_OK(Amount::Parse("amount", request.amount()));
  ALLOD_CHECK_OK(CheckText("reference", request.reference(), 0, kReferenceCharsMax));
  if (request.request_id().empty()) {
    return InvalidArgument("INVALID_REQUEST_ID", "request_id: is required, so that no retry counts the money twice");
  }
  ALLOD_TRY(out.request,
            MakeRequestId(request.request_id(), method,
                          fmt::format("{}\n{}\n{}\n{}", tenant_name, invoice, request.amount(), request.reference())));
  return out;
}

v1::Payment::Kind KindOf(PaymentKind kind) {
  switch (kind) {
    case PaymentKind::kTopUp:
      return v1::Payment::KIND_TOP_UP;
    case PaymentKind::kVoucher:
      return v1::Payment::KIND_VOUCHER;
    case PaymentKind::kRefund:
      return v1::Payment::KIND_REFUND;
    case PaymentKind::kInvoice:
      return v1::Payment::KIND_INVOICE;
    case PaymentKind::kWalletToInvoice:
      return v1::Payment::KIND_WALLET_TO_INVOICE;
    case PaymentKind::kOverpayment:
      return v1::Payment::KIND_OVERPAYMENT;
  }
  return v1::Payment::KIND_UNSPECIFIED;
}

v1::InvoiceBalance::State StateOf(const InvoiceBalance& balance, Time now) {
  if (balance.open() <= Amount()) return v1::InvoiceBalance::STATE_PAID;
  return now > balance.due_time ? v1::InvoiceBalance::STATE_OVERDUE : v1::InvoiceBalance::STATE_OPEN;
}

}  // namespace

Result<std::string> TenantOfWallet(const std::string& name) {
  ALLOD_CHECK_OK(MatchName("name", name, "tenants/*/wallet"));
  return TenantOf(name);
}

v1::Wallet ToProto(const Wallet& wallet, Amount available) {
  const BillingAccount& account = wallet.account;
  v1::Wallet out;
  out.set_name(account.tenant_name + "/wallet");
  *out.mutable_balance() = billing::ToProto(account.wallet, account.currency_code);
  *out.mutable_owed() = billing::ToProto(account.posted, account.currency_code);
  *out.mutable_held() = billing::ToProto(account.held, account.currency_code);
  *out.mutable_credit_limit() = billing::ToProto(account.credit_limit, account.currency_code);
  *out.mutable_available() = billing::ToProto(available, account.currency_code);
  if (wallet.low_balance) out.set_low_balance(wallet.low_balance->ToString());
  return out;
}

Result<std::optional<Amount>> LowBalanceFrom(const v1::UpdateWalletRequest& request) {
  if (request.wallet().low_balance().empty()) return std::nullopt;
  ALLOD_TRY(const Amount out, Amount::Parse("wallet.low_balance", request.wallet().low_balance()));
  ALLOD_CHECK_OK(CheckLowBalance(out));
  return out;
}

Result<PaymentCommand> FromProto(const v1::TopUpWalletRequest& request) {
  ALLOD_TRY(const std::string tenant, TenantOfWallet(request.name()));
  return CommandOf(request, PaymentKind::kTopUp, "TopUpWallet", tenant, "");
}

Result<PaymentCommand> FromProto(const v1::RefundWalletRequest& request) {
  ALLOD_TRY(const std::string tenant, TenantOfWallet(request.name()));
  return CommandOf(request, PaymentKind::kRefund, "RefundWallet", tenant, "");
}

Result<PaymentCommand> FromProto(const v1::PayInvoiceRequest& request) {
  ALLOD_TRY(const auto parts, MatchName("invoice", request.invoice(), "tenants/*/invoices/*"));
  return CommandOf(request, PaymentKind::kInvoice, "PayInvoice", TenantOf(request.invoice()), parts.at(1));
}

v1::Payment ToProto(const Payment& payment, const std::string& tenant_name) {
  v1::Payment out;
  out.set_name(fmt::format("{}/payments/{}", tenant_name, payment.id.ToString()));
  out.set_kind(KindOf(payment.kind));
  *out.mutable_amount() = billing::ToProto(payment.amount, payment.currency_code);
  if (!payment.invoice.empty()) out.set_invoice(tenant_name + "/invoices/" + payment.invoice);
  out.set_reference(payment.reference);
  *out.mutable_create_time() = ToTimestamp(payment.create_time);
  return out;
}

std::string PageKeyOf(const Payment& payment) {
  return fmt::format("{}/{}", ToMicros(payment.create_time), payment.id.ToString());
}

Result<PaymentsPage> FromProto(const v1::ListPaymentsRequest& request) {
  PaymentsPage out;
  ALLOD_TRY(out.query.tenant, ParseTenant("parent", request.parent()));
  ALLOD_TRY(out.page, ParsePage("payments of " + request.parent(), request.page_size(), request.page_token()));
  if (const std::string& after = out.page.after; !after.empty()) {
    const std::size_t slash = after.find('/');
    ALLOD_TRY(out.query.before_id, Uuid::Parse(after.substr(slash + 1)));
    out.query.before_time = FromMicros(std::strtoll(after.c_str(), nullptr, 10));
  }
  out.query.limit = out.page.size + 1;
  return out;
}

v1::InvoiceBalance ToProto(const InvoiceBalance& balance, const std::string& tenant_name, Time now) {
  v1::InvoiceBalance out;
  out.set_invoice(tenant_name + "/invoices/" + balance.id);
  out.set_number(balance.number);
  out.set_state(StateOf(balance, now));
  *out.mutable_payable() = billing::ToProto(balance.payable, balance.currency_code);
  *out.mutable_credited() = billing::ToProto(balance.credited, balance.currency_code);
  *out.mutable_paid() = billing::ToProto(balance.paid, balance.currency_code);
  *out.mutable_open() = billing::ToProto(balance.open(), balance.currency_code);
  *out.mutable_due_time() = ToTimestamp(balance.due_time);
  return out;
}

Result<VouchersParts> FromProto(const v1::CreateVouchersRequest& request, Time now) {
  VouchersParts out;
  Voucher& voucher = out.command.voucher;
  voucher.currency_code = request.voucher().amount().currency_code();
  ALLOD_TRY(voucher.amount, Amount::Parse("voucher.amount.amount", request.voucher().amount().amount()));
  voucher.uses_max = request.voucher().uses_max() == 0 ? 1 : request.voucher().uses_max();
  ALLOD_TRY(voucher.expire_time, TimeFrom("voucher.expire_time", request.voucher().expire_time()));
  voucher.note = request.voucher().note();
  ALLOD_CHECK_OK(CheckText("voucher.note", voucher.note, 0, kReferenceCharsMax));
  ALLOD_CHECK_OK(CheckVoucher(voucher, now));
  ALLOD_TRY(out.command.request_id, Uuid::Parse(request.request_id()));
  if (request.count() < 1 || request.count() > kVouchersPerRequestMax) {
    return InvalidArgument("INVALID_COUNT",
                           fmt::format("count: {} is not from 1 to {}", request.count(), kVouchersPerRequestMax));
  }
  for (int i = 0; i < request.count(); ++i) {
    out.codes.push_back(NewVoucherCode());
    ALLOD_TRY(out.command.codes_sha256.emplace_back(), VoucherDigest(out.codes.back()));
  }
  return out;
}

v1::Voucher ToProto(const Voucher& voucher) {
  v1::Voucher out;
  out.set_name("vouchers/" + voucher.id.ToString());
  *out.mutable_amount() = billing::ToProto(voucher.amount, voucher.currency_code);
  out.set_uses_max(voucher.uses_max);
  out.set_used(voucher.used);
  *out.mutable_expire_time() = ToTimestamp(voucher.expire_time);
  out.set_note(voucher.note);
  return out;
}

Result<RedeemCommand> FromProto(const v1::RedeemVoucherRequest& request) {
  RedeemCommand out;
  ALLOD_TRY(out.tenant_name, TenantOfWallet(request.name()));
  ALLOD_TRY(out.tenant, TenantId::FromName(out.tenant_name));
  ALLOD_TRY(out.code_sha256, VoucherDigest(request.code()));
  ALLOD_TRY(out.request, MakeRequestId(request.request_id(), "RedeemVoucher",
                                       fmt::format("{}\n{}", out.tenant_name, out.code_sha256)));
  return out;
}

}  // namespace allod::billing::wallet
