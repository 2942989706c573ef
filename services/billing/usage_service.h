// RPCs of UsageService. Thread-safe; borrows the store, the clock and the gates.
#pragma once

#include "allod/billing/v1/usage.grpc.pb.h"
#include "services/billing/call_gates.h"
#include "services/billing/store.h"
#include "services/common/clock.h"

namespace allod::billing {

class UsageServiceImpl final : public v1::UsageService::Service {
 public:
  UsageServiceImpl(Store& store, const Clock& clock, CallGates& gates) : store_(store), clock_(clock), gates_(gates) {}

  grpc::Status Reserve(grpc::ServerContext* context, const v1::ReserveRequest* request,
                       v1::ReserveResponse* response) override;
  grpc::Status Settle(grpc::ServerContext* context, const v1::SettleRequest* request,
                      v1::UsageRecord* response) override;
  grpc::Status ListUsageRecords(grpc::ServerContext* context, const v1::ListUsageRecordsRequest* request,
                                v1::ListUsageRecordsResponse* response) override;

 private:
  Store& store_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::billing
