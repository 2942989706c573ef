#include "cli/supervisor/supervisor.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/installation/files.h"
#include "cli/supervisor/layout.h"
#include "tests/support/temp_dir.h"

namespace allod::cli::supervisor::supervisor_test {
namespace {

using installation::ReadFile;
using installation::StateDir;

class SupervisorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto state = StateDir::Resolve((dir_.path() / "s").string());
    ASSERT_TRUE(state) << state.error().message;
    state_.emplace(*state);
    const auto users = ServiceUsers::Make(kServiceUidsFirst);
    ASSERT_TRUE(users) << users.error().message;
    const Status made = MakeLayout(*state_, *users);
    ASSERT_TRUE(made) << made.error().message;
    stop_fd_ = ::eventfd(0, EFD_CLOEXEC);
  }
  void TearDown() override { ::close(stop_fd_); }

  ChildSpec Shell(const std::string& script) const {
    ChildSpec spec;
    spec.name = "child";
    spec.argv = {"/bin/sh", "-c", script};
    spec.log = state_->log("child");
    return spec;
  }
  nlohmann::json Published() const {
    const auto text = ReadFile(state_->status());
    return text ? nlohmann::json::parse(*text)["processes"][0] : nlohmann::json();
  }
  int Lines() const {
    std::ifstream in(state_->log("child"));
    int n = 0;
    for (std::string line; std::getline(in, line);) ++n;
    return n;
  }

  TempDir dir_;
  std::optional<StateDir> state_;
  int stop_fd_ = -1;
};

TEST_F(SupervisorTest, RestartsWhatDiesAndTellsHowItEnded) {
  Supervisor supervisor(*state_, stop_fd_);
  ASSERT_TRUE(supervisor.Start(Shell("echo up; exec sleep 60")));
  const int first = Published()["pid"];
  ASSERT_TRUE(supervisor.WaitUntil(
      "its output", [&] { return Lines() == 1; }, std::chrono::seconds(10)));
  ASSERT_EQ(::kill(first, SIGKILL), 0);
  const auto back = supervisor.WaitUntil(
      "the restart", [&] { return Published()["start_count"] == 2 && Published()["running"] == true; },
      std::chrono::seconds(10));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_NE(Published()["pid"], first);
  EXPECT_EQ(Published()["last_end"], "killed by signal 9");
  EXPECT_TRUE(supervisor.WaitUntil(
      "its output", [&] { return Lines() == 2; }, std::chrono::seconds(10)));
}

TEST_F(SupervisorTest, SaysWhatAFailingChildLoggedLast) {
  Supervisor supervisor(*state_, stop_fd_);
  ASSERT_TRUE(supervisor.Start(Shell("echo the disk is on fire; exit 7")));
  const auto status = supervisor.WaitUntil(
      "the child", [] { return false; }, std::chrono::seconds(1));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().reason, "NOT_READY");
  EXPECT_NE(status.error().message.find("exited with 7"), std::string::npos) << status.error().message;
  EXPECT_NE(status.error().message.find("the disk is on fire"), std::string::npos) << status.error().message;
}

TEST_F(SupervisorTest, GivesUpAtOnceOnAChildThatRefusesItsConfiguration) {
  Supervisor supervisor(*state_, stop_fd_);
  ASSERT_TRUE(supervisor.Start(Shell("echo listen is required; exit 2")));
  const auto start = std::chrono::steady_clock::now();
  const auto status = supervisor.WaitUntil(
      "the platform", [] { return false; }, std::chrono::seconds(60));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("listen is required"), std::string::npos) << status.error().message;
}

