#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/kcmp.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "tests/bench/pool/hostile_actions.h"

namespace allod::bench {
namespace {

template <typename Attempt>
bool AgainstAny(const Surroundings& s, Attempt attempt) {
  for (const pid_t pid : s.others) {
    // In a pid namespace of its own the hostile one is itself number 1.
    if (pid != getpid() && attempt(pid)) return true;
  }
  return false;
}

// Raw system calls: libc's own checks stay out of it. A child, if there is one, ends at once.
bool Succeeds(long result) {
  if (result == 0) _exit(0);
  return result > 0;
}

bool RaiseLimit(__rlimit_resource resource) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0) return false;
  limit.rlim_max += 4096;
  limit.rlim_cur = limit.rlim_max;
  return setrlimit(resource, &limit) == 0 || prlimit(0, resource, &limit, nullptr) == 0;
}

}  // namespace

std::vector<HostileAction> ProcessActions() {
  using S = const Surroundings&;
  return {
      {"ptrace_attach",
       [](S s) {
         return AgainstAny(s, [](pid_t pid) {
           return ptrace(PTRACE_ATTACH, pid, nullptr, nullptr) == 0 || ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) == 0;
         });
       }},
      {"ptrace_traceme", [](S) { return ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0; }},
      {"read_others_memory",
       [](S s) {
         char bytes[64];
         iovec here{bytes, sizeof(bytes)};
         iovec there{const_cast<char*>(__FILE__), sizeof(bytes)};
         return AgainstAny(s, [&](pid_t pid) { return process_vm_readv(pid, &here, 1, &there, 1, 0) > 0; });
       }},
      {"write_others_memory",
       [](S s) {
         static char bytes[8];
         iovec part{bytes, sizeof(bytes)};
         return AgainstAny(s, [&](pid_t pid) { return process_vm_writev(pid, &part, 1, &part, 1, 0) > 0; });
       }},
      {"advise_others_memory",
       [](S s) {
         return AgainstAny(s, [](pid_t pid) {
           const long fd = syscall(SYS_pidfd_open, pid, 0);
           iovec part{nullptr, 4096};
           return fd >= 0 && syscall(SYS_process_madvise, fd, &part, 1, MADV_PAGEOUT, 0) >= 0;
         });
       }},
      {"move_others_pages",
       [](S s) {
         return AgainstAny(s, [](pid_t pid) { return syscall(SYS_migrate_pages, pid, 0, nullptr, nullptr) == 0; });
       }},
      {"kill_others", [](S s) { return AgainstAny(s, [](pid_t pid) { return kill(pid, SIGSTOP) == 0; }); }},
      {"kill_everybody", [](S) { return kill(-1, SIGSTOP) == 0; }},
      {"kill_own_group", [](S) { return kill(0, SIGURG) == 0; }},
      {"signal_others_threads",
       [](S s) {
         return AgainstAny(s, [](pid_t pid) {
           return syscall(SYS_tgkill, pid, pid, SIGSTOP) == 0 || syscall(SYS_tkill, pid, SIGSTOP) == 0;
         });
       }},
      {"queue_signals",
       [](S s) {
         return AgainstAny(s, [](pid_t pid) {
           siginfo_t info{};
           info.si_code = SI_QUEUE;
           return syscall(SYS_rt_sigqueueinfo, pid, SIGURG, &info) == 0;
         });
       }},
      {"handles_of_processes",
       [](S s) { return AgainstAny(s, [](pid_t pid) { return syscall(SYS_pidfd_open, pid, 0) >= 0; }); }},
      {"steal_descriptors",
       [](S s) {
         const auto from = [](int pidfd) { return syscall(SYS_pidfd_getfd, pidfd, 0, 0) >= 0; };
         return AgainstAny(s, [&](pid_t pid) { return from(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))); }) ||
                from(s.listen_fd);
       }},
      {"compare_kernel_objects",
       [](S s) {
         return AgainstAny(s, [](pid_t pid) { return syscall(SYS_kcmp, getpid(), pid, KCMP_VM, 0, 0) >= 0; });
       }},
      {"limits_of_others",
       [](S s) {
         return AgainstAny(s, [](pid_t pid) {
           rlimit limit{};
           return prlimit(pid, RLIMIT_NOFILE, nullptr, &limit) == 0;
         });
       }},
      {"affinity_of_others",
       [](S s) {
         cpu_set_t cpus;
         CPU_ZERO(&cpus);
         CPU_SET(0, &cpus);
         return AgainstAny(s, [&](pid_t pid) { return sched_setaffinity(pid, sizeof(cpus), &cpus) == 0; });
       }},
      {"real_time_scheduling",
       [](S) {
         const sched_param parameter{.sched_priority = 1};
         return syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &parameter) == 0 ||
                syscall(SYS_sched_setparam, 0, &parameter) == 0;
       }},
      {"higher_priority", [](S) { return setpriority(PRIO_PROCESS, 0, -20) == 0 || nice(-1) != -1; }},
      {"fork", [](S) { return Succeeds(syscall(SYS_fork)); }},
      {"vfork", [](S) { return Succeeds(syscall(SYS_vfork)); }},
      {"clone_process", [](S) { return Succeeds(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0)); }},
      {"clone3_process",
       [](S) {
         clone_args arguments{};
         arguments.exit_signal = SIGCHLD;
         return Succeeds(syscall(SYS_clone3, &arguments, sizeof(arguments)));
       }},
      {"clone_into_user_namespace",
       [](S) { return Succeeds(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, 0)); }},
      {"execute_shell",
       [](S) {
         char* argv[] = {const_cast<char*>("sh"), nullptr};
         return execve("/bin/sh", argv, nullptr) == 0;
       }},
      {"execute_memory_file",
       [](S s) {
         char* argv[] = {const_cast<char*>("x"), nullptr};
         return syscall(SYS_execveat, s.page_fd, "", argv, nullptr, 0x1000) == 0;
       }},
      {"map_code",
       [](S) { return mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED; }},
      {"map_own_page_as_code",
       [](S s) { return mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, s.page_fd, 0) != MAP_FAILED; }},
      {"turn_data_into_code",
       [](S) {
         void* data = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
         return mprotect(data, 4096, PROT_READ | PROT_EXEC) == 0 ||
                syscall(SYS_pkey_mprotect, data, 4096, PROT_READ | PROT_EXEC, -1) == 0;
       }},
      {"new_user_namespace", [](S) { return unshare(CLONE_NEWUSER) == 0; }},
      {"new_namespaces",
       [](S) { return unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWPID) == 0; }},
      {"join_namespaces",
       [](S s) {
         return AgainstAny(
             s, [](pid_t pid) { return setns(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)), CLONE_NEWNET) == 0; });
       }},
      {"become_root", [](S) { return syscall(SYS_setuid, 0) == 0 || syscall(SYS_setresuid, 0, 0, 0) == 0; }},
      {"become_roots_group", [](S) { return syscall(SYS_setgid, 0) == 0 || setgroups(0, nullptr) == 0; }},
      {"regain_capabilities",
       [](S) {
         __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
         __user_cap_data_struct all[2] = {{~0U, ~0U, ~0U}, {~0U, ~0U, ~0U}};
         return syscall(SYS_capset, &header, all) == 0;
       }},
      {"be_dumpable", [](S) { return prctl(PR_SET_DUMPABLE, 1) == 0; }},
      {"allow_new_privileges", [](S) { return prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0; }},
      {"survive_the_agent", [](S) { return prctl(PR_SET_PDEATHSIG, 0) == 0; }},
      {"let_others_trace", [](S) { return prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY) == 0; }},
      {"replace_the_filter",
       [](S) {
         sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
         sock_fprog program{1, &allow};
         return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0 ||
                prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
       }},
      {"watch_own_filter",
       [](S) {
         sock_filter notify = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
         sock_fprog program{1, &notify};
         return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program) >= 0;
       }},
      {"another_landlock", [](S) { return syscall(SYS_landlock_create_ruleset, nullptr, 0, 1U) >= 0; }},
      {"raise_open_files", [](S) { return RaiseLimit(RLIMIT_NOFILE); }},
      {"raise_memory", [](S) { return RaiseLimit(RLIMIT_DATA); }},
      {"raise_threads", [](S) { return RaiseLimit(RLIMIT_NPROC); }},
      {"raise_file_size", [](S) { return RaiseLimit(RLIMIT_FSIZE); }},
      {"lock_memory", [](S) { return mlockall(MCL_CURRENT) == 0; }},
      {"new_session", [](S) { return setsid() > 0; }},
      {"change_personality", [](S) { return syscall(SYS_personality, 0x0400000) >= 0; }},
  };
}

}  // namespace allod::bench
