#include "inference/node/jobs/job_process.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "inference/node/process/child_process.h"
#include "services/common/log.h"
#include "services/common/wake_fd.h"

namespace allod::inference::node::jobs {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Workers that answer people come first.
constexpr int kNiceness = 5;
constexpr milliseconds kReportEvery{250};
constexpr std::size_t kLayersMax = 32;
constexpr auto kJobTimeout = std::chrono::hours(6);

std::unexpected<Error> BadOutput(std::string_view line) {
  return Internal(fmt::format("the job printed a line that is no event: {}", line.substr(0, 100)));
}

Result<Code> CodeFromName(const std::string& name) {
  for (int code = 1; code <= static_cast<int>(Code::kUnauthenticated); ++code) {
    if (CodeName(static_cast<Code>(code)) == name) return static_cast<Code>(code);
  }
  return Internal("unknown code " + name);
}

}  // namespace

Result<std::variant<JobProgress, JobResult, JobLayers, Error>> ParseJobLine(std::string_view line) {
  const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return BadOutput(line);
  try {
    if (json.contains("phase")) {
      const double progress = json.at("progress").get<double>();
      return JobProgress{json.at("phase").get<std::string>(), std::clamp(progress, 0.0, 1.0)};
    }
    if (json.contains("layers")) {
      auto names = json.at("layers").get<std::vector<std::string>>();
      if (names.size() > kLayersMax) return BadOutput(line);
      return JobLayers{std::move(names)};
    }
    if (json.contains("result")) return JobResult{json.at("result").dump()};
    if (json.contains("error")) {
      const auto& e = json.at("error");
      ALLOD_TRY(const Code code, CodeFromName(e.at("code").get<std::string>()));
      return Error{code, e.at("reason").get<std::string>(), e.at("message").get<std::string>()};
    }
  } catch (const nlohmann::json::exception&) {
    return BadOutput(line);
  }
  return BadOutput(line);
}

ReportPace::ReportPace(milliseconds lease, Time now) : lease_(lease), last_(now), succeeded_(now) {}

bool ReportPace::Due(const JobProgress& progress, Time now) {
  const bool changed = progress.phase != told_.phase || progress.progress != told_.progress;
  if (now - last_ < (changed ? kReportEvery : std::max(kReportEvery, lease_ / 3))) return false;
  last_ = now;
  told_ = progress;
  return true;
}

milliseconds ReportPace::Patience(Time now) const {
  const auto due = last_ + std::max(kReportEvery, lease_ / 3);
  return std::clamp(std::chrono::ceil<milliseconds>(due - now), milliseconds(0), kReportEvery);
}

Result<std::string> RunJobProcess(const std::vector<std::string>& command, JobConfinement* confinement,
                                  ReportPace& pace, const std::function<Status(const JobProgress&)>& report,
                                  const std::stop_token& stop) {
  process::ChildOptions options{.command = command, .niceness = kNiceness, .capture_stdout = true};
  if (confinement != nullptr) {
    options.inherit = confinement->fds();
    options.groups = confinement->groups();
  }
  ALLOD_TRY(process::ChildProcess child, process::ChildProcess::Start(options));
  if (confinement != nullptr) confinement->Started(child.pid());
  const WakeFd wake;
  const std::stop_callback wake_on_stop(stop, [&] { wake.Wake(); });
  const auto started = steady_clock::now();
  JobProgress progress{"starting", 0};
  std::optional<Result<std::string>> outcome;
  std::string last_line;
  const auto read_output = [&] {
    for (const std::string& line : child.ReadStdout()) {
      const auto event = ParseJobLine(line);
      if (!event) {
        outcome = std::unexpected(event.error());
      } else if (const auto* p = std::get_if<JobProgress>(&*event)) {
        progress = *p;
      } else if (const auto* r = std::get_if<JobResult>(&*event)) {
        outcome = r->json;
      } else if (const auto* l = std::get_if<JobLayers>(&*event)) {
        Log(LogLevel::kInfo, "job confined", {{"layers", fmt::format("{}", fmt::join(l->names, " "))}});
      } else {
        outcome = std::unexpected(std::get<Error>(*event));
      }
    }
    for (std::string& line : child.ReadStderr()) {
      Log(LogLevel::kDebug, "job says", {{"line", line}});
      if (!line.empty()) last_line = std::move(line);
    }
  };
  while (true) {
    pollfd fds[] = {{wake.get(), POLLIN, 0},
                    {child.exit_fd(), POLLIN, 0},
                    {child.stdout_fd(), POLLIN, 0},
                    {child.stderr_fd(), POLLIN, 0},
                    {confinement != nullptr ? confinement->fd() : -1, POLLIN, 0}};
    poll(fds, std::size(fds), static_cast<int>(pace.Patience(steady_clock::now()).count()));
    if (stop.stop_requested()) return Fail(Code::kCancelled, "STOPPED", "the node agent is stopping");
    if (confinement != nullptr) confinement->Answer();
    read_output();
    if (const auto exit = child.TryReap()) {
      read_output();
      if (exit->status == 0 || exit->status == 3) {
        if (outcome) return *std::move(outcome);
      }
      return Fail(Code::kUnavailable, "JOB_CRASHED",
                  fmt::format("the job's process ended with {} {}{}{}", exit->signal ? "signal" : "status",
                              exit->signal ? *exit->signal : exit->status.value_or(-1), last_line.empty() ? "" : ": ",
                              last_line));
    }
    const auto now = steady_clock::now();
    if (now - started > kJobTimeout)
      return Fail(Code::kDeadlineExceeded, "JOB_TOO_LONG", "the job took over six hours");
    if (pace.Due(progress, now)) ALLOD_CHECK_OK(report(progress));
  }
}

}  // namespace allod::inference::node::jobs
