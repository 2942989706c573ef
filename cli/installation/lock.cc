#include "cli/installation/lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
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

Result<StateDir> FindRunning(const std::string& given) {
  ALLOD_TRY(StateDir state, StateDir::Resolve(given));
  const OwnedFd file(::open(state.lock().c_str(), O_RDONLY | O_CLOEXEC));
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
