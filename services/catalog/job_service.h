// RPCs of JobService, for node agents. Thread-safe; borrows everything it is given.
#pragma once

#include "allod/catalog/v1/job.grpc.pb.h"
#include "services/catalog/job_changes.h"
#include "services/catalog/store.h"
#include "services/common/blob_store.h"
#include "services/common/clock.h"

namespace allod::catalog {

class JobServiceImpl final : public v1::JobService::Service {
 public:
  JobServiceImpl(Store& store, BlobStore& blobs, JobChanges& jobs_changed, const Clock& clock)
      : store_(store), blobs_(blobs), jobs_changed_(jobs_changed), clock_(clock) {}

  grpc::Status LeaseJob(grpc::ServerContext* context, const v1::LeaseJobRequest* request,
                        v1::LeaseJobResponse* response) override;
  grpc::Status ReportJob(grpc::ServerContext* context, const v1::ReportJobRequest* request,
                         v1::ReportJobResponse* response) override;
  grpc::Status FinishJob(grpc::ServerContext* context, const v1::FinishJobRequest* request,
                         v1::FinishJobResponse* response) override;

 private:
  Result<std::optional<Job>> LeaseNow(const std::string& node);
  Status Finish(const Uuid& id, std::int64_t epoch, const std::string& node, JobResult result);
  // Fills in what the artifact store knows and refuses what cannot be true.
  Status CheckAgainstArtifacts(const Job& job, JobResult& result) const;
  void DropUnused(const std::string& sha256);

  Store& store_;
  BlobStore& blobs_;
  JobChanges& jobs_changed_;
  const Clock& clock_;
};

}  // namespace allod::catalog
