#include "inference/node/supervisor.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <system_error>

#include "inference/node/artifact_fetcher.h"
#include "inference/node/worker_socket.h"
#include "services/common/log.h"

namespace allod::inference::node {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr auto kProbeEvery = milliseconds(20);
// A worker that listens but does not answer as it should is not asked at that pace: each question may block.
constexpr auto kProbeAgain = seconds(1);
constexpr auto kWaitMax = milliseconds(60'000);
constexpr int kLinesPerSecondMax = 50;
constexpr std::size_t kMessageBytesMax = 512;

// The last line of a worker that gave up is {"code","reason","message"}; of one that crashed, whatever it said.
std::string MessageOf(const std::string& line) {
  const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  std::string text = line;
  if (json.is_object() && json.contains("message") && json["message"].is_string()) {
    text = json.value("reason", std::string()) + ": " + json["message"].get<std::string>();
  }
  return text.substr(0, kMessageBytesMax);
}

}  // namespace

Supervisor::Supervisor(SupervisorConfig config, Artifacts& artifacts)
    : config_(std::move(config)), artifacts_(artifacts), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  fetcher_ = std::make_unique<ArtifactFetcher>(artifacts_, [this](const std::string& sha256, const Result<Blob>& blob) {
    using Path = Result<std::filesystem::path>;
    Path path = blob ? Path(blob->path) : Path(std::unexpected(blob.error()));
    const std::lock_guard lock(mutex_);
    inbox_.artifacts.emplace_back(sha256, std::move(path));
    Wake();
  });
  thread_ = std::thread([this] { Run(); });
}

Supervisor::~Supervisor() { Stop(); }

void Supervisor::Stop() {
  {
    const std::lock_guard lock(mutex_);
    inbox_.stop = true;
    Wake();
  }
  if (thread_.joinable()) thread_.join();
  fetcher_.reset();
}

void Supervisor::Wake() {
  const std::uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof(one));
}

void Supervisor::SetDesired(std::vector<DesiredWorker> desired) {
  const std::lock_guard lock(mutex_);
  inbox_.desired = std::move(desired);
  Wake();
}

Supervisor::Snapshot Supervisor::WaitForChange(std::uint64_t seen, milliseconds timeout, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, stop, timeout, [&] { return snapshot_.revision != seen; });
  return snapshot_;
}

void Supervisor::Run() {
  while (true) {
    TakeInbox();
    while (const auto action = set_.NextAction(steady_clock::now())) Perform(*action);
    ProbeUnanswered();
    PublishChanges();
    if (stopping_ && set_.Idle()) return;
    WaitForEvents();
    ReapEnded();
  }
}

void Supervisor::TakeInbox() {
  Inbox inbox;
  {
    const std::lock_guard lock(mutex_);
    inbox = std::exchange(inbox_, {});
  }
  const SteadyTime now = steady_clock::now();
  stopping_ = stopping_ || inbox.stop;
  if (stopping_) inbox.desired.emplace();
  if (inbox.desired) {
    for (const std::string& uid : set_.SetDesired(*inbox.desired, now)) {
      Log(LogLevel::kWarning, "refused an assignment of an older epoch than was seen", {{"replica", uid}});
    }
  }
  for (const auto& [sha256, path] : inbox.artifacts) {
    if (!path) Log(LogLevel::kWarning, "cannot fetch a model", {{"sha256", sha256}, {"error", path.error().message}});
    set_.OnArtifact(sha256, path, now);
  }
}

void Supervisor::Perform(const Action& action) {
  switch (action.kind) {
    case Action::Kind::kFetch:
      return FindArtifact(action.worker.artifact_sha256);
    case Action::Kind::kStart:
      return StartWorker(action);
    case Action::Kind::kTerminate:
    case Action::Kind::kKill: {
      const auto found = running_.find(action.worker.replica_uid);
      if (found == running_.end()) return;
      found->second.process.Signal(action.kind == Action::Kind::kKill ? SIGKILL : SIGTERM);
      Log(LogLevel::kInfo, action.kind == Action::Kind::kKill ? "killing a worker" : "stopping a worker",
          {{"instance", action.worker.instance}, {"replica", action.worker.replica_uid}});
      return;
    }
  }
}

void Supervisor::FindArtifact(const std::string& sha256) {
  const auto blob = artifacts_.Find(sha256);
  if (blob) return set_.OnArtifact(sha256, blob->path, steady_clock::now());
  if (blob.error().code == Code::kNotFound) return fetcher_->Fetch(sha256);
  set_.OnArtifact(sha256, std::unexpected(blob.error()), steady_clock::now());
}

