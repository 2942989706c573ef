// RPCs of google.longrunning.Operations for the operations of instances. Thread-safe; borrows what it is given.
#pragma once

#include <google/longrunning/operations.grpc.pb.h>

#include "services/common/rpc/call.h"
#include "services/scheduling/broadcast.h"
#include "services/scheduling/call_gates.h"
#include "services/scheduling/store.h"

namespace allod::scheduling {

class OperationsServiceImpl final : public google::longrunning::Operations::Service {
 public:
  // Waits longer than this are cut; those that find no place (CallGates::waits) are answered at once with the latest
  // state.
  static constexpr std::chrono::milliseconds kWaitMax{30'000};

  // `progress` changes whenever an operation may have.
  OperationsServiceImpl(Store& store, const Broadcast<std::uint64_t>& progress, CallGates& gates)
      : store_(store), progress_(progress), gates_(gates) {}

  grpc::Status GetOperation(grpc::ServerContext* context, const google::longrunning::GetOperationRequest* request,
                            google::longrunning::Operation* response) override;
  // `name` is `tenants/{tenant}`; newest first; no filter.
  grpc::Status ListOperations(grpc::ServerContext* context, const google::longrunning::ListOperationsRequest* request,
                              google::longrunning::ListOperationsResponse* response) override;
  grpc::Status WaitOperation(grpc::ServerContext* context, const google::longrunning::WaitOperationRequest* request,
                             google::longrunning::Operation* response) override;

 private:
  Result<google::longrunning::Operation> Wait(const grpc::ServerContext& context, const Call& call,
                                              const google::longrunning::WaitOperationRequest& request);

  Store& store_;
  const Broadcast<std::uint64_t>& progress_;
  CallGates& gates_;
};

}  // namespace allod::scheduling
