#include "services/common/process/launcher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "services/common/sandbox/limits.h"

namespace allod {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kErrorBytesMax = 4096;
// An answer is due by then: the launcher does nothing but wait for its children.
constexpr milliseconds kLauncherSlack{5000};

// What the launcher is sent with each run, beside four descriptors: input, output, error and where to answer.
constexpr std::size_t kDescriptors = 4;
struct Answer {
  ProcessEnd end;
  bool timed_out = false;
  bool started = false;
  bool too_many = false;
};

std::unexpected<Error> CannotStart(const char* what) {
  return Fail(Code::kUnavailable, "CANNOT_START_PROCESS", fmt::format("{}: {}", what, std::strerror(errno)));
}

bool SendDescriptors(int socket, const std::array<int, kDescriptors>& fds) {
  char byte = 'r';
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fds)] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fds);
  std::memcpy(CMSG_DATA(header), fds.data(), sizeof fds);
  ssize_t sent = 0;
  do {
    sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == 1;
}

enum class Received { kRun, kNothing, kEnd };

Received ReceiveDescriptors(int socket, std::array<OwnedFd, kDescriptors>& out) {
  char byte = 0;
  iovec data{&byte, 1};
  int fds[kDescriptors];
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fds)];
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (n < 0) return errno == EINTR || errno == EAGAIN || errno == EMFILE ? Received::kNothing : Received::kEnd;
  if (n == 0) return Received::kEnd;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
    return Received::kNothing;
  }
  // Fewer, where this process has too many open: those are closed with `out`.
  const std::size_t count = std::min((header->cmsg_len - CMSG_LEN(0)) / sizeof(int), kDescriptors);
  std::memcpy(fds, CMSG_DATA(header), count * sizeof(int));
  for (std::size_t i = 0; i < count; ++i) out[i] = OwnedFd(fds[i]);
  return count == kDescriptors ? Received::kRun : Received::kNothing;
}

[[noreturn]] void RunChild(const char* program, const LaunchLimits& limits, int in, int out, int err) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setpgid(0, 0);
  const auto lower = [](__rlimit_resource resource, rlim_t value) {
    const rlimit limit{value, value};
    return setrlimit(resource, &limit) == 0;
  };
  const auto seconds = static_cast<rlim_t>(std::chrono::ceil<std::chrono::seconds>(limits.time).count()) + 1;
  bool limited = lower(RLIMIT_FSIZE, limits.output_bytes_max) && lower(RLIMIT_CPU, seconds) && lower(RLIMIT_CORE, 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  limited = limited && lower(RLIMIT_AS, limits.memory_bytes_max);
#endif
  if (!limited) _exit(126);
  if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) _exit(126);
  syscall(SYS_close_range, 3U, ~0U, 0U);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  char* const argv[] = {const_cast<char*>(program), nullptr};
  char* const environment[] = {nullptr};
  execve(program, argv, environment);
  const char* reason = strerrordesc_np(errno);
  for (const char* text : {"cannot execute ", program, ": ", reason, "\n"}) {
    if (text != nullptr && write(2, text, strlen(text)) < 0) break;
  }
  _exit(127);
}

struct Child {
  OwnedChild process;
  OwnedFd reply;
  steady_clock::time_point deadline;
  bool timed_out = false;
};

