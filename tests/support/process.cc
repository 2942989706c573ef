#include "tests/support/process.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
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
  const OwnedFd out(open(out_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!out) throw std::runtime_error("cannot write " + out_path);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) Become(argv.data(), environment.data(), out.get(), identity, options.death_signal, parent);
  if (pid < 0) throw std::runtime_error("cannot fork");
  child_ = OwnedChild::Adopt(pid);
  if (!child_) throw std::runtime_error("cannot watch " + args[0]);
}

void Process::Signal(int signal) { child_.Signal(signal); }

std::optional<int> Process::Wait(std::chrono::milliseconds timeout) {
  if (const auto end = child_.Wait(timeout)) status_ = end->signal != 0 ? 128 + end->signal : end->status;
  return status_;
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

std::int64_t OwnMemoryBytes(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/smaps_rollup");
  std::int64_t kibibytes = 0;
  for (std::string word; in >> word;) {
    std::int64_t part = 0;
    if ((word == "Pss_Anon:" || word == "Pss_Shmem:") && in >> part) kibibytes += part;
  }
  return kibibytes << 10;
}

}  // namespace allod
