// RPCs of InvoiceService. Thread-safe; borrows the store, the clock and the gates.
#pragma once

#include "allod/billing/v1/invoice.grpc.pb.h"
#include "services/billing/call_gates.h"
#include "services/billing/store.h"
#include "services/common/clock.h"

namespace allod::billing {

class InvoiceServiceImpl final : public v1::InvoiceService::Service {
 public:
  InvoiceServiceImpl(Store& store, const Clock& clock, CallGates& gates)
      : store_(store), clock_(clock), gates_(gates) {}

  grpc::Status GetInvoice(grpc::ServerContext* context, const v1::GetInvoiceRequest* request,
                          v1::Invoice* response) override;

 private:
  Store& store_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::billing
