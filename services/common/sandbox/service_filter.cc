#include "services/common/sandbox/service_filter.h"

#include <sched.h>
#include <seccomp.h>
#include <sys/socket.h>

#include <cerrno>
#include <initializer_list>
#include <memory>
#include <utility>

namespace allod::sandbox {
namespace {

struct FilterDeleter {
  void operator()(void* filter) const { seccomp_release(filter); }
};

constexpr int kDenied[] = {
    // Other programs and processes.
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(process_madvise),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kcmp),
    SCMP_SYS(setpgid),
    SCMP_SYS(setsid),
    SCMP_SYS(personality),
    // Namespaces, mounts, roots.
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(open_tree),
    SCMP_SYS(move_mount),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount),
    SCMP_SYS(fspick),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(name_to_handle_at),
    SCMP_SYS(mknod),
    SCMP_SYS(mknodat),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(quotactl),
    // Identities.
    SCMP_SYS(setuid),
    SCMP_SYS(setgid),
    SCMP_SYS(setreuid),
    SCMP_SYS(setregid),
    SCMP_SYS(setresuid),
    SCMP_SYS(setresgid),
    SCMP_SYS(setgroups),
    SCMP_SYS(capset),
    // The kernel itself.
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(reboot),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(acct),
    SCMP_SYS(syslog),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(modify_ldt),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(clock_adjtime),
    SCMP_SYS(adjtimex),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
    SCMP_SYS(vhangup),
    SCMP_SYS(fanotify_init),
    SCMP_SYS(lookup_dcookie),
    SCMP_SYS(nfsservctl),
};

// Besides, of what only computes. abort() ends it all the same.
constexpr int kDeniedToTools[] = {
    SCMP_SYS(socket),
    SCMP_SYS(socketpair),
    SCMP_SYS(connect),
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(kill),
    SCMP_SYS(tkill),
    SCMP_SYS(tgkill),
    SCMP_SYS(rt_sigqueueinfo),
    SCMP_SYS(rt_tgsigqueueinfo),
    SCMP_SYS(pidfd_open),
    SCMP_SYS(pidfd_send_signal),
    SCMP_SYS(process_mrelease),
    SCMP_SYS(setpriority),
    SCMP_SYS(ioprio_set),
    SCMP_SYS(migrate_pages),
    SCMP_SYS(move_pages),
    SCMP_SYS(shmget),
    SCMP_SYS(shmat),
    SCMP_SYS(semget),
    SCMP_SYS(msgget),
    SCMP_SYS(mq_open),
};

// The first argument of these is a process; 0 is the caller.
constexpr int kOwnProcessOnly[] = {
    SCMP_SYS(prlimit64),      SCMP_SYS(sched_setaffinity),  SCMP_SYS(sched_setattr),
    SCMP_SYS(sched_setparam), SCMP_SYS(sched_setscheduler),
};

bool Deny(void* filter, int call) {
  // Numbers below zero are calls that this architecture does not have.
  return call < 0 || seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 0) == 0;
}

// Threads, never processes or namespaces. The flags of clone3 lie in memory, where a filter cannot look; libc goes on
// with clone.
bool DenyProcesses(void* filter) {
  return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                          SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0)) == 0 &&
         seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
}

bool DenySockets(void* filter, bool network) {
  // Families between and above those that are allowed. Filters compare numbers, and rules of one call must not
  // contradict each other, so the allowed ones are cut out as ranges.
  static_assert(AF_UNIX == 1 && AF_INET == 2 && AF_INET6 == 10);
  const auto deny = [filter](std::initializer_list<scmp_arg_cmp> range) {
    return seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), static_cast<unsigned>(range.size()),
                                  range.begin()) == 0;
  };
  if (!deny({SCMP_A0(SCMP_CMP_EQ, AF_UNSPEC)})) return false;
  if (!network) return deny({SCMP_A0(SCMP_CMP_GT, AF_UNIX)});
  for (int family = AF_INET + 1; family < AF_INET6; ++family) {
    if (!deny({SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(family))})) return false;
  }
  return deny({SCMP_A0(SCMP_CMP_GT, AF_INET6)});
}

using Filter = std::unique_ptr<void, FilterDeleter>;

// With what everybody is denied but sockets; null when it could not be made.
Filter CommonFilter() {
  Filter filter(seccomp_init(SCMP_ACT_ALLOW));
  if (!filter) return nullptr;
  // Calls of another architecture (32 bits) end the whole process, not one thread of it.
  seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1);
  for (const int call : kDenied) {
    if (!Deny(filter.get(), call)) return nullptr;
  }
  return DenyProcesses(filter.get()) ? std::move(filter) : nullptr;
}

}  // namespace

bool ApplyServiceFilter(bool network) {
  const Filter filter = CommonFilter();
  return filter && DenySockets(filter.get(), network) && seccomp_load(filter.get()) == 0;
}

bool ApplyToolFilter() {
  const Filter filter = CommonFilter();
  if (!filter) return false;
  for (const int call : kDeniedToTools) {
    if (!Deny(filter.get(), call)) return false;
  }
  for (const int call : kOwnProcessOnly) {
    if (seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), call, 1, SCMP_A0(SCMP_CMP_NE, 0)) != 0) return false;
  }
  return seccomp_load(filter.get()) == 0;
}

}  // namespace allod::sandbox
