#include "inference/node/worker_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <charconv>
#include <csignal>
#include <cstring>
#include <new>
#include <string_view>

namespace allod::inference::node {
namespace {

constexpr std::size_t kLayersMax = 32;
constexpr int kMessagesAtOnceMax = 64;
constexpr std::size_t kLayerBytesMax = 64;

std::unexpected<Error> CannotStart(const char* what) {
  return Fail(Code::kUnavailable, "CANNOT_START_PROCESS", fmt::format("{}: {}", what, std::strerror(errno)));
}

// "Pid:\t123" of /proc/self/fdinfo/FD.
int PidOf(int pidfd) {
  const OwnedFd fd(open(fmt::format("/proc/self/fdinfo/{}", pidfd).c_str(), O_RDONLY | O_CLOEXEC));
  char text[512] = {};
  if (!fd || read(fd.get(), text, sizeof(text) - 1) <= 0) return 0;
  const std::string_view all(text);
  const std::size_t at = all.find("\nPid:\t");
  int pid = 0;
  if (at != std::string_view::npos) std::from_chars(text + at + 6, text + all.size(), pid);
  return pid > 0 ? pid : 0;
}

}  // namespace

Result<WorkerProcess> WorkerProcess::Prepare(std::uint64_t id, std::string who) {
  WorkerProcess out(id, std::move(who));
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
  int log[2];
  if (pipe2(log, O_CLOEXEC) != 0) return CannotStart("pipe");
  out.log_read_ = OwnedFd(log[0]);
  out.log_write_ = OwnedFd(log[1]);
  fcntl(log[0], F_SETFL, O_NONBLOCK);
  return out;
}

WorkerProcess::WorkerProcess(WorkerProcess&& other) noexcept
    : id_(other.id_),
      page_fd_(std::move(other.page_fd_)),
      page_(std::exchange(other.page_, nullptr)),
      control_(std::move(other.control_)),
      child_control_(std::move(other.child_control_)),
      log_read_(std::move(other.log_read_)),
      log_write_(std::move(other.log_write_)),
      pidfd_(std::move(other.pidfd_)),
      smaps_rollup_(std::move(other.smaps_rollup_)),
      pid_(other.pid_),
      lines_(std::move(other.lines_)),
      log_(std::move(other.log_)),
      layers_(std::move(other.layers_)),
      was_ready_(other.was_ready_) {}

WorkerProcess::~WorkerProcess() {
  Kill();
  if (page_ != nullptr) munmap(page_, gate::kPageBytes);
}

void WorkerProcess::Forked(OwnedFd pidfd) {
  pid_ = PidOf(pidfd.get());
  pidfd_ = std::move(pidfd);
  child_control_ = zygote::Channel();
  log_write_.Reset();
}

void WorkerProcess::LetGo() { (void)control_.Send({{"type", "go"}}); }
void WorkerProcess::LetServe() { (void)control_.Send({{"type", "serve"}}); }

bool WorkerProcess::ReadReady() {
  bool ready = false;
  for (int round = 0; control_ && round < kMessagesAtOnceMax; ++round) {
    auto received = control_.Receive(/*wait=*/false);
    if (!received) {
      control_ = zygote::Channel();
      return ready;
    }
    if (!*received) return ready;
    zygote::Message& message = **received;
    if (message.type() != "ready" || was_ready_) continue;
    ready = was_ready_ = true;
    const auto layers = message.body.find("layers");
    if (layers != message.body.end() && layers->is_array()) {
      for (const auto& layer : *layers) {
        if (!layer.is_string() || layers_.size() >= kLayersMax) continue;
        layers_.push_back(layer.get<std::string>().substr(0, kLayerBytesMax));
      }
    }
    if (!message.fds.empty()) smaps_rollup_ = std::move(message.fds.front());
  }
  return ready;
}

void WorkerProcess::ReadLog() {
  char buffer[8192];
  for (int round = 0; log_read_ && round < 16; ++round) {
    const ssize_t bytes = read(log_read_.get(), buffer, sizeof(buffer));
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return;
    if (bytes == 0) {
      log_read_.Reset();
      if (auto last = lines_.Finish()) log_.Take({*std::move(last)});
      return;
    }
    log_.Take(lines_.Feed({buffer, static_cast<std::size_t>(bytes)}));
  }
}

void WorkerProcess::SendMembers(const std::vector<Member>& members) {
  (void)control_.Send({{"type", "members"}, {"members", zygote::ToJson(members)}});
}

void WorkerProcess::AskToStop() { (void)control_.Send({{"type", "stop"}}); }

void WorkerProcess::Kill() {
  if (pidfd_) syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
}

}  // namespace allod::inference::node
