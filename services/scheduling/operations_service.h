// RPCs of google.longrunning.Operations for the operations of instances. Thread-safe; borrows what it is given.
#pragma once

#include <google/longrunning/operations.grpc.pb.h>

#include "services/common/change_signal.h"
#include "services/common/rpc/call.h"
#include "services/scheduling/call_gates.h"
#include "services/scheduling/store.h"

namespace allod::scheduling {

class OperationsServiceImpl final : public google::longrunning::Operations::Service {
 public:
  // `progress` is notified whenever an operation may have changed.
  OperationsServiceImpl(Store& store, const ChangeSignal& progress, CallGates& gates)
      : store_(store), progress_(progress), gates_(gates) {}

  grpc::Status GetOperation(grpc::ServerContext* context, const google::longrunning::GetOperationRequest* request,
                            google::longrunning::Operation* response) override;
  // `name` is `tenants/{tenant}`; newest first; no filter.
  grpc::Status ListOperations(grpc::ServerContext* context, const google::longrunning::ListOperationsRequest* request,
                              google::longrunning::ListOperationsResponse* response) override;
  // A wait that finds no place (CallGates::waits) is answered at once with the latest state.
  grpc::Status WaitOperation(grpc::ServerContext* context, const google::longrunning::WaitOperationRequest* request,
                             google::longrunning::Operation* response) override;

 private:
  Result<google::longrunning::Operation> Wait(const grpc::ServerContext& context, const Call& call,
                                              const google::longrunning::WaitOperationRequest& request);

  Store& store_;
  const ChangeSignal& progress_;
  CallGates& gates_;
};

}  // namespace allod::scheduling
