// One run of allod-compress as a child: its lines understood, its progress passed on, its end told apart from its
// death.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "inference/node/jobs/job_confinement.h"
#include "services/common/result.h"

namespace allod::inference::node::jobs {

struct JobProgress {
  std::string phase;
  double progress = 0;  // 0 to 1
};
struct JobResult {
  std::string json;  // what stood under "result"
};
struct JobLayers {
  std::vector<std::string> names;  // what confines the process, by its own word
};
// A line of allod-compress (inference/compress/job_output.h). INTERNAL / BAD_JOB_OUTPUT.
Result<std::variant<JobProgress, JobResult, JobLayers, Error>> ParseJobLine(std::string_view line);

// When progress is told: a change after 250 ms at the earliest, and at least once in a third of the lease.
class ReportPace {
 public:
  using Time = std::chrono::steady_clock::time_point;
  ReportPace(std::chrono::milliseconds lease, Time now);
  // Whether to report `progress` now; if so, it counts as reported.
  bool Due(const JobProgress& progress, Time now);
  // How long nothing can become due if nothing changes.
  std::chrono::milliseconds Patience(Time now) const;
  // Nothing was reported successfully for the whole lease: it is somebody else's by now.
  bool Expired(Time now) const { return now - succeeded_ >= lease_; }
  void Succeeded(Time now) { succeeded_ = now; }

 private:
  std::chrono::milliseconds lease_;
  Time last_;
  Time succeeded_;
  JobProgress told_;
};

// Runs the command to its end on the calling thread, which must live on meanwhile, with the files and limits of
// `confinement`, which may be null. `report` is called at the pace
// above; its error ends the job with that error. The job's own error comes back as it is; UNAVAILABLE / JOB_CRASHED
// when it died without a word; CANCELLED / STOPPED; DEADLINE_EXCEEDED / JOB_TOO_LONG after six hours.
Result<std::string> RunJobProcess(const std::vector<std::string>& command, JobConfinement* confinement,
                                  ReportPace& pace, const std::function<Status(const JobProgress&)>& report,
                                  const std::stop_token& stop);

}  // namespace allod::inference::node::jobs
