// What a job process can still do once it is confined: only what it is there for.

#include "inference/compress/confine.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>
#include <string>

#include "services/common/sandbox/limits.h"
#include "tests/support/temp_dir.h"

namespace allod::inference::compress::confine_test {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kHasAddressLimit = false;  // services/common/sandbox/limits.cc tells why
#else
constexpr bool kHasAddressLimit = true;
#endif

class JobSandboxTest : public testing::Test {
 protected:
  // Runs `body` in a process that was confined with `input_` to read and `scratch_` to write. Its exit status: what
  // `body` returned, 90 when it could not be confined.
  int Confined(const std::function<int(const sandbox::Layers&)>& body) const {
    const pid_t child = fork();
    if (child == 0) {
      zygote::Channel nobody;
      const auto layers = EnterJobSandbox(
          nobody, {.limits = LimitsForJob(4096, 1), .files = {{input_}, {scratch_, true}}, .die_with_parent = true});
      _exit(layers ? body(*layers) : 90);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  static std::string Name(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

  TempDir dir_;
  const int input_ = open(dir_.Write("model", "GGUF").c_str(), O_RDONLY | O_CLOEXEC);
  const int scratch_ = open((dir_ / "scratch").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const std::string other_ = dir_.Write("other", "another model");
};

TEST_F(JobSandboxTest, OpensItsOwnFilesByDescriptorAndNoOtherByName) {
  EXPECT_EQ(Confined([&](const sandbox::Layers&) {
              if (open(Name(input_).c_str(), O_RDONLY) < 0) return 1;
              if (open(Name(scratch_).c_str(), O_WRONLY | O_TRUNC) < 0) return 2;
              for (const char* path :
                   {"/etc/passwd", "/proc/1/environ", "/proc/self/maps", "/dev/null", "/", other_.c_str()}) {
                if (open(path, O_RDONLY) >= 0) return 3;
              }
              if (open(Name(input_).c_str(), O_WRONLY) >= 0) return 4;
              if (open("/new", O_WRONLY | O_CREAT, 0600) >= 0) return 5;
              return 0;
            }),
            0);
}

TEST_F(JobSandboxTest, HasNoNetworkNoProcessesAndNoWayToMore) {
  EXPECT_EQ(Confined([](const sandbox::Layers&) {
              for (const int family : {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK}) {
                if (socket(family, SOCK_STREAM, 0) >= 0) return 1;
              }
              if (const pid_t pid = fork(); pid >= 0) return 2;
              char* const argv[] = {nullptr};
              execve("/bin/sh", argv, argv);
              if (errno != EPERM && errno != ENOENT) return 3;
              if (kill(getppid(), 0) == 0 && getppid() > 0) return 4;
              if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0) return 5;
              if (mount("none", "/", "tmpfs", 0, nullptr) == 0) return 6;
              if (setuid(0) == 0 && geteuid() == 0 && !sandbox::HasNoCapability()) return 7;
              if (mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
                return 8;
              return 0;
            }),
            0);
}

TEST_F(JobSandboxTest, LayersAreNamedThatAreInForce) {
  EXPECT_EQ(Confined([](const sandbox::Layers& layers) {
              for (const auto layer : {sandbox::kNoCapabilities, sandbox::kNoNewPrivs, sandbox::kNotDumpable,
                                       sandbox::kRlimits, sandbox::kSeccomp}) {
                if (!layers.Has(layer)) return 1;
              }
              if (!sandbox::HasNoCapability()) return 2;
              rlimit limit{};
              if (getrlimit(RLIMIT_AS, &limit) != 0 || (kHasAddressLimit && limit.rlim_max == RLIM_INFINITY)) return 3;
              if (getrlimit(RLIMIT_CPU, &limit) != 0 || limit.rlim_max != 6 * 3600) return 4;
              if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_max == RLIM_INFINITY) return 5;
              return 0;
            }),
            0);
}

TEST_F(JobSandboxTest, AFileThatGrowsWithoutEndEndsTheJob) {
  const int status =
      Confined([&](const sandbox::Layers&) { return ftruncate(scratch_, (std::int64_t{1} << 40)) == 0 ? 0 : 1; });
  EXPECT_NE(status, 0);
}

}  // namespace
}  // namespace allod::inference::compress::confine_test
