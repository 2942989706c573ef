#include "services/catalog/job_service.h"

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include "services/catalog/convert.h"
#include "services/common/rpc/long_poll.h"
#include "services/common/rpc/server.h"

namespace allod::catalog {
namespace {

// The artifact that a result says it made; nullptr for none.
const std::string* ArtifactOf(const JobResult& result) {
  if (const auto* inspected = std::get_if<InspectResult>(&result)) return &inspected->artifact_sha256;
  if (const auto* compressed = std::get_if<CompressResult>(&result)) return &compressed->artifact_sha256;
  return nullptr;
}

std::int64_t ArtifactBytesOf(const JobResult& result) {
  if (const auto* inspected = std::get_if<InspectResult>(&result)) return inspected->artifact_bytes;
  const auto* compressed = std::get_if<CompressResult>(&result);
  return compressed != nullptr ? compressed->artifact_bytes : 0;
}

}  // namespace

grpc::Status JobServiceImpl::LeaseJob(grpc::ServerContext* context, const v1::LeaseJobRequest* request,
                                      v1::LeaseJobResponse* response) {
  return Handle(context, request, response, [&](const Call&) -> Result<v1::LeaseJobResponse> {
    using google::protobuf::util::TimeUtil;
    ALLOD_TRY(const auto name, MatchName("node", request->node(), "nodes/*"));
    const std::chrono::milliseconds wait(TimeUtil::DurationToMilliseconds(request->wait()));
    ALLOD_TRY(const auto waiter, jobs_changed_.Enter());
    std::optional<Job> job;
    ALLOD_CHECK_OK(LongPoll(*context, jobs_changed_, {wait, kJobsLookEvery}, [&]() -> Result<bool> {
      ALLOD_TRY(job, LeaseNow(name[0]));
      return job.has_value();
    }));
    v1::LeaseJobResponse out;
    if (job) *out.mutable_job() = ToProto(*job);
    *out.mutable_lease() = TimeUtil::SecondsToDuration(kLease.count());
    return out;
  });
}

Result<std::optional<Job>> JobServiceImpl::LeaseNow(const std::string& node) {
  ALLOD_TRY(Lease lease, store_.LeaseJob(node, kLease, clock_.Now()));
  for (const Job& job : lease.exhausted) DropUnused(job.source_sha256);
  if (!lease.exhausted.empty()) jobs_changed_.Notify();
  return std::move(lease.job);
}

grpc::Status JobServiceImpl::ReportJob(grpc::ServerContext* context, const v1::ReportJobRequest* request,
                                       v1::ReportJobResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ReportJobResponse> {
    ALLOD_TRY(const Uuid id, UuidOf("name", request->name(), "jobs/*"));
    ALLOD_CHECK_OK(CheckProgress(request->phase(), request->progress()));
    ALLOD_CHECK_OK(store_.ReportJob(id, request->epoch(), call.principal.id, request->phase(), request->progress(),
                                    kLease, clock_.Now()));
    return v1::ReportJobResponse();
  });
}

grpc::Status JobServiceImpl::FinishJob(grpc::ServerContext* context, const v1::FinishJobRequest* request,
                                       v1::FinishJobResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::FinishJobResponse> {
    ALLOD_TRY(const Uuid id, UuidOf("name", request->name(), "jobs/*"));
    ALLOD_TRY(JobResult result, ResultFromRequest(*request));
    ALLOD_CHECK_OK(Finish(id, request->epoch(), call.principal.id, std::move(result)));
    return v1::FinishJobResponse();
  });
}

Status JobServiceImpl::Finish(const Uuid& id, std::int64_t epoch, const std::string& node, JobResult result) {
  ALLOD_TRY(const Job job, store_.GetJob(id));
  if (job.epoch != epoch || job.leased_by != node) return LeaseLost(job);
  if (job.finished()) return {};
  const std::string made = ArtifactOf(result) != nullptr ? *ArtifactOf(result) : "";
  const Status checked = CheckAgainstArtifacts(job, result);
  if (!checked) {
    if (checked.error().code != Code::kInvalidArgument) return checked;  // the artifact store's own trouble
    // Doing it again would give the same; the asker should hear of it now.
    result = BoundedError({Code::kInternal, "INVALID_JOB_RESULT",
                           fmt::format("node {} reported what cannot be true: {}", node, checked.error().message)});
  }
  ALLOD_TRY(const Job finished, store_.FinishJob(id, epoch, node, result, clock_.Now()));
  jobs_changed_.Notify();
  if (finished.state == JobState::kFailed) {
    DropUnused(finished.source_sha256);
    if (!made.empty() && CheckSha256("artifact_sha256", made)) DropUnused(made);
  }
  return checked;
}

Status JobServiceImpl::CheckAgainstArtifacts(const Job& job, JobResult& result) const {
  if (std::holds_alternative<Error>(result)) return {};
  auto* inspected = std::get_if<InspectResult>(&result);
  // From a node that knows no canonical form: the file is offered as it came.
  const bool as_it_came = inspected != nullptr && inspected->artifact_sha256.empty();
  if (as_it_came) inspected->artifact_sha256 = job.source_sha256;
  const std::string& sha256 = *ArtifactOf(result);
  const auto blob = blobs_.Find(sha256);
  if (!blob && blob.error().code == Code::kNotFound) {
    return InvalidArgument("INVALID_JOB_RESULT", fmt::format("artifact {} is not in the store", sha256));
  }
  if (!blob) return std::unexpected(blob.error());
  if (as_it_came) inspected->artifact_bytes = blob->bytes;
  if (ArtifactBytesOf(result) != blob->bytes) {
    return InvalidArgument("INVALID_JOB_RESULT", fmt::format("artifact_bytes: {} reported, artifact {} has {}",
                                                             ArtifactBytesOf(result), sha256, blob->bytes));
  }
  return CheckResult(job, result);
}

// A request that refers to the artifact at this very moment finds it gone on the node; its operation then fails and
// says so.
void JobServiceImpl::DropUnused(const std::string& sha256) {
  const auto used = store_.ArtifactInUse(sha256);
  if (!used || *used) return;
  if (auto removed = blobs_.Remove(sha256); !removed) {
    Log(LogLevel::kWarning, "cannot remove an unused artifact",
        {{"sha256", sha256}, {"error", removed.error().message}});
  }
}

}  // namespace allod::catalog
