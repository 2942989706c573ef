// RPCs of PayoutService. Thread-safe; borrows what it is made of.
#pragma once

#include "allod/billing/v1/payout.grpc.pb.h"
#include "services/billing/call_gates.h"
#include "services/billing/payouts/payout_store.h"
#include "services/billing/typesetting/typesetter.h"
#include "services/common/clock.h"

namespace allod::billing::payouts {

class PayoutServiceImpl final : public v1::PayoutService::Service {
 public:
  PayoutServiceImpl(PayoutStore& store, typesetting::Typesetter& typesetter, const Clock& clock, CallGates& gates)
      : store_(store), typesetter_(typesetter), clock_(clock), gates_(gates) {}

  grpc::Status SetRevenueShare(grpc::ServerContext* context, const v1::SetRevenueShareRequest* request,
                               v1::RevenueShare* response) override;
  grpc::Status ListRevenueShares(grpc::ServerContext* context, const v1::ListRevenueSharesRequest* request,
                                 v1::ListRevenueSharesResponse* response) override;
  grpc::Status FinalisePayout(grpc::ServerContext* context, const v1::FinalisePayoutRequest* request,
                              v1::Payout* response) override;
  grpc::Status GetPayout(grpc::ServerContext* context, const v1::GetPayoutRequest* request,
                         v1::Payout* response) override;
  grpc::Status ListPayouts(grpc::ServerContext* context, const v1::ListPayoutsRequest* request,
                           v1::ListPayoutsResponse* response) override;
  grpc::Status GetPayoutDocument(grpc::ServerContext* context, const v1::GetPayoutDocumentRequest* request,
                                 v1::InvoiceDocument* response) override;
  grpc::Status RecordPayoutPayment(grpc::ServerContext* context, const v1::RecordPayoutPaymentRequest* request,
                                   v1::Payout* response) override;

 private:
  PayoutStore& store_;
  typesetting::Typesetter& typesetter_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::billing::payouts
