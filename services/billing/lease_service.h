// RPCs of LeaseService. Thread-safe; borrows the store, the clock and the gates.
#pragma once

#include <atomic>

#include "allod/billing/v1/lease.grpc.pb.h"
#include "services/billing/call_gates.h"
#include "services/billing/recall_hub.h"
#include "services/billing/store.h"
#include "services/common/clock.h"

namespace allod::billing {

class LeaseServiceImpl final : public v1::LeaseService::Service {
 public:
  LeaseServiceImpl(Store& store, const Clock& clock, CallGates& gates) : store_(store), clock_(clock), gates_(gates) {}

  grpc::Status AdjustLease(grpc::ServerContext* context, const v1::AdjustLeaseRequest* request,
                           v1::AdjustLeaseResponse* response) override;
  grpc::Status EndEarlierLeases(grpc::ServerContext* context, const v1::EndEarlierLeasesRequest* request,
                                v1::EndEarlierLeasesResponse* response) override;
  grpc::Status WatchRecalls(grpc::ServerContext* context, const v1::WatchRecallsRequest* request,
                            grpc::ServerWriter<v1::WatchRecallsResponse>* writer) override;
  grpc::Status SettleBatch(grpc::ServerContext* context, const v1::SettleBatchRequest* request,
                           v1::SettleBatchResponse* response) override;

  // Whom its watchers are.
  RecallHub& recalls() { return recalls_; }
  // Ends the streams, so that the server need not wait for them.
  void Stop() { stopping_ = true; }

 private:
  Store& store_;
  const Clock& clock_;
  CallGates& gates_;
  RecallHub recalls_;
  std::atomic<bool> stopping_ = false;
};

}  // namespace allod::billing
