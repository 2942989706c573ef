// What somebody who took over allod-invoice would try first, as that program's user.
#include "services/billing/typesetting/confine.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>
#include <string>
#include <vector>

#include "services/billing/typesetting/fonts.h"

namespace allod::billing::typesetting::confine_test {
namespace {

struct Try {
  const char* what;
  std::function<long()> attempt;  // below zero, and errno, when it was refused
};

bool IsRefused(const Try& one) {
  errno = 0;
  return one.attempt() < 0 && (errno == EPERM || errno == EACCES);
}

// Of those, which a confined process could do all the same; one line for each.
std::string DoneConfined(const std::vector<Try>& tries, bool& has_landlock) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  const pid_t pid = fork();
  if (pid == 0) {
    const auto confined = Confine(kFontDirectory);
    std::string out = confined ? "" : confined.error().message;
    for (const Try& one : tries) {
      if (!IsRefused(one)) out += std::string(one.what) + "\n";
    }
    out += confined && confined->has_landlock ? "L" : "-";
    (void)!write(ends[1], out.data(), out.size());
    _exit(0);
  }
  close(ends[1]);
  std::string out;
  char buffer[4096];
  for (ssize_t n = 0; (n = read(ends[0], buffer, sizeof buffer)) > 0;) out.append(buffer, static_cast<std::size_t>(n));
  close(ends[0]);
  int status = -1;
  waitpid(pid, &status, 0);
  if (!WIFEXITED(status) || out.empty()) return "the confined process died: " + std::to_string(status);
  has_landlock = out.back() == 'L';
  out.pop_back();
  return out;
}

TEST(Confine, LeavesNoWayToOthersOfItsUser) {
  const pid_t parent = getpid();
  // One that was open before, as if it had been handed over.
  const int open_socket = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_GE(open_socket, 0);
  const std::vector<Try> tries = {
      {"a Unix socket", [] { return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); }},
      {"a TCP socket", [] { return socket(AF_INET, SOCK_STREAM, 0); }},
      {"a netlink socket", [] { return socket(AF_NETLINK, SOCK_RAW, 0); }},
      {"a socket pair",
       [] {
         int pair[2];
         return socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
       }},
      {"connect",
       [open_socket] {
         sockaddr_un address{.sun_family = AF_UNIX, .sun_path = "/run/allod/billing.sock"};
         return connect(open_socket, reinterpret_cast<const sockaddr*>(&address), sizeof address);
       }},
      {"kill", [parent] { return kill(parent, SIGCONT); }},
      {"tgkill", [parent] { return syscall(SYS_tgkill, parent, parent, SIGCONT); }},
      {"pidfd_open", [parent] { return syscall(SYS_pidfd_open, parent, 0); }},
      {"another's limits",
       [parent] {
         rlimit limit{};
         return prlimit(parent, RLIMIT_NOFILE, nullptr, &limit);
       }},
      {"another's priority", [parent] { return setpriority(PRIO_PROCESS, static_cast<id_t>(parent), 19); }},
      {"another's processors",
       [parent] {
         cpu_set_t set;
         CPU_ZERO(&set);
         CPU_SET(0, &set);
         return sched_setaffinity(parent, sizeof set, &set);
       }},
      {"shared memory", [] { return shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600); }},
      {"a process", [] { return syscall(SYS_fork); }},
      {"a program",
       [] {
         char* const none[] = {nullptr};
         return execve("/bin/true", none, none);
       }},
      {"io_uring", [] { return syscall(SYS_io_uring_setup, 1, nullptr); }},
  };
  for (const Try& one : tries) {
    const std::string what = one.what;
    // That the attempt means something: unconfined the kernel does not refuse it.
    if (what != "a process" && what != "a program" && what != "io_uring" && what != "connect" &&
        what != "another's priority" && what != "another's processors") {
      EXPECT_FALSE(IsRefused(one)) << what;
    }
  }
  bool has_landlock = false;
  EXPECT_EQ(DoneConfined(tries, has_landlock), "");
  close(open_socket);
}

TEST(Confine, LeavesNoFileButFontsWhereTheKernelHasLandlock) {
  bool has_landlock = false;
  const auto open_file = [](const char* path, int how) { return [path, how] { return long{open(path, how)}; }; };
  const std::string done = DoneConfined({{"/etc/passwd", open_file("/etc/passwd", O_RDONLY)},
                                         {"/proc/self/environ", open_file("/proc/self/environ", O_RDONLY)},
                                         {"a new file", open_file("/tmp", O_TMPFILE | O_RDWR)}},
                                        has_landlock);
  if (!has_landlock) GTEST_SKIP() << "this kernel has no Landlock";
  EXPECT_EQ(done, "");
  // What it needs is there.
  EXPECT_EQ(DoneConfined({{"fonts", open_file(kFontDirectory, O_RDONLY | O_DIRECTORY)}}, has_landlock), "fonts\n");
}

}  // namespace
}  // namespace allod::billing::typesetting::confine_test
