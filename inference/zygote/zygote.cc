#include "inference/zygote/zygote.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "inference/zygote/heap_holes.h"
#include "inference/zygote/huge_pages.h"
#include "inference/zygote/uid_maps.h"
#include "services/common/log.h"

namespace allod::inference::zygote {
namespace {

constexpr std::size_t kChildrenMax = 1000;

Result<OwnedFd> WatchChildren() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  OwnedFd fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (fd) return fd;
  return Fail(Code::kInternal, "ZYGOTE_FAILED", fmt::format("signalfd: {}", std::strerror(errno)));
}

}  // namespace

Result<Zygote> Zygote::Enter(Channel channel, const ZygoteOptions& options) {
  auto namespaces = sandbox::EnterZygoteNamespaces([&channel] { return AskForUids(channel); });
  ALLOD_TRY(OwnedFd children, WatchChildren());
  ALLOD_TRY(auto serving, sandbox::SyscallFilter::ForServing(1));
  ALLOD_TRY(const auto start, sandbox::SyscallFilter::ForStart());
  // Without a mount namespace of its own this would be done to the host.
  if (namespaces.layers.Has(sandbox::kMountNamespace) && sandbox::EnterEmptyRoot()) {
    namespaces.layers.Add(sandbox::kEmptyRoot);
  }
  // Core files of a zygote would hold a whole model.
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (!start.Apply()) Log(LogLevel::kWarning, "this host gives zygotes no system call filter");
  if (options.strict && !namespaces.layers.Has(sandbox::kEmptyRoot)) {
    return FailedPrecondition(
        "SANDBOX_INCOMPLETE",
        "the node demands a strict sandbox, and this host lets no process leave its namespaces and "
        "root. Run the node as root with user namespaces allowed, or set \"sandbox\": \"auto\"");
  }
  return Zygote(std::move(channel), std::move(namespaces), std::move(serving), std::move(children));
}

Status Zygote::AnnounceResident(const nlohmann::json& facts) {
  // The model is there: from here on neither this process nor a child of it makes any file longer, of those it is
  // handed.
  const rlimit none{0, 0};
  setrlimit(RLIMIT_FSIZE, &none);
  FillHeapHoles();
  const std::int64_t huge = CollapseIntoHugePages(namespaces_.proc.get());
  Log(LogLevel::kInfo, "resident", {{"huge_page_bytes", std::to_string(huge)}});
  const OwnedFd memory(openat(namespaces_.proc.get(), "self/smaps_rollup", O_RDONLY | O_CLOEXEC));
  const std::vector<int> fds = memory ? std::vector{memory.get()} : std::vector<int>{};
  return channel_.Send({{"type", "resident"}, {"facts", facts}, {"layers", namespaces_.layers.names()}}, fds);
}

Status Zygote::Serve(const WorkerBody& body) {
  while (true) {
    pollfd fds[2] = {{channel_.fd(), POLLIN, 0}, {children_fd_.get(), POLLIN, 0}};
    if (poll(fds, 2, -1) < 0 && errno != EINTR) return Internal("poll failed");
    signalfd_siginfo ignored;
    while (read(children_fd_.get(), &ignored, sizeof(ignored)) > 0) {
    }
    ALLOD_CHECK_OK(Reap());
    auto message = channel_.Receive(/*wait=*/false);
    if (!message) {
      if (message.error().reason == "CHANNEL_CLOSED") return {};
      return std::unexpected(message.error());
    }
    if (*message && (*message)->type() == "fork") ALLOD_CHECK_OK(Fork(**std::move(message), body));
  }
}

std::uint32_t Zygote::TakeUid() {
  if (namespaces_.uids <= 1) return 0;
  for (std::uint32_t tries = 1; tries < namespaces_.uids; ++tries) {
    last_uid_ = last_uid_ % (namespaces_.uids - 1) + 1;
    if (std::ranges::none_of(children_, [this](const Child& c) { return c.uid == last_uid_; })) return last_uid_;
  }
  return 0;
}

Status Zygote::Fork(Message request, const WorkerBody& body) {
  const auto failed = [&](std::string_view why) {
    return channel_.Send({{"type", "fork_failed"}, {"id", request.body.value("id", 0ULL)}, {"message", why}});
  };
  auto spec = WorkerSpecFrom(request.body);
  if (!spec) return failed(spec.error().message);
  if (request.fds.size() != kWorkerFds) return failed("the request has the wrong number of descriptors");
  if (children_.size() >= kChildrenMax) return failed("the zygote has as many workers as it can have");
  const std::uint32_t uid = TakeUid();
  bool own_pid_namespace = false;
  const pid_t pid = sandbox::ForkIntoPidNamespace(namespaces_, own_pid_namespace);
  if (pid == 0) RunWorker(*std::move(spec), std::move(request.fds), own_pid_namespace, uid, body);
  if (pid < 0) return failed(fmt::format("fork: {}", std::strerror(errno)));
  children_.push_back({pid, spec->id, uid});
  const OwnedFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  return channel_.Send({{"type", "forked"}, {"id", spec->id}}, {pidfd.get()});
}

void Zygote::RunWorker(WorkerSpec spec, std::vector<OwnedFd> fds, bool own_pid_namespace, std::uint32_t uid,
                       const WorkerBody& body) {
  // What the zygote has is none of the worker's business.
  channel_ = Channel();
  children_fd_.Reset();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  dup2(fds[kFdLog].get(), STDOUT_FILENO);
  dup2(fds[kFdLog].get(), STDERR_FILENO);
  // The agent knows the process before it does anything.
  Channel control(std::move(fds[kFdControl]));
  const auto go = control.Receive();
  if (!go || !*go || (*go)->type() != "go") _exit(1);
  fds[kFdControl] = OwnedFd(dup(control.fd()));

  WorkerStart start;
  start.layers = sandbox::EnterWorkerNamespaces(namespaces_, own_pid_namespace, uid);
  if (namespaces_.proc) {
    start.smaps_rollup = OwnedFd(openat(namespaces_.proc.get(), "self/smaps_rollup", O_RDONLY | O_CLOEXEC));
    start.statm = OwnedFd(openat(namespaces_.proc.get(), "self/statm", O_RDONLY | O_CLOEXEC));
  }
  namespaces_.proc.Reset();
  namespaces_.pid_namespace.Reset();
  start.spec = std::move(spec);
  start.fds = std::move(fds);
  start.serving_filter = own_pid_namespace ? &serving_filter_ : nullptr;
  control = Channel();
  // Destructors of what the zygote has would free what the siblings share; there is nothing to be flushed.
  _exit(body(std::move(start)));
}

Status Zygote::Reap() {
  int status = 0;
  pid_t pid = 0;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    const auto child = std::ranges::find(children_, pid, &Child::pid);
    if (child == children_.end()) continue;
    nlohmann::json message = {{"type", "exited"}, {"id", child->id}};
    if (WIFSIGNALED(status)) {
      message["signal"] = WTERMSIG(status);
    } else {
      message["status"] = WEXITSTATUS(status);
    }
    children_.erase(child);
    ALLOD_CHECK_OK(channel_.Send(message));
  }
  return {};
}

}  // namespace allod::inference::zygote
