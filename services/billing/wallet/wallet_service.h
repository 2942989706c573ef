// RPCs of WalletService. Thread-safe; borrows the store, the clock and the gates.
#pragma once

#include "allod/billing/v1/wallet.grpc.pb.h"
#include "services/billing/call_gates.h"
#include "services/billing/wallet/wallet_store.h"
#include "services/common/clock.h"

namespace allod::billing::wallet {

class WalletServiceImpl final : public v1::WalletService::Service {
 public:
  WalletServiceImpl(WalletStore& store, const Clock& clock, CallGates& gates)
      : store_(store), clock_(clock), gates_(gates) {}

  grpc::Status GetWallet(grpc::ServerContext* context, const v1::GetWalletRequest* request,
                         v1::Wallet* response) override;
  grpc::Status UpdateWallet(grpc::ServerContext* context, const v1::UpdateWalletRequest* request,
                            v1::Wallet* response) override;
  grpc::Status ListPayments(grpc::ServerContext* context, const v1::ListPaymentsRequest* request,
                            v1::ListPaymentsResponse* response) override;
  grpc::Status ListInvoiceBalances(grpc::ServerContext* context, const v1::ListInvoiceBalancesRequest* request,
                                   v1::ListInvoiceBalancesResponse* response) override;
  grpc::Status RedeemVoucher(grpc::ServerContext* context, const v1::RedeemVoucherRequest* request,
                             v1::Payment* response) override;
  grpc::Status TopUpWallet(grpc::ServerContext* context, const v1::TopUpWalletRequest* request,
                           v1::Payment* response) override;
  grpc::Status RefundWallet(grpc::ServerContext* context, const v1::RefundWalletRequest* request,
                            v1::Payment* response) override;
  grpc::Status PayInvoice(grpc::ServerContext* context, const v1::PayInvoiceRequest* request,
                          v1::Payment* response) override;
  grpc::Status CreateVouchers(grpc::ServerContext* context, const v1::CreateVouchersRequest* request,
                              v1::CreateVouchersResponse* response) override;
  grpc::Status ListVouchers(grpc::ServerContext* context, const v1::ListVouchersRequest* request,
                            v1::ListVouchersResponse* response) override;

 private:
  template <typename Request>
  grpc::Status Record(grpc::ServerContext* context, const Request* request, v1::Payment* response);

  WalletStore& store_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::billing::wallet
