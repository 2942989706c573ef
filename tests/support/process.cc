#include "tests/support/process.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <stdexcept>

#include "tests/support/temp_dir.h"

extern char** environ;

namespace allod {
namespace {

struct Identity {
  bool change = false;
  uid_t uid = 0;
  gid_t gid = 0;
};

Identity Find(const std::string& user) {
  if (user.empty() || geteuid() != 0) return {};
  const passwd* entry = getpwnam(user.c_str());
  if (entry == nullptr) throw std::runtime_error("there is no user " + user);
  return {true, entry->pw_uid, entry->pw_gid};
}

// Between fork and exec: async-signal-safe calls only.
[[noreturn]] void Become(char* const* args, char* const* environment, int out, const Identity& identity,
                         int death_signal, pid_t parent) {
  if (identity.change && (setgroups(0, nullptr) != 0 || setgid(identity.gid) != 0 || setuid(identity.uid) != 0)) {
    _exit(126);
  }
  // After setuid, which clears it.
  prctl(PR_SET_PDEATHSIG, death_signal);
  if (getppid() != parent) _exit(126);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  const int in = open("/dev/null", O_RDONLY);
  dup2(in, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(out, STDERR_FILENO);
  execvpe(args[0], args, environment);
  _exit(127);
}

}  // namespace

Process::Process(const std::vector<std::string>& args, const ProcessOptions& options) : output_(options.output) {
  if (args.empty()) throw std::runtime_error("no program given");
  std::vector<char*> argv;
  for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  std::vector<char*> environment;
  // Of two entries with one name, getenv() finds the first.
  for (const std::string& entry : options.environment) environment.push_back(const_cast<char*>(entry.c_str()));
  for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
  environment.push_back(nullptr);
  const Identity identity = Find(options.user);
  const std::string out_path = output_.empty() ? "/dev/null" : output_.string();
  const int out = open(out_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (out < 0) throw std::runtime_error("cannot write " + out_path);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) Become(argv.data(), environment.data(), out, identity, options.death_signal, parent);
  close(out);
  if (pid_ < 0) throw std::runtime_error("cannot fork");
  pid_fd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  if (pid_fd_ < 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    throw std::runtime_error("cannot watch " + args[0]);
  }
  fcntl(pid_fd_, F_SETFD, FD_CLOEXEC);
}

Process::~Process() {
  Signal(SIGKILL);
  Wait(std::chrono::seconds(30));
  close(pid_fd_);
}

void Process::Signal(int signal) {
  if (!status_) kill(pid_, signal);  // not yet waited for, so the id is still ours
}

std::optional<int> Process::Wait(std::chrono::milliseconds timeout) {
  if (status_) return status_;
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd watched{pid_fd_, POLLIN, 0};
    const int ready = poll(&watched, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return std::nullopt;
    int status = 0;
    if (waitpid(pid_, &status, 0) != pid_) return std::nullopt;
    status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return status_;
  }
}

int Process::Stop(std::chrono::milliseconds grace) {
  Signal(SIGTERM);
  if (const auto status = Wait(grace)) return *status;
  Signal(SIGKILL);
  return Wait(std::chrono::seconds(30)).value_or(128 + SIGKILL);
}

std::string Process::Output() const {
  std::ifstream in(output_, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

Finished RunToEnd(const std::vector<std::string>& args, std::chrono::milliseconds timeout, ProcessOptions options) {
  const TempDir dir;
  if (options.output.empty()) options.output = dir / "output";
  Process process(args, options);
  const auto status = process.Wait(timeout);
  if (!status) throw std::runtime_error(args[0] + " did not end: " + process.Output());
  return {*status, process.Output()};
}

}  // namespace allod
