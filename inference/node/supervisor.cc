#include "inference/node/supervisor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "inference/node/artifacts/artifact_fetcher.h"
#include "inference/node/process/machine.h"
#include "inference/sandbox/namespaces.h"
#include "services/common/log.h"

namespace allod::inference::node {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr auto kWaitMax = milliseconds(60'000);
constexpr auto kFiguresEvery = milliseconds(1000);
constexpr std::uint32_t kUidBlocksMax = 200'000;
// What a worker may take beside its KV cache, where the host lets us say so.
constexpr std::int64_t kWorkerMemoryBytes = std::int64_t{768} << 20;

}  // namespace

std::string Supervisor::GroupName(std::uint64_t id) { return fmt::format("worker-{}", id); }

Supervisor::Supervisor(SupervisorConfig config, artifacts::Artifacts& artifacts, gate::Arbiter& gate,
                       UsageCollector& usage)
    : config_(std::move(config)),
      artifacts_(artifacts),
      gate_(gate),
      usage_(usage),
      set_(config_.models),
      spare_set_(config_.spares) {
  fetcher_ = std::make_unique<artifacts::ArtifactFetcher>(
      artifacts_, [this](const std::string& sha256, const Result<Blob>& blob) {
        using Path = Result<std::filesystem::path>;
        Path path = blob ? Path(blob->path) : Path(std::unexpected(blob.error()));
        const std::lock_guard lock(mutex_);
        inbox_.artifacts.emplace_back(sha256, std::move(path));
        wake_.Wake();
      });
  // It is the parent of every zygote: half a step of it cannot be gone on from, and with the process all workers end.
  thread_ = OwnedThread("supervisor", [this](const std::stop_token& stop) { Run(stop); });
}

Supervisor::~Supervisor() { Stop(); }

void Supervisor::Stop() {
  thread_.Stop();
  fetcher_.reset();
}

void Supervisor::SetDesired(std::vector<pool::DesiredWorker> desired) {
  const std::lock_guard lock(mutex_);
  inbox_.desired = std::move(desired);
  wake_.Wake();
}

Supervisor::Snapshot Supervisor::WaitForChange(std::uint64_t seen, milliseconds timeout, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, stop, timeout, [&] { return snapshot_.revision != seen; });
  return snapshot_;
}

void Supervisor::Run(const std::stop_token& stop) {
  const std::stop_callback woken(stop, [this] { wake_.Wake(); });
  while (true) {
    stopping_ = stop.stop_requested();
    TakeInbox();
    KeepSockets();
    while (const auto action = set_.NextAction(steady_clock::now(), process::AvailableMemory())) Perform(*action);
    KeepSockets();
    KeepSpares();
    PublishChanges();
    if (stopping_ && set_.Idle()) break;
    WaitForEvents();
    ReadZygotes();
    ReadWorkers();
    SeeLies();
    SeeActivity();
  }
  // The arbiter reads their pages until it is told.
  for (const auto& [id, spare] : spares_) gate_.Remove(id);
  for (const auto& [key, running] : running_) gate_.Remove(running.process.id());
  running_.clear();
  spares_.clear();
  zygotes_.clear();
  sockets_.clear();
}

