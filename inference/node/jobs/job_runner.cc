#include "inference/node/jobs/job_runner.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>
#include <vector>

#include "google/rpc/status.pb.h"
#include "inference/node/jobs/job_result.h"
#include "inference/node/process/call_until.h"
#include "services/common/catching.h"
#include "services/common/log.h"
#include "services/common/rpc/status.h"

namespace allod::inference::node::jobs {
namespace {

using catalog::v1::FinishJobRequest;
using catalog::v1::Job;
using catalog::v1::JobService;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kLeaseWait{20'000};
constexpr milliseconds kCallTimeout{3'000};
constexpr milliseconds kLeaseDefault{15'000};
constexpr milliseconds kAskAgain{500};
constexpr int kTriesMax = 3;
constexpr int kFinishTriesMax = 10;

// Whether another try may end differently.
bool IsTransient(const Error& error) {
  switch (error.code) {
    case Code::kUnavailable:
    case Code::kResourceExhausted:
    case Code::kDeadlineExceeded:
    case Code::kInternal:
    case Code::kUnknown:
      return error.reason != "JOB_TOO_LONG";
    default:
      return false;
  }
}

bool LeaseIsLost(const Error& error) { return error.reason == "LEASE_LOST"; }

milliseconds ToMillis(const google::protobuf::Duration& d) {
  return milliseconds(d.seconds() * 1000 + d.nanos() / 1'000'000);
}

// Source and result are mapped, both repacked for the processor once each, and measured side by side; never more than
// the node may use.
std::int64_t JobMemory(std::int64_t source_bytes, std::int64_t node_bytes) {
  constexpr std::int64_t kBase = std::int64_t{2} << 30;
  const std::int64_t wanted = kBase + 5 * source_bytes;
  return node_bytes > 0 ? std::min(wanted, node_bytes) : wanted;
}

// Removes what is left of a try: the file, and those that a killed process was still writing beside it.
class Leftover {
 public:
  explicit Leftover(std::filesystem::path path) : path_(std::move(path)) {}
  ~Leftover() {
    const std::string name = path_.filename().string();
    std::error_code error;
    std::vector<std::filesystem::path> left;
    for (std::filesystem::directory_iterator it(path_.parent_path(), error), end; !error && it != end;
         it.increment(error)) {
      if (it->path().filename().string().starts_with(name)) left.push_back(it->path());
    }
    for (const auto& path : left) std::filesystem::remove(path, error);
  }
  Leftover(const Leftover&) = delete;
  Leftover& operator=(const Leftover&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace

JobRunner::JobRunner(JobSettings settings, std::shared_ptr<grpc::Channel> catalog, artifacts::Artifacts& artifacts)
    : settings_(std::move(settings)), stub_(JobService::NewStub(std::move(catalog))), artifacts_(artifacts) {
  thread_ = OwnedThread("job runner", [this](const std::stop_token& stop) { Run(stop); });
}

void JobRunner::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    bool asked = false;  // what one job throws is that job's end: its lease runs out
    (void)Catching("a job", [&]() -> Status {
      asked = RunOne(stop);
      return {};
    });
    if (!asked) SleepFor(stop, kAskAgain);
  }
}

bool JobRunner::RunOne(const std::stop_token& stop) {
  catalog::v1::LeaseJobRequest request;
  request.set_node("nodes/" + settings_.node);
  request.mutable_wait()->set_seconds(kLeaseWait.count() / 1000);
  const auto leased = process::CallUntil(stop, *stub_, &JobService::Stub::LeaseJob, request,
                                         Caller::Node(settings_.node), kLeaseWait + kCallTimeout);
  if (!leased) return false;
  if (!leased->has_job()) return true;
  const milliseconds lease = leased->has_lease() ? ToMillis(leased->lease()) : kLeaseDefault;
  DoJob(leased->job(), std::max(lease, milliseconds(1000)), stop);
  return true;
}

void JobRunner::DoJob(const Job& job, milliseconds lease, const std::stop_token& stop) {
  Log(LogLevel::kInfo, "job leased", {{"job", job.name()}, {"epoch", std::to_string(job.epoch())}});
  ReportPace pace(lease, steady_clock::now());
  FinishJobRequest answer;
  for (int tries = 1;; ++tries) {
    answer.Clear();
    answer.set_name(job.name());
    answer.set_epoch(job.epoch());
    const Status done = Try(job, pace, answer, stop);
    if (stop.stop_requested()) return;  // the lease runs out
    if (done) break;
    Log(LogLevel::kWarning, "job failed",
        {{"job", job.name()}, {"reason", done.error().reason}, {"error", done.error().message}});
    if (LeaseIsLost(done.error())) return;
    if (IsTransient(done.error()) && tries < kTriesMax) {
      if (!SleepFor(stop, kAskAgain * tries)) return;
      continue;
    }
    *answer.mutable_error() = ToRpcStatus(done.error());
    break;
  }
  Finish(answer, stop);
}

Status JobRunner::Try(const Job& job, ReportPace& pace, FinishJobRequest& answer, const std::stop_token& stop) {
  const bool compress = job.has_compress();
  if (!compress && !job.has_inspect()) {
    return Fail(Code::kUnimplemented, "UNKNOWN_JOB", "this node agent does not know that kind of job; update it");
  }
  const auto transfer = [&](const char* phase) {
    return [this, &job, &pace, stop, phase](std::int64_t) -> Status {
      const JobProgress progress{phase, 0};
      if (!pace.Due(progress, steady_clock::now())) return {};
      return Report(job, progress, pace, stop);
    };
  };
  const std::string& source_sha256 = compress ? job.compress().source_sha256() : job.inspect().artifact_sha256();
  ALLOD_TRY(const Blob source, artifacts_.Ensure(source_sha256, stop, transfer("fetching")));
  const Leftover output(artifacts_.store().IncomingPath(compress ? "compress" : "inspect"));
  std::vector<std::string> command{settings_.compress_executable.string(), compress ? "compress" : "inspect",
                                   "--threads", std::to_string(settings_.threads), "--die-with-parent"};
  if (compress) command.insert(command.end(), {"--type", job.compress().compression()});
  if (settings_.strict) command.emplace_back("--strict");
  ALLOD_TRY(JobConfinement confinement,
            JobConfinement::Prepare(
                {source.path, settings_.evaluation_text, output.path(), compress},
                {settings_.first_uid, JobMemory(source.bytes, settings_.memory_bytes), settings_.threads}, cgroups_));
  const auto report = [&](const JobProgress& progress) { return Report(job, progress, pace, stop); };
  ALLOD_TRY(const std::string json, RunJobProcess(command, &confinement, pace, report, stop));
  if (compress) {
    ALLOD_CHECK_OK(FillCompressResult(json, *answer.mutable_compress()));
    return Store(answer.compress(), output.path(), nullptr, stop, transfer("storing"));
  }
  ALLOD_CHECK_OK(FillInspectResult(json, *answer.mutable_inspect()));
  return Store(answer.inspect(), output.path(), &source, stop, transfer("storing"));
}

template <typename Described>
Status JobRunner::Store(const Described& result, const std::filesystem::path& output, const Blob* unless_written,
                        const std::stop_token& stop, const std::function<Status(std::int64_t)>& on_bytes) {
  // It was made for the job, which left it empty when the canonical form is there already.
  std::error_code error;
  const bool written = std::filesystem::file_size(output, error) > 0 && !error;
  if (!written && unless_written == nullptr) return Internal("the job succeeded but wrote no file");
  Result<Blob> adopted = written ? artifacts_.store().Adopt(output) : *unless_written;
  ALLOD_TRY(const Blob made, std::move(adopted));
  // The job's process had foreign bytes in it: what it says of its output is checked.
  if (made.sha256 != result.artifact_sha256() || made.bytes != result.artifact_bytes()) {
    return Internal("the job's result does not describe the file that it wrote");
  }
  if (!written) return {};
  return artifacts_.Publish(made, stop, on_bytes);
}

Status JobRunner::Report(const Job& job, const JobProgress& progress, ReportPace& pace, const std::stop_token& stop) {
  catalog::v1::ReportJobRequest request;
  request.set_name(job.name());
  request.set_epoch(job.epoch());
  request.set_phase(progress.phase);
  request.set_progress(progress.progress);
  const auto reported = process::CallUntil(stop, *stub_, &JobService::Stub::ReportJob, request,
                                           Caller::Node(settings_.node), kCallTimeout);
  const auto now = steady_clock::now();
  if (reported) {
    pace.Succeeded(now);
    return {};
  }
  if (LeaseIsLost(reported.error()) || reported.error().code == Code::kNotFound) {
    return Fail(Code::kAborted, "LEASE_LOST", reported.error().message);
  }
  if (pace.Expired(now)) return Fail(Code::kAborted, "LEASE_LOST", "no report came through for the whole lease");
  return {};
}

void JobRunner::Finish(const FinishJobRequest& answer, const std::stop_token& stop) {
  for (int tries = 1; tries <= kFinishTriesMax; ++tries) {
    const auto finished = process::CallUntil(stop, *stub_, &JobService::Stub::FinishJob, answer,
                                             Caller::Node(settings_.node), kCallTimeout);
    if (finished || stop.stop_requested()) return;
    Log(LogLevel::kWarning, "cannot finish a job", {{"job", answer.name()}, {"error", finished.error().message}});
    if (!IsTransient(finished.error())) return;
    if (!SleepFor(stop, kAskAgain)) return;
  }
}

}  // namespace allod::inference::node::jobs
