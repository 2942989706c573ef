#include "cli/supervisor/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace allod::cli {
namespace {

constexpr std::uintmax_t kLogBytesMax = 16 << 20;

// What went wrong between fork and exec, told through a pipe that exec closes.
struct StartFailure {
  int error = 0;
  std::array<char, 32> step{};
};

[[noreturn]] void FailStart(int pipe, const char* step) {
  StartFailure failure;
  failure.error = errno;
  std::strncpy(failure.step.data(), step, failure.step.size() - 1);
  [[maybe_unused]] const auto n = ::write(pipe, &failure, sizeof failure);
  ::_exit(127);
}

// In the child, after fork: only async-signal-safe calls.
[[noreturn]] void Become(const ChildSpec& spec, char* const* argv, int log, int pipe, pid_t parent) {
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::setpgid(0, 0);  // a terminal's Ctrl-C goes to the supervisor alone, which then stops its children in order
  if (!spec.bind_from.empty()) {
    if (::unshare(CLONE_NEWNS) != 0) FailStart(pipe, "unshare(mount namespace)");
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) FailStart(pipe, "mount(private)");
    if (::mount(spec.bind_from.c_str(), spec.bind_to.c_str(), nullptr, MS_BIND, nullptr) != 0)
      FailStart(pipe, "mount(bind)");
  }
  if (spec.user) {
    if (::setgroups(0, nullptr) != 0) FailStart(pipe, "setgroups");
    if (::setgid(spec.user->gid) != 0) FailStart(pipe, "setgid");
    if (::setuid(spec.user->uid) != 0) FailStart(pipe, "setuid");
  }
  // After setuid, which clears it.
  if (::prctl(PR_SET_PDEATHSIG, spec.orphan_signal) != 0) FailStart(pipe, "prctl(PDEATHSIG)");
  if (::getppid() != parent) ::_exit(127);
  if (::dup2(log, STDOUT_FILENO) < 0 || ::dup2(log, STDERR_FILENO) < 0) FailStart(pipe, "dup2");
  const int null = ::open("/dev/null", O_RDONLY);
  if (null >= 0) ::dup2(null, STDIN_FILENO);
  if (::chdir("/") != 0) FailStart(pipe, "chdir");
  ::execv(argv[0], argv);
  FailStart(pipe, "exec");
}

}  // namespace

std::optional<ServiceUser> UnprivilegedUser() {
  if (::geteuid() != 0) return std::nullopt;
  for (const char* name : {"postgres", "nobody"}) {
    if (const passwd* pw = ::getpwnam(name); pw != nullptr) return ServiceUser{pw->pw_uid, pw->pw_gid, name};
  }
  return std::nullopt;
}

Result<RunningChild> StartChild(const ChildSpec& spec) {
  const auto fail = [&](const std::string& why) {
    return FailedPrecondition("CANNOT_START", fmt::format("{}: {}: {}", spec.name, spec.argv[0], why));
  };
  std::error_code ec;
  if (std::filesystem::file_size(spec.log, ec) > kLogBytesMax && !ec) {
    std::filesystem::rename(spec.log, spec.log.string() + ".1", ec);
  }
  const int log = ::open(spec.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) return fail(fmt::format("cannot open {}: {}", spec.log.string(), std::strerror(errno)));
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) {
    ::close(log);
    return fail(std::strerror(errno));
  }
  std::vector<char*> argv;
  for (const auto& arg : spec.argv) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);

  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) Become(spec, argv.data(), log, pipe[1], parent);
  ::close(log);
  ::close(pipe[1]);
  if (pid < 0) {
    ::close(pipe[0]);
    return fail(fmt::format("fork: {}", std::strerror(errno)));
  }
  StartFailure failure;
  const ssize_t got = ::read(pipe[0], &failure, sizeof failure);
  ::close(pipe[0]);
  if (got == static_cast<ssize_t>(sizeof failure)) {
    ::waitpid(pid, nullptr, 0);
    return fail(fmt::format("{}: {}", failure.step.data(), std::strerror(failure.error)));
  }
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (pidfd < 0) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return fail(fmt::format("pidfd_open: {}", std::strerror(errno)));
  }
  return RunningChild{pid, pidfd};
}

Status RunToEnd(const ChildSpec& spec, std::chrono::seconds timeout) {
  ALLOD_TRY(const RunningChild child, StartChild(spec));
  pollfd fd{child.pidfd, POLLIN, 0};
  const int ready = ::poll(&fd, 1, static_cast<int>(std::chrono::milliseconds(timeout).count()));
  if (ready <= 0) ::kill(child.pid, SIGKILL);
  int status = 0;
  ::waitpid(child.pid, &status, 0);
  ::close(child.pidfd);
  if (ready > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return FailedPrecondition("PROGRAM_FAILED",
                            fmt::format("{} {}; its last lines in {}:\n{}", spec.argv[0],
                                        ready <= 0 ? fmt::format("did not end within {} s", timeout.count())
                                                   : fmt::format("failed (wait status {})", status),
                                        spec.log.string(), LastLines(spec.log, 5)));
}

std::string LastLines(const std::filesystem::path& log, int lines) {
  std::ifstream in(log, std::ios::binary);
  in.seekg(0, std::ios::end);
  const auto size = static_cast<std::streamoff>(in.tellg());
  const std::streamoff from = std::max<std::streamoff>(0, size - 4096);
  in.seekg(from);
  std::string tail(static_cast<std::size_t>(std::max<std::streamoff>(0, size - from)), '\0');
  in.read(tail.data(), static_cast<std::streamsize>(tail.size()));
  std::size_t at = tail.size();
  for (int i = 0; i <= lines && at != std::string::npos && at > 0; ++i) at = tail.rfind('\n', at - 1);
  return at == std::string::npos || at == 0 ? tail : tail.substr(at + 1);
}

}  // namespace allod::cli