void Supervisor::TakeInbox() {
  Inbox inbox;
  {
    const std::lock_guard lock(mutex_);
    inbox = std::exchange(inbox_, {});
  }
  const SteadyTime now = steady_clock::now();
  if (stopping_) {
    set_.EndDrains();
    inbox.desired.emplace();
  }
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

// Opens the sockets of workers that are wanted, and closes the others.
void Supervisor::KeepSockets() {
  const std::set<std::string> wanted = set_.WorkersToListenFor();
  for (auto it = sockets_.begin(); it != sockets_.end();) {
    if (wanted.contains(it->first)) {
      ++it;
      continue;
    }
    set_.OnListening(it->first, "");
    it = sockets_.erase(it);
  }
  for (const std::string& key : wanted) {
    if (sockets_.contains(key)) continue;
    auto socket = process::WorkerSocket::Listen(config_.run_dir, key);
    if (!socket) {
      Log(LogLevel::kError, "cannot listen for a worker", {{"worker", key}, {"error", socket.error().message}});
      continue;
    }
    set_.OnListening(key, socket->target());
    sockets_.emplace(key, *std::move(socket));
  }
}

void Supervisor::Perform(const pool::Action& action) {
  const auto running = running_.find(action.worker_key);
  switch (action.kind) {
    case pool::Action::Kind::kFetch:
      return FindArtifact(action.sha256);
    case pool::Action::Kind::kLoad:
      return LoadModel(action);
    case pool::Action::Kind::kUnload:
      Log(LogLevel::kInfo, "giving up a model that is not used", {{"sha256", action.sha256}});
      if (const auto zygote = zygotes_.find(action.model_key); zygote != zygotes_.end()) zygote->second.process.Kill();
      return;
    case pool::Action::Kind::kFork:
      return ForkWorker(action);
    case pool::Action::Kind::kMembers:
      return TellMembers(action);
    case pool::Action::Kind::kTerminate:
      if (running != running_.end())
        running->second.process.AskToStop(stopping_ ? std::chrono::milliseconds(0) : pool::kDrain);
      return;
    case pool::Action::Kind::kKill:
      if (running == running_.end()) return;
      running->second.process.Kill();
      // Asked for and still not forked: its zygote does not work any more.
      if (running->second.process.pid() == 0) {
        if (const auto z = zygotes_.find(running->second.model_key); z != zygotes_.end()) z->second.process.Kill();
      }
      return;
  }
}

void Supervisor::FindArtifact(const std::string& sha256) {
  const auto blob = artifacts_.Find(sha256);
  if (blob) return set_.OnArtifact(sha256, blob->path, steady_clock::now());
  if (blob.error().code == Code::kNotFound) return fetcher_->Fetch(sha256);
  set_.OnArtifact(sha256, std::unexpected(blob.error()), steady_clock::now());
}

void Supervisor::LoadModel(const pool::Action& action) {
  std::uint32_t block = 0;
  while (uid_blocks_.contains(block) && block < kUidBlocksMax) ++block;
  process::ZygoteOptions options{.executable = config_.worker_executables.at(action.runtime),
                                 .model = action.artifact,
                                 .sha256 = action.sha256,
                                 .private_weights = action.private_weights,
                                 .strict = config_.shapes.strict};
  if (config_.first_uid != 0) options.first_uid = config_.first_uid + (block + 1) * sandbox::kUidsPerZygote;
  auto process = process::ZygoteProcess::Start(options);
  if (!process) {
    Log(LogLevel::kError, "cannot start a zygote", {{"sha256", action.sha256}, {"error", process.error().message}});
    return set_.OnModelExit(action.model_key, {.status = -1, .last_line = process.error().message},
                            steady_clock::now());
  }
  Log(LogLevel::kInfo, "loading a model",
      {{"sha256", action.sha256}, {"dedicated", action.private_weights ? "yes" : "no"}});
  uid_blocks_.insert(block);
  zygotes_.emplace(action.model_key, Zygote{*std::move(process), block});
}

std::string Supervisor::KeyOf(std::uint64_t id) const {
  const auto found =
      std::ranges::find_if(running_, [id](const auto& entry) { return entry.second.process.id() == id; });
  return found == running_.end() ? "" : found->first;
}

void Supervisor::ReadZygotes() {
  for (auto it = zygotes_.begin(); it != zygotes_.end();) {
    const std::string key = it->first;
    Zygote& zygote = it->second;
    zygote.process.ReadLog();
    for (process::ZygoteProcess::Event& event : zygote.process.ReadEvents()) Handle(key, std::move(event));
    const auto exit = zygote.process.TryReap();
    if (!exit) {
      ++it;
      continue;
    }
    // It was the init of its workers' pid namespace: the kernel ended them all.
    std::vector<std::uint64_t> orphans;
    for (const auto& [worker_key, running] : running_) {
      if (running.model_key == key) orphans.push_back(running.process.id());
    }
    for (const auto& [id, spare] : spares_) {
      if (spare.running.model_key == key) orphans.push_back(id);
    }
    spare_set_.OnModelGone(key);
    // The last words of one that was ended for what it did are its workers' as well.
    const std::string why = zygote.process.was_accused() ? exit->last_line : "its zygote ended";
    for (const std::uint64_t id : orphans) WorkerGone(id, {.signal = SIGKILL, .last_line = why});
    Log(LogLevel::kInfo, "a model is no longer in memory", {{"model", key}, {"why", pool::Describe(*exit)}});
    uid_blocks_.erase(zygote.uid_block);
    it = zygotes_.erase(it);
    set_.OnModelExit(key, *exit, steady_clock::now());
  }
}

void Supervisor::Handle(const std::string& model_key, process::ZygoteProcess::Event event) {
  if (const auto* resident = std::get_if<process::ZygoteProcess::Resident>(&event)) {
    Log(LogLevel::kInfo, "a model is in memory",
        {{"model", model_key}, {"seconds", fmt::format("{:.3f}", resident->load_seconds)}});
    Zygote& zygote = zygotes_.at(model_key);
    zygote.load_seconds = resident->load_seconds;
    zygote.kv_bytes_per_token_max = resident->kv_bytes_per_token_max;
    set_.OnResident(model_key, steady_clock::now());
  } else if (auto* forked = std::get_if<process::ZygoteProcess::Forked>(&event)) {
    Running* const found = FindProcess(forked->id);
    if (found == nullptr || found->model_key != model_key) return;
    process::WorkerProcess& process = found->process;
    Zygote& zygote = zygotes_.at(model_key);
    if (process.pid() != 0 || !process.Forked(std::move(forked->pidfd))) {
      return zygote.process.Accuse("it named something else as the process that it forked");
    }
    if (process.pid() == 0) return;  // it ended before this was read; its zygote says so next
    const auto spare = spares_.find(forked->id);
    const bool is_dropped = spare != spares_.end() && spare->second.is_dropped;
    if (!found->lie.empty() || is_dropped) return process.Kill();  // it was to end before it was there
    process.LetGo();
    // Joining a group takes the kernel some ten milliseconds; the worker starts meanwhile and serves afterwards.
    const process::CgroupLimits limits{.memory_bytes_max =
                                           kWorkerMemoryBytes + found->kv_tokens * zygote.kv_bytes_per_token_max};
    for (const std::string& layer : cgroups_.Confine(GroupName(forked->id), process.pid(), limits)) {
      process.AddLayer(layer);
    }
    process.LetServe();
  } else if (auto* ended = std::get_if<process::ZygoteProcess::WorkerEnded>(&event)) {
    // A zygote reads foreign models: it has nothing to say of another's workers.
    const Running* const found = FindProcess(ended->id);
    if (found != nullptr && found->model_key == model_key) WorkerGone(ended->id, std::move(ended->exit));
  }
}

Supervisor::Running* Supervisor::FindProcess(std::uint64_t id) {
  if (const auto worker = running_.find(KeyOf(id)); worker != running_.end()) return &worker->second;
  const auto spare = spares_.find(id);
  return spare == spares_.end() ? nullptr : &spare->second.running;
}

void Supervisor::WorkerGone(std::uint64_t id, pool::ProcessExit exit) {
  if (SpareGone(id)) return;
  const auto found = running_.find(KeyOf(id));
  if (found == running_.end()) return;
  const std::string key = found->first;
  gate_.Remove(id);
  usage_.WorkerEnded(id);
  found->second.process.ReadLog();  // what it wrote last
  if (exit.last_line.empty()) exit.last_line = found->second.process.LastWords();
  if (!found->second.lie.empty()) exit.last_line = found->second.lie;
  Log(exit.status == 0 ? LogLevel::kInfo : LogLevel::kWarning, "worker ended",
      {{"worker", key}, {"how", pool::Describe(exit)}});
  if (const auto figures = figures_.workers.find(key); figures != figures_.workers.end()) ended_[key] = figures->second;
  running_.erase(found);
  cgroups_.Remove(GroupName(id));
  set_.OnWorkerExit(key, exit, steady_clock::now());
}

void Supervisor::Accuse(std::uint64_t id, const std::string& lie) {
  if (Running* const found = FindProcess(id); found != nullptr) Accuse(*found, lie);
}

void Supervisor::Accuse(Running& running, const std::string& lie) {
  if (!running.lie.empty()) return;
  running.lie = "ended because it said what cannot be: " + lie;
  Log(LogLevel::kError, "a worker says what cannot be and is ended",
      {{"worker", KeyOf(running.process.id())}, {"what", lie}});
  running.process.Kill();
}

void Supervisor::SeeLies() {
  for (const UsageCollector::Lie& lie : usage_.TakeLies()) Accuse(lie.worker_id, lie.what);
  for (const std::uint64_t id : gate_.TakeFlooding()) Accuse(id, "it calls the gate without end");
}

void Supervisor::ReadWorkers() {
  for (auto& [key, running] : running_) {
    running.process.ReadLog();
    const process::WorkerProcess::Heard heard = running.process.ReadControl();
    if (!heard.lie.empty()) Accuse(running, heard.lie);
    for (const auto& taken : running.process.TakeMembersTaken()) set_.OnMembers(key, taken.version, taken.refused);
    if (!heard.ready) continue;
    set_.OnReady(key, steady_clock::now(), running.process.refused_members());
    figures_due_ = true;  // its layers and pid shall be told together with that it is ready
    Log(LogLevel::kInfo, "worker is ready", {{"worker", key}});
  }
  for (auto& [id, spare] : spares_) {
    spare.running.process.ReadLog();
    if (const auto heard = spare.running.process.ReadControl(); !heard.lie.empty()) Accuse(spare.running, heard.lie);
  }
}

// Requests that run or wait, or that came and went since the last look, and knocks at the doors of those who sleep.
void Supervisor::SeeActivity() {
  const SteadyTime now = steady_clock::now();
  for (auto& [key, running] : running_) {
    const gate::WorkerPage& page = running.process.page();
    const std::uint64_t turns = page.turns.load(std::memory_order_relaxed);
    const bool busy = page.active_requests.load(std::memory_order_relaxed) > 0 ||
                      page.queued_requests.load(std::memory_order_relaxed) > 0 ||
                      page.turn.load(std::memory_order_relaxed) != gate::kResting;
    if (busy || turns != running.requests_seen) set_.OnActivity(key, now);
    running.requests_seen = turns;
  }
  for (const std::string& key : set_.Sleeping()) {
    const auto socket = sockets_.find(key);
    if (socket == sockets_.end()) continue;
    pollfd fd{socket->second.fd(), POLLIN, 0};
    if (poll(&fd, 1, 0) > 0) set_.OnKnock(key, now);
  }
}

void Supervisor::PublishChanges() {
  if (figures_due_ || steady_clock::now() - figures_at_ >= kFiguresEvery) RefreshFigures();
  std::vector<pool::ObservedWorker> workers = set_.Observed();
  std::vector<pool::ObservedModel> models = set_.ObservedModels();
  const std::lock_guard lock(mutex_);
  snapshot_.figures = figures_;
  if (workers == snapshot_.workers && models == snapshot_.models) return;
  snapshot_.workers = std::move(workers);
  snapshot_.models = std::move(models);
  ++snapshot_.revision;
  changed_.notify_all();
}

void Supervisor::WaitForEvents() {
  std::vector<pollfd> fds{{wake_.get(), POLLIN, 0}};
  const auto add = [&fds](int fd) {
    if (fd >= 0) fds.push_back({fd, POLLIN, 0});
  };
  for (auto& [key, zygote] : zygotes_) {
    add(zygote.process.channel_fd());
    add(zygote.process.stderr_fd());
    add(zygote.process.exit_fd());
  }
  for (auto& [key, running] : running_) {
    add(running.process.control_fd());
    add(running.process.log_fd());
  }
  for (auto& [id, spare] : spares_) {
    add(spare.running.process.control_fd());
    add(spare.running.process.log_fd());
  }
  for (const std::string& key : set_.Sleeping()) {
    if (const auto socket = sockets_.find(key); socket != sockets_.end()) add(socket->second.fd());
  }
  auto wait = running_.empty() && zygotes_.empty() ? kWaitMax : kFiguresEvery;
  for (const auto& deadline : {set_.NextDeadline(), spare_set_.NextDeadline(steady_clock::now())}) {
    if (!deadline) continue;
    wait = std::clamp(std::chrono::ceil<milliseconds>(*deadline - steady_clock::now()), milliseconds(0), wait);
  }
  poll(fds.data(), fds.size(), static_cast<int>(wait.count()));
  wake_.Clear();
}

}  // namespace allod::inference::node
