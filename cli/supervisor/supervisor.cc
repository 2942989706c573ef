#include "cli/supervisor/supervisor.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/installation/files.h"
#include "services/common/log.h"

namespace allod::cli::supervisor {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kBackoffFirst{100};
constexpr milliseconds kBackoffMax{5000};
constexpr std::chrono::seconds kStableAfter{30};
constexpr milliseconds kReadyPoll{20};
constexpr int kRefusedConfig = 2;  // the exit status of every process of the platform for a bad command line or file

}  // namespace

Supervisor::~Supervisor() { StopAll(); }

Result<RunningChild> Supervisor::StartLogged(const ChildSpec& spec) {
  ALLOD_TRY(const OwnedFd output, logs_.Open(spec.log));
  return StartChild(spec, output.get());
}

Status Supervisor::Start(ChildSpec spec) {
  children_.push_back({.spec = std::move(spec)});
  Child& child = children_.back();
  ALLOD_TRY(child.running, StartLogged(child.spec));
  child.start_count = 1;
  child.started = steady_clock::now();
  Publish();
  return {};
}

Status Supervisor::WaitUntil(const std::string& what, const std::function<bool()>& ready,
                             std::chrono::seconds timeout) {
  const auto deadline = steady_clock::now() + timeout;
  while (!ready()) {
    if (!Step(kReadyPoll)) return Fail(Code::kCancelled, "STOPPED", "asked to stop while waiting for " + what);
    // A configuration that is refused does not mend itself.
    const bool hopeless =
        std::ranges::any_of(children_, [](const Child& c) { return c.last_status == kRefusedConfig; });
    if (hopeless || steady_clock::now() > deadline) {
      std::string message =
          what + (hopeless ? " cannot start" : fmt::format(" was not ready within {} s", timeout.count()));
      logs_.Flush();
      for (const Child& child : children_) {
        if (child.last_end.empty()) continue;
        message += fmt::format("\n{} {} (started {} times); its log {} ends with:\n{}", child.spec.name, child.last_end,
                               child.start_count, child.spec.log.string(), LastLines(child.spec.log, 5));
      }
      return Fail(Code::kDeadlineExceeded, "NOT_READY", message);
    }
  }
  return {};
}

void Supervisor::Run(const std::function<void()>& now_and_then) {
  while (Step(milliseconds(1000))) {
    if (now_and_then) now_and_then();
  }
}

bool Supervisor::Step(milliseconds patience) {
  const auto now = steady_clock::now();
  std::vector<pollfd> fds = {{stop_fd_, POLLIN, 0}};
  std::vector<Child*> watched;
  for (Child& child : children_) {
    if (!child.running.process) {
      if (child.restart_at <= now) Launch(child);
      if (!child.running.process) {
        patience = std::min(
            patience, std::max(milliseconds(1), std::chrono::duration_cast<milliseconds>(child.restart_at - now)));
        continue;
      }
    }
    fds.push_back({child.running.process.exit_fd(), POLLIN, 0});
    watched.push_back(&child);
  }
  std::vector<Child*> telling;
  for (Child* child : watched) {
    if (!child->running.layers) continue;
    fds.push_back({child->running.layers.get(), POLLIN, 0});
    telling.push_back(child);
  }
  ::poll(fds.data(), fds.size(), static_cast<int>(patience.count()));
  for (std::size_t i = 0; i < telling.size(); ++i) {
    if (fds[watched.size() + 1 + i].revents != 0) ReadLayers(*telling[i]);
  }
  for (std::size_t i = 0; i < watched.size(); ++i) {
    if (fds[i + 1].revents != 0) Reap(*watched[i]);
  }
  return fds[0].revents == 0;
}

void Supervisor::ReadLayers(Child& child) {
  // One write of a process of ours; what a damaged one writes is cut and shown as it is.
  std::array<char, 512> text{};
  const ssize_t bytes = ::read(child.running.layers.get(), text.data(), text.size());
  if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) return;
  child.running.layers.Reset();
  std::istringstream words(std::string(text.data(), bytes > 0 ? static_cast<std::size_t>(bytes) : 0));
  for (std::string layer; words >> layer;) child.layers.push_back(layer);
  Publish();
}

void Supervisor::Forget(Child& child) {
  child.running = {};
  child.layers.clear();
}

void Supervisor::Reap(Child& child) {
  const auto end = child.running.process.TryReap();
  if (!end) return;
  Forget(child);
  child.last_end = DescribeEnd(*end);
  child.last_status = end->status;
  const auto now = steady_clock::now();
  if (now - child.started > kStableAfter) child.backoff = kBackoffFirst;
  child.restart_at = now + child.backoff;
  child.backoff = std::min(child.backoff * 2, kBackoffMax);
  Log(LogLevel::kWarning, "process ended and will be started again",
      {{"process", child.spec.name}, {"end", child.last_end}, {"log", child.spec.log.string()}});
  Publish();
}

void Supervisor::Launch(Child& child) {
  auto started = StartLogged(child.spec);
  ++child.start_count;
  child.started = steady_clock::now();
  if (started) {
    child.running = *std::move(started);
  } else {
    child.last_end = started.error().message;
    child.restart_at = child.started + child.backoff;
    child.backoff = std::min(child.backoff * 2, kBackoffMax);
  }
  Publish();
}

void Supervisor::StopChild(Child& child) {
  if (!child.running.process) return;
  child.running.process.Signal(child.spec.stop_signal);
  if (!child.running.process.Wait(child.spec.stop_grace)) {
    Log(LogLevel::kWarning, "process did not stop in time and is killed", {{"process", child.spec.name}});
    child.running.process.Kill();
  }
  Forget(child);
  child.restart_at = steady_clock::time_point::max();
}

void Supervisor::StopAll() {
  for (auto child = children_.rbegin(); child != children_.rend(); ++child) StopChild(*child);
  children_.clear();
}

void Supervisor::Publish() const {
  nlohmann::json processes = nlohmann::json::array();
  const auto now = steady_clock::now();
  for (const Child& child : children_) {
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - child.started).count();
    processes.push_back({{"name", child.spec.name},
                         {"pid", child.running.process.pid()},
                         {"running", static_cast<bool>(child.running.process)},
                         {"start_count", child.start_count},
                         {"start_time", std::time(nullptr) - age},
                         {"last_end", child.last_end},
                         {"user", child.spec.user ? child.spec.user->name : ""},
                         {"layers", child.layers},
                         {"log", child.spec.log.string()}});
  }
  // A status that cannot be written must not stop what it describes.
  if (auto written = installation::WriteFile(state_.status(), nlohmann::json{{"processes", processes}}.dump(2) + "\n");
      !written) {
    Log(LogLevel::kWarning, written.error().message);
  }
}

}  // namespace allod::cli::supervisor
