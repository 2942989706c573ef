// google.longrunning.Operations over the catalog's jobs. Thread-safe; borrows everything it is given. Cancelling and
// deleting are not offered (UNIMPLEMENTED).
#pragma once

#include "google/longrunning/operations.grpc.pb.h"
#include "services/catalog/job_changes.h"
#include "services/catalog/store.h"

namespace allod::catalog {

class OperationServiceImpl final : public google::longrunning::Operations::Service {
 public:
  OperationServiceImpl(Store& store, JobChanges& jobs_changed) : store_(store), jobs_changed_(jobs_changed) {}

  grpc::Status GetOperation(grpc::ServerContext* context, const google::longrunning::GetOperationRequest* request,
                            google::longrunning::Operation* response) override;
  grpc::Status ListOperations(grpc::ServerContext* context, const google::longrunning::ListOperationsRequest* request,
                              google::longrunning::ListOperationsResponse* response) override;
  // Waits up to `timeout` (at most 30 s, which is also the default) for the end; answers with what then is.
  grpc::Status WaitOperation(grpc::ServerContext* context, const google::longrunning::WaitOperationRequest* request,
                             google::longrunning::Operation* response) override;

 private:
  Result<Operation> WaitFor(const grpc::ServerContext& context, const Uuid& id, std::chrono::milliseconds timeout);

  Store& store_;
  JobChanges& jobs_changed_;
};

}  // namespace allod::catalog
