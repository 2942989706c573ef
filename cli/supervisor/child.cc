#include "cli/supervisor/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "cli/supervisor/reach.h"
#include "cli/supervisor/rotating_file.h"
#include "services/common/owned_fd.h"
#include "services/common/sandbox/service.h"

namespace allod::cli::supervisor {
namespace {

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

// What the child needs after fork, worked out before it: there only async-signal-safe calls may be made.
struct Plan {
  std::vector<char*> argv;
  std::vector<char*> environment;
  std::string layers_variable;
  int log = -1;
  int failure_pipe = -1;
  int layers_pipe = -1;
  int executable = -1;  // opened where its user cannot reach its path; else -1
  ReachPlan reach;
  pid_t parent = 0;
};

constexpr int kLastCapability = 63;

void RestrictCapabilities(const std::vector<int>& kept, bool is_root, int pipe) {
  std::array<__user_cap_data_struct, 2> wanted{};
  for (const int capability : kept) wanted[capability / 32].permitted |= 1U << (capability % 32);
  for (int capability = 0; capability <= kLastCapability; ++capability) {
    if ((wanted[capability / 32].permitted & (1U << (capability % 32))) == 0) {
      ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    }
  }
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (!is_root) return;  // changing the uid takes what it has
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> has{};
  if (::syscall(SYS_capget, &header, has.data()) != 0) FailStart(pipe, "capget");
  for (std::size_t i = 0; i < has.size(); ++i) {
    has[i].permitted &= wanted[i].permitted;
    has[i].effective = has[i].permitted;
    has[i].inheritable = 0;
  }
  if (::syscall(SYS_capset, &header, has.data()) != 0) FailStart(pipe, "capset");
}

void BecomeUser(const ServiceUser& user, const std::vector<int>& capabilities, int pipe) {
  if (::setgroups(user.groups.size(), user.groups.data()) != 0) FailStart(pipe, "setgroups");
  if (::setresgid(user.gid, user.gid, user.gid) != 0) FailStart(pipe, "setresgid");
  RestrictCapabilities(capabilities, user.uid == 0, pipe);
  if (::setresuid(user.uid, user.uid, user.uid) != 0) FailStart(pipe, "setresuid");
}

// In the child, after fork: only async-signal-safe calls.
[[noreturn]] void Become(const ChildSpec& spec, const Plan& plan) {
  const int pipe = plan.failure_pipe;
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::setpgid(0, 0);  // a terminal's Ctrl-C goes to the supervisor alone, which then stops its children in order
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  if (const char* failed = MakeReachable(plan.reach)) FailStart(pipe, failed);
  if (spec.user) BecomeUser(*spec.user, spec.capabilities, pipe);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) FailStart(pipe, "prctl(NO_NEW_PRIVS)");
  // After setresuid, which clears it.
  if (::prctl(PR_SET_PDEATHSIG, spec.orphan_signal) != 0) FailStart(pipe, "prctl(PDEATHSIG)");
  if (::getppid() != plan.parent) ::_exit(127);
  if (::dup2(plan.log, STDOUT_FILENO) < 0 || ::dup2(plan.log, STDERR_FILENO) < 0) FailStart(pipe, "dup2");
  const int null = ::open("/dev/null", O_RDONLY);
  if (null >= 0) ::dup2(null, STDIN_FILENO);
  if (plan.layers_pipe >= 0) ::fcntl(plan.layers_pipe, F_SETFD, 0);
  if (::chdir("/") != 0) FailStart(pipe, "chdir");
  if (plan.executable >= 0) {
    ::syscall(SYS_execveat, plan.executable, "", plan.argv.data(), plan.environment.data(), AT_EMPTY_PATH);
  } else {
    ::execve(plan.argv[0], plan.argv.data(), plan.environment.data());
  }
  FailStart(pipe, "exec");
}

}  // namespace