void Supervisor::StartWorker(const Action& action) {
  const DesiredWorker& w = action.worker;
  const auto socket = WorkerSocket(config_.run_dir, w, action.start_number);
  const ChildOptions options{.command = {config_.worker_executable.string(), "--model", action.artifact.string(),
                                         "--sha256", w.artifact_sha256, "--listen", "unix:" + socket.string(),
                                         "--instance", w.instance, "--context-tokens", std::to_string(w.context_tokens),
                                         "--max-concurrency", std::to_string(w.max_concurrency), "--threads",
                                         std::to_string(config_.threads), "--die-with-parent"}};
  auto process = ChildProcess::Start(options);
  if (!process) {
    Log(LogLevel::kError, "cannot start a worker", {{"instance", w.instance}, {"error", process.error().message}});
    return set_.OnExit(w.replica_uid, {.status = -1, .last_line = process.error().message}, steady_clock::now());
  }
  Log(LogLevel::kInfo, "started a worker", {{"instance", w.instance}, {"replica", w.replica_uid}});
  running_.emplace(w.replica_uid, Running{*std::move(process), w, socket, {}, {}, 0, {}});
}

void Supervisor::ProbeUnanswered() {
  for (const std::string& uid : set_.Unanswered()) {
    const auto found = running_.find(uid);
    if (found == running_.end() || steady_clock::now() < found->second.ask_after) continue;
    Running& running = found->second;
    const SteadyTime asked = steady_clock::now();
    if (WorkerAnswers(running.socket, running.worker, config_.caller)) {
      set_.OnReady(uid, "unix:" + running.socket.string(), steady_clock::now());
      Log(LogLevel::kInfo, "worker is ready", {{"instance", running.worker.instance}, {"replica", uid}});
    } else if (steady_clock::now() - asked > kProbeEvery) {
      running.ask_after = steady_clock::now() + kProbeAgain;
    }
  }
}

void Supervisor::ReadOutput(Running& running) {
  const auto second = std::chrono::floor<seconds>(steady_clock::now().time_since_epoch());
  if (second != running.second) {
    if (running.lines_this_second > kLinesPerSecondMax) {
      Log(LogLevel::kWarning, "lines of a worker's log were dropped",
          {{"instance", running.worker.instance},
           {"lines", std::to_string(running.lines_this_second - kLinesPerSecondMax)}});
    }
    running.second = second;
    running.lines_this_second = 0;
  }
  for (std::string& line : running.process.ReadStderr()) {
    if (line.empty()) continue;
    if (++running.lines_this_second <= kLinesPerSecondMax) {
      Log(LogLevel::kInfo, "worker says", {{"instance", running.worker.instance}, {"line", line}});
    }
    running.last_line = std::move(line);
  }
}

void Supervisor::ReapEnded() {
  for (auto it = running_.begin(); it != running_.end();) {
    Running& running = it->second;
    ReadOutput(running);
    std::optional<WorkerExit> exit = running.process.TryReap();
    if (!exit) {
      ++it;
      continue;
    }
    ReadOutput(running);  // what it wrote last
    exit->last_line = MessageOf(running.last_line);
    Log(LogLevel::kWarning, "worker ended",
        {{"instance", running.worker.instance},
         {"replica", it->first},
         {"status",
          exit->signal ? fmt::format("signal {}", *exit->signal) : std::to_string(exit->status.value_or(-1))}});
    std::error_code ignored;
    std::filesystem::remove(running.socket, ignored);
    set_.OnExit(it->first, *exit, steady_clock::now());
    it = running_.erase(it);
  }
}

void Supervisor::PublishChanges() {
  std::vector<ObservedWorker> observed = set_.Observed();
  const std::lock_guard lock(mutex_);
  if (observed == snapshot_.workers) return;
  snapshot_.workers = std::move(observed);
  ++snapshot_.revision;
  changed_.notify_all();
}

void Supervisor::WaitForEvents() {
  std::vector<pollfd> fds{{wake_.get(), POLLIN, 0}};
  for (const auto& [uid, running] : running_) {
    fds.push_back({running.process.exit_fd(), POLLIN, 0});
    if (running.process.stderr_fd() >= 0) fds.push_back({running.process.stderr_fd(), POLLIN, 0});
  }
  auto wait = kWaitMax;
  if (const auto deadline = set_.NextDeadline()) {
    const auto left = std::chrono::ceil<milliseconds>(*deadline - steady_clock::now());
    wait = std::clamp(left, milliseconds(0), wait);
  }
  if (!set_.Unanswered().empty()) wait = std::min(wait, kProbeEvery);
  poll(fds.data(), fds.size(), static_cast<int>(wait.count()));
  std::uint64_t woken = 0;
  (void)!read(wake_.get(), &woken, sizeof(woken));
}

}  // namespace allod::inference::node
