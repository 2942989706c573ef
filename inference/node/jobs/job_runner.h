// Does the catalog's jobs, one at a time, on a thread of its own: leases one (long poll), brings the file here, runs
// allod-compress over it, tells its progress, stores the result and finishes the job.
//
// A job whose process dies is tried three times, then reported as failed (JOB_CRASHED). Trouble of this node (disk
// full, no memory, catalog away) is tried as often before it is reported. When the lease is lost the process is killed
// and its output dropped: the job is somebody else's.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "allod/catalog/v1/job.grpc.pb.h"
#include "inference/node/artifacts/artifacts.h"
#include "inference/node/jobs/job_process.h"
#include "inference/node/process/cgroups.h"
#include "services/common/owned_thread.h"

namespace allod::inference::node::jobs {

struct JobSettings {
  std::string node;  // id
  std::filesystem::path compress_executable;
  std::filesystem::path evaluation_text;
  bool strict = false;            // every layer of the sandbox or none of the job
  std::uint32_t first_uid = 0;    // of the users that jobs run as
  std::int64_t memory_bytes = 0;  // what a job may use at most; 0: as it needs
  int threads = 1;
};

class JobRunner {
 public:
  // `artifacts` must outlive it. Starts the thread; the destructor kills what runs and joins it.
  JobRunner(JobSettings settings, std::shared_ptr<grpc::Channel> catalog, artifacts::Artifacts& artifacts);

 private:
  void Run(const std::stop_token& stop);
  // Leases and does at most one job. False when the catalog could not be asked.
  bool RunOne(const std::stop_token& stop);
  void DoJob(const catalog::v1::Job& job, std::chrono::milliseconds lease, const std::stop_token& stop);
  // One try; fills the answer.
  Status Try(const catalog::v1::Job& job, ReportPace& pace, catalog::v1::FinishJobRequest& answer,
             const std::stop_token& stop);
  // Hands the file that the job wrote to the catalog if it is what the result says. With `unless_written` the job may
  // have written none, and the result describes that file, which the catalog has.
  template <typename Described>
  Status Store(const Described& result, const std::filesystem::path& output, const Blob* unless_written,
               const std::stop_token& stop, const std::function<Status(std::int64_t)>& on_bytes);
  // ABORTED / LEASE_LOST, also when no report came through for a whole lease; other trouble is waited out.
  Status Report(const catalog::v1::Job& job, const JobProgress& progress, ReportPace& pace,
                const std::stop_token& stop);
  void Finish(const catalog::v1::FinishJobRequest& answer, const std::stop_token& stop);

  const JobSettings settings_;
  const std::unique_ptr<catalog::v1::JobService::Stub> stub_;
  artifacts::Artifacts& artifacts_;
  process::Cgroups cgroups_;
  OwnedThread thread_;
};

}  // namespace allod::inference::node::jobs
