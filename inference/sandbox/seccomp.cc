#include "inference/sandbox/seccomp.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <memory>

#include "services/common/owned_fd.h"

namespace allod::inference::sandbox {
namespace {

constexpr scmp_datum_t kRequestTilePermission = 0x1023;  // ARCH_REQ_XCOMP_PERM of asm/prctl.h

struct FilterDeleter {
  void operator()(void* filter) const { seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, FilterDeleter>;

// What threads, memory, time, gRPC on accepted sockets and ggml need.
constexpr int kServing[] = {
    // Memory.
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(mincore),
    SCMP_SYS(membarrier),
    // Threads and scheduling.
    SCMP_SYS(futex),
    SCMP_SYS(futex_waitv),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(get_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_setaffinity),
    SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_getscheduler),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(getppid),
    SCMP_SYS(set_tid_address),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(getcpu),
    // Signals to itself.
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(sigaltstack),
    // Time.
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    // Open descriptors.
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(close),
    SCMP_SYS(close_range),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(lseek),
    SCMP_SYS(dup),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(eventfd2),
    SCMP_SYS(pipe2),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime),
    // Connections that gateways made.
    SCMP_SYS(accept4),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendto),
    SCMP_SYS(shutdown),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    // Harmless questions.
    SCMP_SYS(getrandom),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getrusage),
    SCMP_SYS(times),
    SCMP_SYS(prlimit64),
    SCMP_SYS(getrlimit),
};

// Further for a zygote and until a worker serves.
constexpr int kStart[] = {
    SCMP_SYS(mmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(clone),
    SCMP_SYS(clone3),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(wait4),
    SCMP_SYS(waitid),
    SCMP_SYS(kill),
    SCMP_SYS(tgkill),
    SCMP_SYS(pidfd_open),
    SCMP_SYS(pidfd_send_signal),
    SCMP_SYS(prctl),
    SCMP_SYS(capset),
    SCMP_SYS(capget),
    SCMP_SYS(setresuid),
    SCMP_SYS(setresgid),
    SCMP_SYS(setgroups),
    SCMP_SYS(setrlimit),
    SCMP_SYS(seccomp),
    SCMP_SYS(landlock_create_ruleset),
    SCMP_SYS(landlock_restrict_self),
    SCMP_SYS(openat),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(access),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(open),
    SCMP_SYS(statx),
    SCMP_SYS(fcntl),
    SCMP_SYS(ioctl),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(memfd_create),
    SCMP_SYS(fadvise64),
    SCMP_SYS(getcwd),
    SCMP_SYS(socket),
    SCMP_SYS(socketpair),
    SCMP_SYS(setpriority),
    SCMP_SYS(getpriority),
    SCMP_SYS(umask),
    SCMP_SYS(getdents64),
    SCMP_SYS(copy_file_range),
    SCMP_SYS(arch_prctl),
    SCMP_SYS(sched_setscheduler),
    SCMP_SYS(mlock),
    SCMP_SYS(mbind),
    SCMP_SYS(set_mempolicy),
    SCMP_SYS(get_mempolicy),
    SCMP_SYS(pipe),
    SCMP_SYS(fstatfs),
    SCMP_SYS(statfs),
};

// Further for a job. What it opens is bounded by its root and by Landlock.
constexpr int kJob[] = {
    SCMP_SYS(capget),  // that it has none is looked at from inside
    SCMP_SYS(openat),    SCMP_SYS(open),
    SCMP_SYS(stat),      SCMP_SYS(lstat),
    SCMP_SYS(statx),     SCMP_SYS(access),
    SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),  SCMP_SYS(readlinkat),
    SCMP_SYS(ftruncate), SCMP_SYS(fallocate),
    SCMP_SYS(fsync),     SCMP_SYS(fdatasync),
    SCMP_SYS(fadvise64), SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),   SCMP_SYS(memfd_create),
    SCMP_SYS(getcwd),    SCMP_SYS(getpriority),
    SCMP_SYS(readahead), SCMP_SYS(sched_setscheduler),
};

std::unexpected<Error> Failed(const char* what, int error) {
  return Fail(Code::kInternal, "SECCOMP_FAILED",
              fmt::format("{}: {}", what, std::strerror(error < 0 ? -error : error)));
}

template <std::size_t kCount>
bool Allow(void* filter, const int (&calls)[kCount]) {
  for (const int call : calls) {
    // Numbers below zero are calls that this architecture does not have.
    if (call >= 0 && seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) != 0) return false;
  }
  return true;
}

// Protection may be changed, but never to code: what a worker runs was there when it was forked.
bool AllowDataOnly(void* filter, int call) {
  return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0;
}

