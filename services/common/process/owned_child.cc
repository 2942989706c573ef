#include "services/common/process/owned_child.h"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

namespace allod {

OwnedChild OwnedChild::Adopt(pid_t pid) {
  OwnedChild child;
  if (pid <= 0) {  // kill() would take it for many processes
    errno = ESRCH;
    return child;
  }
  child.pidfd_ = OwnedFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));  // close-on-exec
  if (child.pidfd_) {
    child.pid_ = pid;
    return child;
  }
  const int error = errno;
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  errno = error;
  return child;
}

OwnedChild::OwnedChild(OwnedChild&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}

OwnedChild& OwnedChild::operator=(OwnedChild&& other) noexcept {
  if (this != &other) {
    Kill();
    pid_ = std::exchange(other.pid_, -1);
    pidfd_ = std::move(other.pidfd_);
  }
  return *this;
}

void OwnedChild::Signal(int signal) {
  if (pidfd_) syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0);
}

std::optional<ProcessEnd> OwnedChild::Wait(std::chrono::milliseconds timeout) {
  using std::chrono::steady_clock;
  const auto deadline = steady_clock::now() + timeout;
  while (pidfd_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now());
    pollfd watched{pidfd_.get(), POLLIN, 0};
    const int ready = poll(&watched, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return std::nullopt;
    siginfo_t info{};
    if (waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) {
      return std::nullopt;
    }
    pidfd_.Reset();
    if (info.si_code == CLD_EXITED) return ProcessEnd{.status = info.si_status};
    return ProcessEnd{.signal = info.si_status};
  }
  return std::nullopt;
}

void OwnedChild::Kill() {
  if (!pidfd_) return;
  Signal(SIGKILL);
  siginfo_t info{};
  while (waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED) != 0 && errno == EINTR) {
  }
  pidfd_.Reset();
}

}  // namespace allod
