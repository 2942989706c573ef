// RPCs of ComputedUsageService. Thread-safe; borrows the store, the clock and the gates.
#pragma once

#include "allod/billing/v1/computed_usage.grpc.pb.h"
#include "services/billing/call_gates.h"
#include "services/billing/store.h"
#include "services/common/clock.h"
#include "services/common/rpc/call.h"

namespace allod::billing {

class ComputedUsageServiceImpl final : public v1::ComputedUsageService::Service {
 public:
  ComputedUsageServiceImpl(Store& store, const Clock& clock, CallGates& gates)
      : store_(store), clock_(clock), gates_(gates) {}

  // A node speaks for itself only: an event of another node is refused.
  grpc::Status RecordComputedUsage(grpc::ServerContext* context, const v1::RecordComputedUsageRequest* request,
                                   v1::RecordComputedUsageResponse* response) override;
  grpc::Status ListComputedUsage(grpc::ServerContext* context, const v1::ListComputedUsageRequest* request,
                                 v1::ListComputedUsageResponse* response) override;
  grpc::Status CheckUsage(grpc::ServerContext* context, const v1::CheckUsageRequest* request,
                          v1::CheckUsageResponse* response) override;

 private:
  Result<v1::RecordComputedUsageResponse> Record(const Call& call, const v1::RecordComputedUsageRequest& request);
  Result<v1::CheckUsageResponse> Check(const Call& call, const v1::CheckUsageRequest& request);

  Store& store_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::billing
