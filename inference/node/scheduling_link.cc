#include "inference/node/scheduling_link.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "inference/node/convert.h"
#include "inference/node/process/call_until.h"
#include "services/common/catching.h"
#include "services/common/log.h"

namespace allod::inference::node {
namespace {

using scheduling::v1::NodeAgentService;
using std::chrono::milliseconds;

constexpr milliseconds kReconnectFirst{100};
constexpr milliseconds kReconnectMax{2000};
constexpr milliseconds kReportEvery{2000};
constexpr milliseconds kReportAgain{250};
constexpr milliseconds kReportTimeout{2000};

std::vector<pool::DesiredWorker> Desired(const scheduling::v1::WatchAssignmentsResponse& response,
                                         const std::string& jurisdiction) {
  std::vector<pool::DesiredWorker> desired;
  for (const auto& assignment : response.assignments()) {
    if (auto worker = FromProto(assignment, jurisdiction)) {
      desired.push_back(*std::move(worker));
    } else {
      Log(LogLevel::kError, "an assignment cannot be run here",
          {{"replica", assignment.replica_uid()}, {"error", worker.error().message}});
      // The others are taken, and of this one it is reported why it does not run.
      if (auto refused = Unusable(assignment, worker.error())) desired.push_back(*std::move(refused));
    }
  }
  return desired;
}

}  // namespace

SchedulingLink::SchedulingLink(const NodeConfig& config, std::shared_ptr<grpc::Channel> channel, Supervisor& supervisor)
    : config_(config), stub_(NodeAgentService::NewStub(std::move(channel))), supervisor_(supervisor) {
  // An agent that neither hears nor reports is worth less than one that is started again.
  reporter_ = OwnedThread("reporter", [this](const std::stop_token& stop) { Report(stop); });
  watcher_ = OwnedThread("watcher", [this](const std::stop_token& stop) { Watch(stop); });
}

SchedulingLink::~SchedulingLink() { StopWatching(); }

void SchedulingLink::StopWatching() { watcher_.Stop(); }

void SchedulingLink::Watch(const std::stop_token& stop) {
  scheduling::v1::WatchAssignmentsRequest request;
  request.set_node(config_.node_name());
  request.set_region(config_.region_name());
  request.set_jurisdiction(config_.jurisdiction);
  request.mutable_capacity()->set_memory_bytes(config_.memory_bytes);
  request.mutable_capacity()->set_cpu_millis(config_.cpu_millis);
  auto wait = kReconnectFirst;
  std::string last_error;
  while (!stop.stop_requested()) {
    const auto context = MakeStreamContext(Caller::Node(config_.node));
    const std::stop_callback cancel(stop, [&] { context->TryCancel(); });
    const auto reader = stub_->WatchAssignments(context.get(), request);
    scheduling::v1::WatchAssignmentsResponse response;
    while (reader->Read(&response)) {
      if (stop.stop_requested()) break;
      const Status taken = Catching("take a set of assignments", [&]() -> Status {
        supervisor_.SetDesired(Desired(response, config_.jurisdiction));
        return {};
      });
      if (!taken) break;  // the next stream sends it again
      wait = kReconnectFirst;
      last_error.clear();
    }
    context->TryCancel();
    const grpc::Status status = reader->Finish();
    if (stop.stop_requested()) return;
    // The same trouble is told once, not twice a second.
    if (!status.ok() && status.error_message() != last_error) {
      last_error = status.error_message();
      Log(LogLevel::kWarning, "lost the stream of assignments; workers run on", {{"error", last_error}});
    }
    SleepFor(stop, wait);
    wait = std::min(wait * 2, kReconnectMax);
  }
}

void SchedulingLink::Report(const std::stop_token& stop) {
  std::uint64_t told = 0;
  auto wait = milliseconds(0);  // the first report goes out at once: the service learns that nothing runs
  while (!stop.stop_requested()) {
    const Supervisor::Snapshot snapshot = supervisor_.WaitForChange(told, wait, stop);
    if (stop.stop_requested()) return;
    const scheduling::v1::ReportWorkersRequest request = ToReport(config_.node_name(), snapshot);
    const auto reported = process::CallUntil(stop, *stub_, &NodeAgentService::Stub::ReportWorkers, request,
                                             Caller::Node(config_.node), kReportTimeout);
    if (reported) {
      told = snapshot.revision;
      wait = kReportEvery;
    } else {
      // A change in the meantime is in the next report anyway; only the pace is limited.
      SleepFor(stop, kReportAgain);
      wait = milliseconds(0);
    }
  }
}

}  // namespace allod::inference::node
