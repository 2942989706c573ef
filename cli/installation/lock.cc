#include "cli/installation/lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>

#include "cli/installation/files.h"

namespace allod::cli::installation {

Result<Lock> Lock::Take(const StateDir& state) {
  OwnedFd file(::open(state.lock().c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return FailedPrecondition("STATE_NOT_WRITABLE", "cannot open " + state.lock().string());
  if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return Lock(state, std::move(file));
  std::array<char, 32> pid{};
  const ssize_t n = ::read(file.get(), pid.data(), pid.size() - 1);
  return FailedPrecondition(
      "ALREADY_UP",
      fmt::format("{} is already up (process {}): see `allod status --state {}`, end it with `allod down`",
                  state.root().string(), n > 0 ? std::string(pid.data()) : "unknown", state.root().string()));
}

Status Lock::Sign() const {
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(file_.get(), 0) == 0 && ::pwrite(file_.get(), pid.data(), pid.size(), 0) > 0) return {};
  return FailedPrecondition("STATE_NOT_WRITABLE", "cannot write " + state_.lock().string());
}

namespace {

Result<StateDir> FindForRole(const StateDir& state, const std::string& role) {
  const std::string socket = state.role_socket(role).string();
  // Through the link, to what the gateway made.
  if (::access(socket.c_str(), R_OK | W_OK) == 0) return state.As(role);
  if (errno == EACCES) {
    return Fail(Code::kPermissionDenied, "NOT_IN_GROUP",
                fmt::format("{} is not for you: ask to be put into the group of `allod up --{}-group` (and sign in "
                            "again)",
                            socket, role));
  }
  return FailedPrecondition(
      "NO_ROLE_SOCKET",
      fmt::format("{} is not there: the installation is not up, or it was started without `allod up --{}-group GROUP`",
                  socket, role));
}

}  // namespace

Result<StateDir> FindRunning(const Given& given) {
  ALLOD_TRY(StateDir state, StateDir::Resolve(given.dir));
  if (!given.as.empty()) return FindForRole(state, given.as);
  const OwnedFd file(::open(state.lock().c_str(), O_RDONLY | O_CLOEXEC));
  if (!file && errno == EACCES) {
    return Fail(Code::kPermissionDenied, "NOT_OPERATOR",
                fmt::format("{} is another user's, and so only that user is its operator; who is in the group of a "
                            "role says `allod --as support` or `allod --as auditor`",
                            state.root().string()));
  }
  if (file && ::flock(file.get(), LOCK_SH | LOCK_NB) != 0) return state;
  return FailedPrecondition(
      "NOT_UP", fmt::format("{} is not up: run `allod up --state {}`", state.root().string(), state.root().string()));
}

Result<Holder> FindHolder(const StateDir& state) {
  ALLOD_TRY(const std::string text, ReadFile(state.lock()));
  Holder holder;
  if (std::from_chars(text.data(), text.data() + text.size(), holder.pid).ec != std::errc() || holder.pid <= 1) {
    return Internal(state.lock().string() + " does not hold a process id");
  }
  holder.pidfd = OwnedFd(static_cast<int>(::syscall(SYS_pidfd_open, holder.pid, 0)));
  if (!holder.pidfd) return FailedPrecondition("NOT_UP", fmt::format("process {} is gone", holder.pid));
  return holder;
}

}  // namespace allod::cli::installation
