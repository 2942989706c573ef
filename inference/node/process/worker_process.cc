#include "inference/node/process/worker_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <charconv>
#include <csignal>
#include <cstring>
#include <new>
#include <string_view>

namespace allod::inference::node::process {
namespace {

constexpr std::size_t kLayersMax = 32;
constexpr std::int64_t kLogBytesPerSecondMax = 256 << 10;
// Lists of members that it can have been sent between two looks, and more.
constexpr std::size_t kMembersTakenMax = 256;
constexpr char kSpoiled[] = "it sent over its control channel what no worker sends";
constexpr std::size_t kLayerBytesMax = 64;

std::unexpected<Error> CannotStart(const char* what) {
  return Fail(Code::kUnavailable, "CANNOT_START_PROCESS", fmt::format("{}: {}", what, std::strerror(errno)));
}

// What the kernel says of a process that ended and was waited for.
constexpr int kReaped = -1;

// "Pid:\t123" of /proc/self/fdinfo/FD; 0 when it is no process's.
int PidOf(int pidfd) {
  const OwnedFd fd(open(fmt::format("/proc/self/fdinfo/{}", pidfd).c_str(), O_RDONLY | O_CLOEXEC));
  char text[512] = {};
  if (!fd || read(fd.get(), text, sizeof(text) - 1) <= 0) return 0;
  const std::string_view all(text);
  const std::size_t at = all.find("\nPid:\t");
  int pid = 0;
  if (at != std::string_view::npos) std::from_chars(text + at + 6, text + all.size(), pid);
  return pid > 0 || pid == kReaped ? pid : 0;
}

}  // namespace

WorkerProcess::WorkerProcess(std::uint64_t id, std::string who)
    : id_(id), log_(std::move(who)), log_bytes_(kLogBytesPerSecondMax) {}

Result<WorkerProcess> WorkerProcess::Prepare(std::uint64_t id, std::string who, OwnedFd bell) {
  WorkerProcess out(id, std::move(who));
  out.bell_ = std::move(bell);
  out.page_fd_ = OwnedFd(memfd_create("worker-page", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!out.page_fd_ || ftruncate(out.page_fd_.get(), gate::kPageBytes) != 0) return CannotStart("memfd_create");
  // A worker that shrank it would make our next look at it a bus error.
  fcntl(out.page_fd_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  void* page = mmap(nullptr, gate::kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, out.page_fd_.get(), 0);
  if (page == MAP_FAILED) return CannotStart("mmap");
  out.page_ = new (page) gate::WorkerPage{};
  out.page_->magic.store(gate::kPageMagic);
  ALLOD_TRY(auto channels, zygote::Channel::MakePair());
  out.control_ = std::move(channels.first);
  out.child_control_ = std::move(channels.second);
  Pipe log = Pipe::Make();
  if (!log) return CannotStart("pipe");
  fcntl(log.read.get(), F_SETFL, O_NONBLOCK);
  out.log_read_ = std::move(log.read);
  out.log_write_ = std::move(log.write);
  return out;
}

WorkerProcess::WorkerProcess(WorkerProcess&& other) noexcept
    : id_(other.id_),
      page_fd_(std::move(other.page_fd_)),
      page_(std::exchange(other.page_, nullptr)),
      control_(std::move(other.control_)),
      child_control_(std::move(other.child_control_)),
      bell_(std::move(other.bell_)),
      log_read_(std::move(other.log_read_)),
      log_write_(std::move(other.log_write_)),
      pidfd_(std::move(other.pidfd_)),
      smaps_rollup_(std::move(other.smaps_rollup_)),
      pid_(other.pid_),
      lines_(std::move(other.lines_)),
      log_(std::move(other.log_)),
      log_bytes_(other.log_bytes_),
      layers_(std::move(other.layers_)),
      duty_(std::exchange(other.duty_, std::nullopt)),
      may_serve_(other.may_serve_),
      was_assigned_(other.was_assigned_),
      was_ready_(other.was_ready_),
      refused_members_(std::move(other.refused_members_)),
      members_taken_(std::move(other.members_taken_)) {}

WorkerProcess::~WorkerProcess() {
  Kill();
  if (page_ != nullptr) munmap(page_, gate::kPageBytes);
}

std::vector<int> WorkerProcess::fork_fds() const {
  std::vector<int> fds(zygote::kWorkerFds);
  fds[zygote::kFdControl] = child_control_.fd();
  fds[zygote::kFdPage] = page_fd_.get();
  fds[zygote::kFdGate] = bell_.get();
  fds[zygote::kFdLog] = log_write_.get();
  return fds;
}

Status WorkerProcess::Forked(OwnedFd pidfd) {
  child_control_ = zygote::Channel();
  log_write_.Reset();
  bell_.Reset();
  // A directory of /proc passes for a pidfd when a signal is sent, and could be anybody's.
  const int pid = PidOf(pidfd.get());
  if (pid == 0) return InvalidArgument("NO_PIDFD", "the descriptor of a forked worker is no process's");
  if (pid == kReaped) return {};
  pid_ = pid;
  pidfd_ = std::move(pidfd);
  return {};
}

void WorkerProcess::LetGo() { (void)control_.Send({{"type", "go"}}); }

void WorkerProcess::Assign(std::string who, std::vector<ports::Member> members, int listen_fd, OwnedFd ring) {
  log_.Rename(std::move(who));
  duty_.emplace(std::move(members), OwnedFd(fcntl(listen_fd, F_DUPFD_CLOEXEC, 0)), std::move(ring));
  TellDuty();
}

void WorkerProcess::LetServe() {
  may_serve_ = true;
  TellDuty();
}

void WorkerProcess::TellDuty() {
  if (!may_serve_ || !duty_) return;
  std::vector<int> fds(zygote::kAssignmentFds);
  fds[zygote::kFdListen] = duty_->listen.get();
  fds[zygote::kFdRing] = duty_->ring.get();
  (void)control_.Send(zygote::AssignMessage(duty_->members), fds);
  duty_.reset();
  was_assigned_ = true;
}

WorkerProcess::Heard WorkerProcess::ReadControl() {
  Heard heard;
  // A worker says one thing in its life, so what follows it is not read on and on.
  while (control_) {
    auto received = control_.Receive(/*wait=*/false);
    if (!received) {
      control_ = zygote::Channel();
      if (received.error().reason != "CHANNEL_CLOSED") heard.lie = kSpoiled;
      return heard;
    }
    if (!*received) return heard;
    zygote::Message& message = **received;
    const auto spoiled = [&] {
      control_ = zygote::Channel();
      heard.lie = kSpoiled;
      return heard;
    };
    if (message.type() == "members" && was_ready_) {
      const auto version = message.body.find("version");
      if (version == message.body.end() || !version->is_number_unsigned() || !message.fds.empty() ||
          members_taken_.size() == kMembersTakenMax) {
        return spoiled();
      }
      members_taken_.push_back({version->get<std::uint64_t>(), zygote::RefusedFrom(message.body)});
      continue;
    }
    const bool has_memory = !message.fds.empty();
    if (message.type() != "ready" || was_ready_ || !was_assigned_ || message.fds.size() > 1 ||
        (has_memory && !IsProcFile(message.fds.front().get()))) {
      return spoiled();
    }
    heard.ready = was_ready_ = true;
    refused_members_ = zygote::RefusedFrom(message.body);
    const auto layers = message.body.find("layers");
    if (layers != message.body.end() && layers->is_array()) {
      for (const auto& layer : *layers) {
        if (!layer.is_string() || layers_.size() >= kLayersMax) continue;
        layers_.push_back(layer.get<std::string>().substr(0, kLayerBytesMax));
      }
    }
    if (has_memory) smaps_rollup_ = std::move(message.fds.front());
  }
  return heard;
}

int WorkerProcess::log_fd() { return log_bytes_.IsSpent(std::chrono::steady_clock::now()) ? -1 : log_read_.get(); }

void WorkerProcess::ReadLog() {
  char buffer[8192];
  while (log_fd() >= 0) {
    const ssize_t bytes = read(log_read_.get(), buffer, sizeof(buffer));
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return;
    if (bytes == 0) {
      log_read_.Reset();
      if (auto last = lines_.Finish()) log_.Take({*std::move(last)});
      return;
    }
    log_bytes_.Count(bytes, std::chrono::steady_clock::now());
    log_.Take(lines_.Feed({buffer, static_cast<std::size_t>(bytes)}));
  }
}

void WorkerProcess::SendMembers(const std::vector<ports::Member>& members, std::uint64_t version) {
  (void)control_.Send({{"type", "members"}, {"version", version}, {"members", zygote::ToJson(members)}});
}

void WorkerProcess::AskToStop(std::chrono::milliseconds drain) {
  (void)control_.Send({{"type", "stop"}, {"drain_ms", drain.count()}});
}

void WorkerProcess::Kill() {
  if (pidfd_) syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
}

}  // namespace allod::inference::node::process
