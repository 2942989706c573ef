// RPCs of InstanceTimeService. Thread-safe; borrows what it is made with.
#pragma once

#include "allod/billing/v1/instance_time.grpc.pb.h"
#include "services/billing/call_gates.h"
#include "services/billing/instance_time/instance_time_store.h"
#include "services/billing/store.h"
#include "services/common/clock.h"
#include "services/common/rpc/call.h"

namespace allod::billing::instance_time {

class InstanceTimeServiceImpl final : public v1::InstanceTimeService::Service {
 public:
  // `accounts` is asked for a tenant's currency.
  InstanceTimeServiceImpl(InstanceTimeStore& store, Store& accounts, const Clock& clock, CallGates& gates)
      : store_(store), accounts_(accounts), clock_(clock), gates_(gates) {}

  grpc::Status RecordInstanceTime(grpc::ServerContext* context, const v1::RecordInstanceTimeRequest* request,
                                  v1::RecordInstanceTimeResponse* response) override;
  grpc::Status ListInstanceTime(grpc::ServerContext* context, const v1::ListInstanceTimeRequest* request,
                                v1::ListInstanceTimeResponse* response) override;

 private:
  Result<v1::RecordInstanceTimeResponse> Record(const v1::RecordInstanceTimeRequest& request);

  InstanceTimeStore& store_;
  Store& accounts_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::billing::instance_time
