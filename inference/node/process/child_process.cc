#include "inference/node/process/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <utility>

#include "services/common/owned_fd.h"

namespace allod::inference::node::process {
namespace {

constexpr std::size_t kInheritedMax = 8;
constexpr unsigned kCloseOnExec = 1U << 2;  // CLOSE_RANGE_CLOEXEC

std::unexpected<Error> CannotStart(const char* what) {
  return Fail(Code::kUnavailable, "CANNOT_START_PROCESS", fmt::format("{}: {}", what, std::strerror(errno)));
}

// What the child writes to may block, what is read here not.
bool MakeOutputPipe(Pipe& out) {
  out = Pipe::Make();
  return out && fcntl(out.read.get(), F_SETFL, O_NONBLOCK) == 0;
}

// Between fork and exec in a program with threads: async-signal-safe calls only.
[[noreturn]] void RunChild(char* const* argv, pid_t parent, int out, int err, const ChildOptions& options) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  const int nothing = open("/dev/null", O_RDONLY);
  if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) _exit(127);
  // First out of the way of the numbers that they shall get.
  int inherited[kInheritedMax];
  const std::size_t count = options.inherit.size();
  for (std::size_t i = 0; i < count; ++i) inherited[i] = fcntl(options.inherit[i], F_DUPFD, 64);
  for (std::size_t i = 0; i < count; ++i) {
    if (inherited[i] < 0 || dup2(inherited[i], static_cast<int>(i) + 3) < 0) _exit(127);
  }
  syscall(SYS_close_range, 3U + static_cast<unsigned>(count), ~0U, kCloseOnExec);
  if (options.niceness != 0) setpriority(PRIO_PROCESS, 0, options.niceness);
  if (!options.groups.empty() && syscall(SYS_setgroups, options.groups.size(), options.groups.data()) != 0) _exit(127);
  execv(argv[0], argv);
  const char* reason = strerrordesc_np(errno);
  constexpr char kText[] = "cannot execute ";
  for (const char* text : {kText, static_cast<const char*>(argv[0]), ": ", reason, "\n"}) {
    if (text != nullptr && write(2, text, strlen(text)) < 0) break;
  }
  _exit(127);
}

}  // namespace

std::vector<std::string> LineReader::Feed(std::string_view bytes) {
  std::vector<std::string> lines;
  for (const char c : bytes) {
    if (c == '\n') {
      lines.push_back(std::exchange(line_, {}));
    } else if (line_.size() < line_bytes_max_) {
      line_ += c;
    }
  }
  return lines;
}

std::optional<std::string> LineReader::Finish() {
  if (line_.empty()) return std::nullopt;
  return std::exchange(line_, {});
}

Result<ChildProcess> ChildProcess::Start(const ChildOptions& options) {
  Pipe out;
  Pipe err;
  if (options.inherit.size() > kInheritedMax) return InvalidArgument("CANNOT_START_PROCESS", "too many descriptors");
  if (!MakeOutputPipe(err) || (options.capture_stdout && !MakeOutputPipe(out))) return CannotStart("pipe");
  std::vector<char*> argv;
  for (const std::string& argument : options.command) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = getpid();
  const int out_fd = options.capture_stdout ? out.write.get() : err.write.get();
  const pid_t pid = fork();
  if (pid < 0) return CannotStart("fork");
  if (pid == 0) RunChild(argv.data(), parent, out_fd, err.write.get(), options);

  ChildProcess child;
  child.process_ = OwnedChild::Adopt(pid);
  if (!child.process_) return CannotStart("pidfd_open");
  child.stdout_ = std::move(out.read);
  child.stderr_ = std::move(err.read);
  return child;
}

std::optional<pool::ProcessExit> ChildProcess::TryReap() {
  const auto end = process_.TryReap();
  if (!end) return std::nullopt;
  return end->signal != 0 ? pool::ProcessExit{.signal = end->signal} : pool::ProcessExit{.status = end->status};
}

std::vector<std::string> ChildProcess::Drain(OwnedFd& fd, LineReader& lines) {
  std::vector<std::string> out;
  char buffer[8192];
  // Bounded, so that a child that never stops talking cannot hold the caller.
  for (int round = 0; fd && round < 16; ++round) {
    const ssize_t n = read(fd.get(), buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;
    if (n == 0) {
      fd.Reset();
      if (auto last = lines.Finish()) out.push_back(*std::move(last));
      break;
    }
    for (std::string& line : lines.Feed({buffer, static_cast<std::size_t>(n)})) out.push_back(std::move(line));
  }
  return out;
}

}  // namespace allod::inference::node::process
