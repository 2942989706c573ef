// RPCs of google.longrunning.Operations for the operations of instances. Thread-safe; borrows what it is given.
#pragma once

#include <google/longrunning/operations.grpc.pb.h>

#include <atomic>

#include "services/common/rpc/caller.h"
#include "services/scheduling/broadcast.h"
#include "services/scheduling/store.h"

namespace allod::scheduling {

class OperationsServiceImpl final : public google::longrunning::Operations::Service {
 public:
  // Waits longer than this are cut; more waits at once than `waits_max` answer at once with the latest state, which
  // WaitOperation allows.
  static constexpr std::chrono::milliseconds kWaitMax{30'000};
  static constexpr int kWaitsMax = 64;

  // `progress` changes whenever an operation may have.
  OperationsServiceImpl(Store& store, const Broadcast<std::uint64_t>& progress) : store_(store), progress_(progress) {}

  grpc::Status GetOperation(grpc::ServerContext* context, const google::longrunning::GetOperationRequest* request,
                            google::longrunning::Operation* response) override;
  // `name` is `tenants/{tenant}`; newest first; no filter.
  grpc::Status ListOperations(grpc::ServerContext* context, const google::longrunning::ListOperationsRequest* request,
                              google::longrunning::ListOperationsResponse* response) override;
  grpc::Status WaitOperation(grpc::ServerContext* context, const google::longrunning::WaitOperationRequest* request,
                             google::longrunning::Operation* response) override;

 private:
  Result<google::longrunning::Operation> Wait(const grpc::ServerContext& context, const Caller& caller,
                                              const google::longrunning::WaitOperationRequest& request);

  Store& store_;
  const Broadcast<std::uint64_t>& progress_;
  std::atomic<int> waits_ = 0;
};

}  // namespace allod::scheduling