TEST_F(SupervisorTest, KillsWhatDoesNotStopInTime) {
  Supervisor supervisor(*state_, stop_fd_);
  ChildSpec stubborn = Shell("trap '' TERM; echo up; while :; do sleep 60; done");
  stubborn.stop_grace = std::chrono::milliseconds(100);
  ASSERT_TRUE(supervisor.Start(std::move(stubborn)));
  const int pid = Published()["pid"];
  ASSERT_TRUE(supervisor.WaitUntil(
      "its trap", [&] { return Lines() == 1; }, std::chrono::seconds(10)));
  supervisor.StopAll();
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST_F(SupervisorTest, ALogIsBoundedWhileItsProcessRuns) {
  Supervisor supervisor(*state_, stop_fd_);
  // More than one file may have, from one process that never ends.
  ASSERT_TRUE(supervisor.Start(
      Shell("i=0; while [ $i -lt 300 ]; do head -c 65536 /dev/zero | tr '\\0' x; echo; i=$((i+1)); done; "
            "echo done >&2; exec sleep 60")));
  const auto log = state_->log("child");
  const auto rotated = supervisor.WaitUntil(
      "its last line", [&] { return LastLines(log, 1) == "done\n"; }, std::chrono::seconds(60));
  ASSERT_TRUE(rotated) << rotated.error().message;
  EXPECT_LE(std::filesystem::file_size(log), std::uintmax_t{16 << 20});
  EXPECT_TRUE(std::filesystem::exists(log.string() + ".1"));
}

TEST_F(SupervisorTest, StopsWhenAskedWhileWaiting) {
  Supervisor supervisor(*state_, stop_fd_);
  ASSERT_EQ(::eventfd_write(stop_fd_, 1), 0);
  const auto status = supervisor.WaitUntil(
      "nothing", [] { return false; }, std::chrono::seconds(30));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().reason, "STOPPED");
}

TEST(StartChild, NamesTheStepThatFailed) {
  const TempDir dir;
  ChildSpec spec;
  spec.name = "nothing";
  spec.argv = {"/no/such/program"};
  spec.log = dir.path() / "log";
  const auto started = StartChild(spec, STDERR_FILENO);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().reason, "CANNOT_START");
  EXPECT_EQ(started.error().message, "nothing: /no/such/program: exec: No such file or directory");
}

// Not in a chroot, whose root is no mount.
bool CanCover() {
  const pid_t child = ::fork();
  if (child == 0) {
    const bool can = ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    ::_exit(can ? 0 : 1);
  }
  int status = 1;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(StartChild, DropsToItsUserAndSeesItsDirectoryBelowAClosedParentAndNothingElse) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  if (!CanCover()) GTEST_SKIP() << "this host lets nobody change mounts";
  constexpr uid_t kUser = 0x7fff0001;
  constexpr gid_t kGroup = 0x7fff0002;
  const TempDir dir;  // 0700, root's
  const auto state = dir / "s";
  std::filesystem::create_directory(state);
  ASSERT_EQ(::chmod(state.c_str(), 0711), 0);
  ASSERT_EQ(::chmod(dir.Write("s/file", "reached\n").c_str(), 0644), 0);
  dir.Write("secret", "");
  ChildSpec spec;
  spec.name = "child";
  spec.argv = {"/bin/sh", "-c",
               "id -u; id -G; cat " + (state / "file").string() + "; test -e " + (dir / "secret").string() +
                   " && echo sees more; grep -E '^(CapPrm|CapBnd|NoNewPrivs|Groups)' /proc/self/status"};
  spec.log = dir / "log";
  spec.user = ServiceUser{kUser, kUser, {kGroup}, "test"};
  spec.reach = state;
  const Status ran = RunToEnd(spec, std::chrono::seconds(10));
  ASSERT_TRUE(ran) << ran.error().message;
  EXPECT_EQ(*ReadFile(spec.log),
            "2147418113\n2147418113 2147418114\nreached\nGroups:\t2147418114 \nCapPrm:\t0000000000000000\n"
            "CapBnd:\t0000000000000000\nNoNewPrivs:\t1\n");
  EXPECT_TRUE(std::filesystem::exists(dir / "secret")) << "covered for the child alone";
}

TEST(StartChild, RootKeepsTheCapabilitiesThatAreNamedAndNoOther) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root has capabilities";
  const TempDir dir;
  ChildSpec spec;
  spec.name = "child";
  spec.argv = {"/bin/sh", "-c", "grep -E '^(CapPrm|CapEff|CapBnd)' /proc/self/status"};
  spec.log = dir / "log";
  spec.user = ServiceUser{0, 0, {}, "root"};
  spec.capabilities = {5};  // CAP_KILL
  ASSERT_TRUE(RunToEnd(spec, std::chrono::seconds(10)));
  EXPECT_EQ(*ReadFile(spec.log), "CapPrm:\t0000000000000020\nCapEff:\t0000000000000020\nCapBnd:\t0000000000000020\n");
}

TEST(ResolveStateDir, RefusesPathsThatLeaveNoRoomForSockets) {
  const auto state = StateDir::Resolve("/" + std::string(90, 'x'));
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().reason, "STATE_PATH_TOO_LONG");
}

}  // namespace
}  // namespace allod::cli::supervisor::supervisor_test
