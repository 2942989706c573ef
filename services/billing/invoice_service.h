// RPCs of InvoiceService. Thread-safe; borrows the store and the clock.
#pragma once

#include "allod/billing/v1/invoice.grpc.pb.h"
#include "services/billing/store.h"
#include "services/common/clock.h"

namespace allod::billing {

class InvoiceServiceImpl final : public v1::InvoiceService::Service {
 public:
  InvoiceServiceImpl(Store& store, const Clock& clock) : store_(store), clock_(clock) {}

  grpc::Status GetInvoice(grpc::ServerContext* context, const v1::GetInvoiceRequest* request,
                          v1::Invoice* response) override;

 private:
  Store& store_;
  const Clock& clock_;
};

}  // namespace allod::billing
