#include "inference/sandbox/namespaces.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "services/common/sandbox/limits.h"

namespace allod::inference::sandbox {
namespace {

constexpr int kInside = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWUTS;

bool WriteFileAt(int directory, const char* path, const std::string& text) {
  const OwnedFd fd(openat(directory, path, O_WRONLY | O_CLOEXEC));
  return fd && write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

void AddInside(Layers& layers) {
  layers.Add(kMountNamespace);
  layers.Add(kIpcNamespace);
  layers.Add(kNetworkNamespace);
}

// The process that started the zygote keeps waiting for it here.
[[noreturn]] void WaitAndEndAs(pid_t child) {
  syscall(SYS_close_range, 0U, ~0U, 0U);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {
    signal(WTERMSIG(status), SIG_DFL);
    kill(getpid(), WTERMSIG(status));
  }
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

// A /proc that shows the processes of this pid namespace and nothing of the machine; none where there can be none.
OwnedFd OwnProc() {
  const OwnedFd context(fsopen("proc", FSOPEN_CLOEXEC));
  if (!context) return {};
  fsconfig(context.get(), FSCONFIG_SET_STRING, "subset", "pid", 0);  // unknown before Linux 5.8
  if (fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return {};
  return OwnedFd(fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
}

void DieWithParent(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (parent != 0 && getppid() != parent) raise(SIGKILL);
}

}  // namespace

ZygoteNamespaces EnterZygoteNamespaces(const std::function<std::uint32_t()>& map_uids, bool keep_groups) {
  ZygoteNamespaces out;
  out.keep_groups = keep_groups;
  const pid_t parent = getppid();
  out.proc = OwnedFd(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  bool has_pid = false;
  if (unshare(CLONE_NEWUSER | CLONE_NEWPID | kInside) == 0) {
    out.layers.Add(kUserNamespace);
    AddInside(out.layers);
    has_pid = true;
    out.uids = map_uids();
    // All of the process's ids become the namespace's own 0.
    if (out.uids > 0) {
      if (!keep_groups) (void)!setgroups(0, nullptr);
      (void)!setresgid(0, 0, 0);
      (void)!setresuid(0, 0, 0);
    }
  } else if (unshare(CLONE_NEWPID | kInside) == 0) {
    // Root where user namespaces are not allowed, in a chroot for example.
    AddInside(out.layers);
    has_pid = true;
  }
  // Changing ids may have cleared it.
  DieWithParent(parent);
  if (!has_pid) return out;
  const pid_t child = fork();
  if (child > 0) WaitAndEndAs(child);
  if (child < 0) return out;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_DUMPABLE, 1);  // else its files in /proc belong to the host's root
  out.layers.Add(kPidNamespace);
  if (OwnedFd own = OwnProc()) {
    out.proc = std::move(own);
    out.layers.Add(kOwnProc);
  }
  if (out.proc) out.pid_namespace = OwnedFd(openat(out.proc.get(), "self/ns/pid", O_RDONLY | O_CLOEXEC));
  return out;
}

Status WriteUidMaps(pid_t child, std::uint32_t first, std::uint32_t count) {
  const std::string directory = fmt::format("/proc/{}", child);
  const OwnedFd process(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const std::string map = fmt::format("0 {} {}\n", first, count);
  // A group map by an unprivileged writer is accepted only after this.
  if (process && geteuid() != 0) WriteFileAt(process.get(), "setgroups", "deny");
  if (process && WriteFileAt(process.get(), "uid_map", map) && WriteFileAt(process.get(), "gid_map", map)) return {};
  return Fail(Code::kInternal, "CANNOT_MAP_UIDS",
              fmt::format("uids {} to {}: {}", first, first + count - 1, std::strerror(errno)));
}

bool EnterEmptyRoot(bool own_descriptors) {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  const char* options = own_descriptors ? "size=4k,nr_inodes=4,mode=0555" : "size=4k,nr_inodes=1,mode=0555";
  if (mount("allod-empty", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) != 0) return false;
  if (own_descriptors) {
    // The agent's umask closes what it makes to all other users, and this process becomes one.
    const mode_t umask_before = umask(0);
    bool made = true;
    for (const char* directory : {"/tmp/proc", "/tmp/proc/self", "/tmp/proc/self/fd"}) {
      made = made && mkdir(directory, 0555) == 0;
    }
    umask(umask_before);
    if (!made) return false;
    if (mount("/proc/self/fd", "/tmp/proc/self/fd", nullptr, MS_BIND, nullptr) != 0) return false;
  }
  if (chdir("/tmp") != 0) return false;
  // The old root ends up beneath the new one and is taken away (pivot_root(2), "pivot_root(".", ".")").
  if (syscall(SYS_pivot_root, ".", ".") == 0) {
    if (umount2(".", MNT_DETACH) != 0) return false;
  } else if (chroot(".") != 0) {  // pivot_root is refused inside a chroot
    return false;
  }
  if (chdir("/") != 0) return false;
  mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  return true;
}

pid_t ForkIntoPidNamespace(const ZygoteNamespaces& zygote, bool& own_pid_namespace) {
  own_pid_namespace = zygote.pid_namespace && unshare(CLONE_NEWPID) == 0;
  const pid_t child = fork();
  const int error = errno;
  // Children go to the namespace of the last unshare for ever, unless it is taken back.
  if (child != 0 && own_pid_namespace) (void)!setns(zygote.pid_namespace.get(), CLONE_NEWPID);
  errno = error;
  return child;
}

Layers EnterWorkerNamespaces(const ZygoteNamespaces& zygote, bool own_pid_namespace, std::uint32_t uid) {
  Layers layers;
  if (own_pid_namespace) layers.Add(kPidNamespace);
  const bool has_user = zygote.layers.Has(kUserNamespace);
  // Without a user namespace of ours 0 is the host's root, and any other uid would be somebody's.
  const bool changed = has_user && uid != 0 && (zygote.keep_groups || setgroups(0, nullptr) == 0) &&
                       setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0;
  if (changed) layers.Add(kOwnUid);
  prctl(PR_SET_DUMPABLE, 1);  // changing the uid cleared it; the maps below are files that then belong to root
  if (unshare(CLONE_NEWUSER | kInside) == 0) {
    layers.Add(kUserNamespace);
    AddInside(layers);
    if (zygote.proc && zygote.uids > 0) {
      const std::string map = fmt::format("{} {} 1\n", uid, uid);
      WriteFileAt(zygote.proc.get(), "self/setgroups", "deny");
      WriteFileAt(zygote.proc.get(), "self/uid_map", map);
      WriteFileAt(zygote.proc.get(), "self/gid_map", map);
    }
  } else if (unshare(kInside) == 0) {
    AddInside(layers);
  }
  if (zygote.layers.Has(kEmptyRoot)) layers.Add(kEmptyRoot);
  if (DropCapabilities()) layers.Add(kNoCapabilities);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  int death_signal = 0;
  if (prctl(PR_GET_PDEATHSIG, &death_signal) == 0 && death_signal == SIGKILL) layers.Add(kDieWithParent);
  return layers;
}

}  // namespace allod::inference::sandbox
