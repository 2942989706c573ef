// RPCs of PriceBookService. Thread-safe; borrows the store, the clock and the gates.
#pragma once

#include "allod/billing/v1/price_book.grpc.pb.h"
#include "services/billing/call_gates.h"
#include "services/billing/store.h"
#include "services/common/clock.h"

namespace allod::billing {

class PriceBookServiceImpl final : public v1::PriceBookService::Service {
 public:
  PriceBookServiceImpl(Store& store, const Clock& clock, CallGates& gates)
      : store_(store), clock_(clock), gates_(gates) {}

  grpc::Status CreatePriceBook(grpc::ServerContext* context, const v1::CreatePriceBookRequest* request,
                               v1::PriceBook* response) override;
  grpc::Status GetPriceBook(grpc::ServerContext* context, const v1::GetPriceBookRequest* request,
                            v1::PriceBook* response) override;

 private:
  Store& store_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::billing
