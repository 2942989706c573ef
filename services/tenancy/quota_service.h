// The RPC of QuotaService. Thread-safe; borrows the store and the clock.
#pragma once

#include "allod/tenancy/v1/quota.grpc.pb.h"
#include "services/common/clock.h"
#include "services/tenancy/call_gates.h"
#include "services/tenancy/store.h"

namespace allod::tenancy {

class QuotaServiceImpl final : public v1::QuotaService::Service {
 public:
  QuotaServiceImpl(Store& store, const Clock& clock, CallGates& gates) : store_(store), clock_(clock), gates_(gates) {}

  grpc::Status GetQuotaUse(grpc::ServerContext* context, const v1::GetQuotaUseRequest* request,
                           v1::GetQuotaUseResponse* response) override;

 private:
  Store& store_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::tenancy