void Reply(const OwnedFd& reply, const Answer& answer) {
  (void)!send(reply.get(), &answer, sizeof answer, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void Accept(const char* program, const LaunchLimits& limits, std::array<OwnedFd, kDescriptors>& fds,
            std::vector<Child>& children) {
  if (children.size() >= static_cast<std::size_t>(Launcher::kChildrenMax)) return Reply(fds[3], {.too_many = true});
  const pid_t pid = fork();
  if (pid == 0) RunChild(program, limits, fds[0].get(), fds[1].get(), fds[2].get());
  Child child{pid < 0 ? OwnedChild() : OwnedChild::Adopt(pid), std::move(fds[3]), steady_clock::now() + limits.time};
  if (!child.process) return Reply(child.reply, {});
  children.push_back(std::move(child));
}

// Whether it is over.
bool Look(Child& child, short reply_events) {
  if (const auto end = child.process.TryReap()) {
    Reply(child.reply, {.end = *end, .timed_out = child.timed_out, .started = true});
    return true;
  }
  const bool is_late = steady_clock::now() >= child.deadline;
  child.timed_out = child.timed_out || is_late;
  const bool is_left = (reply_events & (POLLHUP | POLLERR)) != 0;  // nobody waits for it any more
  if (is_left) child.reply.Reset();
  if (is_late || is_left) child.process.Signal(SIGKILL);
  return false;
}

[[noreturn]] void Serve(int control, const char* program, const LaunchLimits& limits) {
  std::vector<Child> children;
  while (true) {
    std::vector<pollfd> watched{{control, POLLIN, 0}};
    auto wake = steady_clock::time_point::max();
    for (const Child& child : children) {
      watched.push_back({child.process.exit_fd(), POLLIN, 0});
      // One that was killed already is waited for by its end alone.
      watched.push_back({child.timed_out ? -1 : child.reply.get(), 0, 0});
      if (!child.timed_out) wake = std::min(wake, child.deadline);
    }
    int timeout = -1;
    if (wake != steady_clock::time_point::max()) {
      const auto left = std::chrono::ceil<milliseconds>(wake - steady_clock::now()).count();
      timeout = static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
    }
    if (poll(watched.data(), watched.size(), timeout) < 0 && errno != EINTR) _exit(1);
    for (std::size_t i = children.size(); i-- > 0;) {
      if (Look(children[i], watched[2 + 2 * i].revents)) children.erase(children.begin() + static_cast<long>(i));
    }
    if (watched[0].revents == 0) continue;
    std::array<OwnedFd, kDescriptors> fds;
    const Received received = ReceiveDescriptors(control, fds);
    if (received == Received::kRun) Accept(program, limits, fds, children);
    if (received == Received::kEnd) {
      children.clear();  // kills and reaps
      _exit(0);
    }
  }
}

OwnedFd MemoryFile(const char* name) { return OwnedFd(memfd_create(name, MFD_CLOEXEC)); }

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return lseek(fd, 0, SEEK_SET) == 0;
}

// Up to `bytes_max`, whatever the file has beyond.
Result<std::string> ReadAll(int fd, std::uint64_t bytes_max) {
  struct stat file {};
  if (fstat(fd, &file) != 0) return CannotStart("fstat");
  std::string out(std::min<std::uint64_t>(static_cast<std::uint64_t>(file.st_size), bytes_max), '\0');
  std::size_t have = 0;
  while (have < out.size()) {
    const ssize_t n = pread(fd, out.data() + have, out.size() - have, static_cast<off_t>(have));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    have += static_cast<std::size_t>(n);
  }
  out.resize(have);
  return out;
}

// The answer, or nothing when the launcher has gone or says nothing.
std::optional<Answer> WaitFor(int reply, milliseconds timeout) {
  const auto deadline = steady_clock::now() + timeout;
  while (true) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now()).count();
    pollfd watched{reply, POLLIN, 0};
    const int ready = poll(&watched, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return std::nullopt;
    Answer answer;
    if (recv(reply, &answer, sizeof answer, MSG_DONTWAIT) == static_cast<ssize_t>(sizeof answer)) return answer;
    return std::nullopt;
  }
}

}  // namespace

Result<Launcher> Launcher::Start(const std::filesystem::path& program, const LaunchLimits& limits) {
  if (access(program.c_str(), X_OK) != 0) return CannotStart(program.c_str());
  int ends[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return CannotStart("socketpair");
  OwnedFd control(ends[0]);
  const OwnedFd other(ends[1]);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return CannotStart("fork");
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    prctl(PR_SET_NAME, "allod-launcher");
    // A Ctrl-C at the terminal is for the service, which ends this one by closing the socket.
    setpgid(0, 0);
    if (dup2(other.get(), 3) < 0) _exit(1);
    syscall(SYS_close_range, 4U, ~0U, 0U);
    sandbox::Layers layers;
    sandbox::LowerLimits({.open_files_max = 256, .file_bytes_max = sandbox::kFileBytesUnlimited}, layers);
    sandbox::DropCapabilities();
    Serve(3, program.c_str(), limits);
  }
  Launcher out;
  out.program_ = program;
  out.limits_ = limits;
  out.process_ = OwnedChild::Adopt(pid);
  if (!out.process_) return CannotStart("pidfd_open");
  out.control_ = std::move(control);
  return out;
}

Launcher::~Launcher() {
  if (!control_) return;
  control_.Reset();
  process_.Wait(std::chrono::seconds(2));
}

Result<LaunchResult> Launcher::Run(std::string_view input) const {
  const OwnedFd in = MemoryFile("input");
  const OwnedFd out = MemoryFile("output");
  const OwnedFd error = MemoryFile("error");
  if (!in || !out || !error) return CannotStart("memfd_create");
  if (!WriteAll(in.get(), input)) return CannotStart("input");
  int ends[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return CannotStart("socketpair");
  const OwnedFd mine(ends[0]);
  OwnedFd its(ends[1]);
  if (!SendDescriptors(control_.get(), {in.get(), out.get(), error.get(), its.get()})) {
    return CannotStart("the launcher has ended; start the service again");
  }
  its.Reset();
  const auto answer = WaitFor(mine.get(), limits_.time + kLauncherSlack);
  if (answer && answer->too_many) {
    return Fail(Code::kResourceExhausted, "TOO_MANY_PROCESSES",
                fmt::format("{} of {} run already; try again", kChildrenMax, program_.filename().string()));
  }
  if (!answer || !answer->started) {
    return Fail(Code::kUnavailable, "CANNOT_START_PROCESS",
                fmt::format("{} was not started", program_.filename().string()));
  }
  LaunchResult result{.end = answer->end, .timed_out = answer->timed_out};
  ALLOD_TRY(result.output, ReadAll(out.get(), limits_.output_bytes_max));
  ALLOD_TRY(result.error, ReadAll(error.get(), kErrorBytesMax));
  return result;
}

}  // namespace allod