Result<RunningChild> StartChild(const ChildSpec& spec, int output) {
  const auto fail = [&](const std::string& why) {
    return FailedPrecondition("CANNOT_START", fmt::format("{}: {}: {}", spec.name, spec.argv[0], why));
  };
  Pipe failures = Pipe::Make();
  Pipe layers = spec.tells_layers ? Pipe::Make(O_NONBLOCK) : Pipe();
  if (!failures || (spec.tells_layers && !layers)) return fail(std::strerror(errno));
  Plan plan;
  for (const auto& arg : spec.argv) plan.argv.push_back(const_cast<char*>(arg.c_str()));
  plan.argv.push_back(nullptr);
  for (char** variable = environ; *variable != nullptr; ++variable) plan.environment.push_back(*variable);
  if (spec.tells_layers) {
    plan.layers_variable = fmt::format("{}={}", sandbox::kLayersFdVariable, layers.write.get());
    plan.environment.push_back(plan.layers_variable.data());
  }
  plan.environment.push_back(nullptr);
  plan.log = output;
  plan.failure_pipe = failures.write.get();
  plan.layers_pipe = layers.write.get();
  plan.parent = ::getpid();
  OwnedFd executable;
  if (spec.user && spec.user->uid != 0) {
    plan.reach = PlanReach(*spec.user, spec.reach);
    if (!CanReach(*spec.user, spec.argv[0])) executable = OwnedFd(::open(spec.argv[0].c_str(), O_PATH | O_CLOEXEC));
    plan.executable = executable.get();
  }

  const pid_t pid = ::fork();
  if (pid == 0) Become(spec, plan);
  if (pid < 0) return fail(fmt::format("fork: {}", std::strerror(errno)));
  failures.write.Reset();
  OwnedChild process = OwnedChild::Adopt(pid);
  if (!process) return fail(fmt::format("pidfd_open: {}", std::strerror(errno)));
  StartFailure failure;
  const ssize_t got = ::read(failures.read.get(), &failure, sizeof failure);
  if (got != static_cast<ssize_t>(sizeof failure)) return RunningChild{std::move(process), std::move(layers.read)};
  const std::string_view step = failure.step.data();
  if (!plan.reach.cover.empty() && (step.starts_with("mount") || step.starts_with("unshare"))) {
    return fail(
        fmt::format("{}: {}; user {} may not enter {}, and this host does not let it be covered: choose "
                    "another --state DIR, e.g. /var/lib/allod",
                    step, std::strerror(failure.error), spec.user->name, plan.reach.cover));
  }
  const bool closed = failure.error == EACCES && spec.user && step == "exec";
  return fail(fmt::format(
      "{}: {}{}", step, std::strerror(failure.error),
      closed ? fmt::format(" (user {} must be able to read and execute it: chmod o+rx)", spec.user->name) : ""));
}

Status RunToEnd(const ChildSpec& spec, std::chrono::seconds timeout) {
  OwnedFd log = OpenForLines(spec.log);
  if (!log) {
    return FailedPrecondition(
        "CANNOT_START", fmt::format("{}: cannot open {}: {}", spec.name, spec.log.string(), std::strerror(errno)));
  }
  ALLOD_TRY(RunningChild child, StartChild(spec, log.get()));
  log.Reset();
  const auto end = child.process.Wait(timeout);
  if (end == ProcessEnd{}) return {};
  child.process.Kill();
  return FailedPrecondition("PROGRAM_FAILED", fmt::format("{} {}; its last lines in {}:\n{}", spec.argv[0],
                                                          end ? fmt::format("failed ({})", DescribeEnd(*end))
                                                              : fmt::format("did not end within {} s", timeout.count()),
                                                          spec.log.string(), LastLines(spec.log, 5)));
}

std::string DescribeEnd(const ProcessEnd& end) {
  if (end.signal != 0) return fmt::format("killed by signal {}", end.signal);
  return fmt::format("exited with {}", end.status);
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

}  // namespace allod::cli::supervisor