// Threads, and what they need of calls that are allowed with some arguments only.
bool AllowThreads(void* filter, pid_t self) {
  // Threads, never processes. The flags of clone3 lie in memory, where a filter cannot look; libc goes on with clone.
  const bool threads = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                        SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_NEWUSER, CLONE_THREAD)) == 0 &&
                       seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
  // Names of threads.
  const bool names =
      seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)) == 0;
  // abort() and raise().
  const bool abort_self = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                                           SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(self))) == 0;
  // Descriptor flags; no locks, leases or owners that get signals.
  bool flags = true;
  for (const int command : {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC}) {
    flags = flags && seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                                      SCMP_A1(SCMP_CMP_EQ, static_cast<scmp_datum_t>(command))) == 0;
  }
  // How many bytes wait in a connection.
  const bool pending =
      seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, FIONREAD)) == 0;
  // ggml asks each time whether it may use the processor's tile registers (AMX).
  const bool tiles = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(arch_prctl), 1,
                                      SCMP_A0(SCMP_CMP_EQ, kRequestTilePermission)) == 0;
  return threads && names && abort_self && flags && pending && tiles && AllowDataOnly(filter, SCMP_SYS(mprotect));
}

bool AllowServingArguments(void* filter, pid_t self) {
  // Shared memory does not count against the limit of data; what a worker shares it mapped before.
  const bool maps =
      seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
                       SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_SHARED, 0)) == 0;
  return maps && AllowThreads(filter, self);
}

// Refuses with EPERM what is not allowed.
Result<Filter> NewFilter() {
  Filter filter(seccomp_init(SCMP_ACT_ERRNO(EPERM)));
  if (!filter) return Failed("seccomp_init", ENOMEM);
  seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  // Calls of another architecture (32 bits) end the whole process, not one thread of it.
  seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  return filter;
}

// Through a pipe: a file would need a size, which processes that were started may not change.
Result<std::vector<sock_filter>> Export(void* filter) {
  Pipe pipe = Pipe::Make();
  if (!pipe) return Failed("pipe", errno);
  // A filter has at most 4,096 instructions, and a pipe takes 64 KiB.
  const int failed = seccomp_export_bpf(filter, pipe.write.get());
  pipe.write.Reset();
  std::vector<sock_filter> program(BPF_MAXINSNS);
  ssize_t got = 0;
  std::size_t bytes = 0;
  while ((got = read(pipe.read.get(), reinterpret_cast<char*>(program.data()) + bytes,
                     program.size() * sizeof(sock_filter) - bytes)) > 0) {
    bytes += static_cast<std::size_t>(got);
  }
  if (failed != 0) return Failed("seccomp_export_bpf", failed);
  if (bytes == 0 || bytes % sizeof(sock_filter) != 0) return Failed("reading the filter", EIO);
  program.resize(bytes / sizeof(sock_filter));
  program.shrink_to_fit();
  return program;
}

}  // namespace

Result<SyscallFilter> SyscallFilter::ForStart() {
  ALLOD_TRY(const Filter filter, NewFilter());
  if (!Allow(filter.get(), kServing) || !Allow(filter.get(), kStart)) return Failed("seccomp_rule_add", EINVAL);
  SyscallFilter out;
  ALLOD_TRY(out.program_, Export(filter.get()));
  return out;
}

Result<SyscallFilter> SyscallFilter::ForServing(pid_t self) {
  ALLOD_TRY(const Filter filter, NewFilter());
  if (!Allow(filter.get(), kServing) || !AllowServingArguments(filter.get(), self))
    return Failed("seccomp_rule_add", EINVAL);
  SyscallFilter out;
  ALLOD_TRY(out.program_, Export(filter.get()));
  return out;
}

Result<SyscallFilter> SyscallFilter::ForJob(pid_t self) {
  ALLOD_TRY(const Filter filter, NewFilter());
  // Models are mapped shared, for reading; a copy in memory is sealed.
  const bool own = seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                                    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0 &&
                   seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                                    SCMP_A1(SCMP_CMP_EQ, static_cast<scmp_datum_t>(F_ADD_SEALS))) == 0;
  if (!own || !Allow(filter.get(), kServing) || !Allow(filter.get(), kJob) || !AllowThreads(filter.get(), self)) {
    return Failed("seccomp_rule_add", EINVAL);
  }
  SyscallFilter out;
  ALLOD_TRY(out.program_, Export(filter.get()));
  return out;
}

bool SyscallFilter::Apply() const {
  sock_fprog program{static_cast<unsigned short>(program_.size()), const_cast<sock_filter*>(program_.data())};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

}  // namespace allod::inference::sandbox
