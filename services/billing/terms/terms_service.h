// RPCs of PriceTermsService. Thread-safe; borrows the store, the clock and the gates.
#pragma once

#include "allod/billing/v1/price_terms.grpc.pb.h"
#include "services/billing/call_gates.h"
#include "services/billing/terms/terms_store.h"
#include "services/common/clock.h"

namespace allod::billing::terms {

class PriceTermsServiceImpl final : public v1::PriceTermsService::Service {
 public:
  PriceTermsServiceImpl(TermsStore& store, const Clock& clock, CallGates& gates)
      : store_(store), clock_(clock), gates_(gates) {}

  grpc::Status SetPriceTerms(grpc::ServerContext* context, const v1::SetPriceTermsRequest* request,
                             v1::AgreedTerms* response) override;
  grpc::Status GetPriceTerms(grpc::ServerContext* context, const v1::GetPriceTermsRequest* request,
                             v1::AgreedTerms* response) override;
  grpc::Status ListPriceTerms(grpc::ServerContext* context, const v1::ListPriceTermsRequest* request,
                              v1::ListPriceTermsResponse* response) override;

 private:
  TermsStore& store_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::billing::terms
