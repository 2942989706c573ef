// RPCs of CorrectionService. Thread-safe; borrows the store, the clock and the gates.
#pragma once

#include "allod/billing/v1/correction.grpc.pb.h"
#include "services/billing/call_gates.h"
#include "services/billing/corrections/correction_store.h"
#include "services/common/clock.h"

namespace allod::billing::corrections {

class CorrectionServiceImpl final : public v1::CorrectionService::Service {
 public:
  CorrectionServiceImpl(CorrectionStore& store, const Clock& clock, CallGates& gates)
      : store_(store), clock_(clock), gates_(gates) {}

  grpc::Status RerateInvoice(grpc::ServerContext* context, const v1::RerateInvoiceRequest* request,
                             v1::RerateInvoiceResponse* response) override;
  grpc::Status CreditServiceLevel(grpc::ServerContext* context, const v1::CreditServiceLevelRequest* request,
                                  v1::CreditServiceLevelResponse* response) override;

 private:
  CorrectionStore& store_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::billing::corrections
