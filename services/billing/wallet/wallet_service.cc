#include "services/billing/wallet/wallet_service.h"

#include "services/billing/refusals.h"
#include "services/billing/wallet/convert_wallet.h"
#include "services/common/fault_point.h"
#include "services/common/rpc/server.h"

namespace allod::billing::wallet {

grpc::Status WalletServiceImpl::GetWallet(grpc::ServerContext* context, const v1::GetWalletRequest* request,
                                          v1::Wallet* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Wallet> {
    ALLOD_TRY(const std::string tenant_name, TenantOfWallet(request->name()));
    ALLOD_TRY(const TenantId tenant, TenantId::FromName(tenant_name));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const Wallet wallet, store_.FindWallet(tenant));
    ALLOD_TRY(const Amount available, Available(wallet.account, Amount()));
    return ToProto(wallet, available);
  });
}

grpc::Status WalletServiceImpl::UpdateWallet(grpc::ServerContext* context, const v1::UpdateWalletRequest* request,
                                             v1::Wallet* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Wallet> {
    ALLOD_TRY(const std::string tenant_name, TenantOfWallet(request->wallet().name()));
    ALLOD_TRY(const TenantId tenant, TenantId::FromName(tenant_name));
    ALLOD_TRY(const std::optional<Amount> low_balance, LowBalanceFrom(*request));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const Wallet wallet, store_.SetLowBalance(tenant, tenant_name, low_balance));
    ALLOD_TRY(const Amount available, Available(wallet.account, Amount()));
    return ToProto(wallet, available);
  });
}

grpc::Status WalletServiceImpl::ListPayments(grpc::ServerContext* context, const v1::ListPaymentsRequest* request,
                                             v1::ListPaymentsResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListPaymentsResponse> {
    ALLOD_TRY(const PaymentsPage page, FromProto(*request));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reports, call));
    ALLOD_TRY(auto payments, store_.ListPayments(page.query));
    const auto listed = MakePage(page.page, std::move(payments), PageKeyOf);
    v1::ListPaymentsResponse out;
    for (const Payment& payment : listed.items) *out.add_payments() = ToProto(payment, request->parent());
    out.set_next_page_token(listed.next_page_token);
    return out;
  });
}

grpc::Status WalletServiceImpl::ListInvoiceBalances(grpc::ServerContext* context,
                                                    const v1::ListInvoiceBalancesRequest* request,
                                                    v1::ListInvoiceBalancesResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListInvoiceBalancesResponse> {
    ALLOD_CHECK_OK(MatchName("parent", request->parent(), "tenants/*"));
    ALLOD_TRY(const TenantId tenant, TenantId::FromName(request->parent()));
    ALLOD_TRY(const PageRequest page,
              ParsePage("invoice balances of " + request->parent(), request->page_size(), request->page_token()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reports, call));
    ALLOD_TRY(auto balances, store_.ListInvoiceBalances(tenant, page.after, page.size + 1));
    const auto listed = MakePage(page, std::move(balances), [](const InvoiceBalance& balance) { return balance.id; });
    v1::ListInvoiceBalancesResponse out;
    for (const InvoiceBalance& balance : listed.items) {
      *out.add_invoice_balances() = ToProto(balance, request->parent(), clock_.Now());
    }
    out.set_next_page_token(listed.next_page_token);
    return out;
  });
}

grpc::Status WalletServiceImpl::RedeemVoucher(grpc::ServerContext* context, const v1::RedeemVoucherRequest* request,
                                              v1::Payment* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Payment> {
    ALLOD_TRY(const RedeemCommand command, FromProto(*request));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const Payment payment, store_.RedeemVoucher(command));
    ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kRedeemCommitted));
    return ToProto(payment, command.tenant_name);
  });
}

template <typename Request>
grpc::Status WalletServiceImpl::Record(grpc::ServerContext* context, const Request* request, v1::Payment* response) {
  return Handle(context, request, response, [&](const Call&) -> Result<v1::Payment> {
    ALLOD_TRY(const PaymentCommand command, FromProto(*request));
    ALLOD_TRY(const Payment payment, store_.RecordPayment(command));
    ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kPaymentCommitted));
    return ToProto(payment, command.tenant_name);
  });
}

grpc::Status WalletServiceImpl::TopUpWallet(grpc::ServerContext* context, const v1::TopUpWalletRequest* request,
                                            v1::Payment* response) {
  return Record(context, request, response);
}

grpc::Status WalletServiceImpl::RefundWallet(grpc::ServerContext* context, const v1::RefundWalletRequest* request,
                                             v1::Payment* response) {
  return Record(context, request, response);
}

grpc::Status WalletServiceImpl::PayInvoice(grpc::ServerContext* context, const v1::PayInvoiceRequest* request,
                                           v1::Payment* response) {
  return Record(context, request, response);
}

grpc::Status WalletServiceImpl::CreateVouchers(grpc::ServerContext* context, const v1::CreateVouchersRequest* request,
                                               v1::CreateVouchersResponse* response) {
  return Handle(context, request, response, [&](const Call&) -> Result<v1::CreateVouchersResponse> {
    ALLOD_TRY(const VouchersParts parts, FromProto(*request, clock_.Now()));
    ALLOD_TRY(const std::vector<Voucher> made, store_.CreateVouchers(parts.command));
    v1::CreateVouchersResponse out;
    for (std::size_t i = 0; i < made.size(); ++i) {
      auto& row = *out.add_vouchers();
      *row.mutable_voucher() = ToProto(made[i]);
      row.set_code(parts.codes[i]);
    }
    return out;
  });
}

grpc::Status WalletServiceImpl::ListVouchers(grpc::ServerContext* context, const v1::ListVouchersRequest* request,
                                             v1::ListVouchersResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListVouchersResponse> {
    ALLOD_TRY(const PageRequest page, ParsePage("vouchers", request->page_size(), request->page_token()));
    Uuid after;
    if (!page.after.empty()) {
      ALLOD_TRY(after, Uuid::Parse(page.after));
    }
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reports, call));
    ALLOD_TRY(auto vouchers, store_.ListVouchers(after, page.size + 1));
    const auto listed =
        MakePage(page, std::move(vouchers), [](const Voucher& voucher) { return voucher.id.ToString(); });
    v1::ListVouchersResponse out;
    for (const Voucher& voucher : listed.items) *out.add_vouchers() = ToProto(voucher);
    out.set_next_page_token(listed.next_page_token);
    return out;
  });
}

}  // namespace allod::billing::wallet
