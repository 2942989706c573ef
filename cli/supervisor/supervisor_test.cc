#include "cli/supervisor/supervisor.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/temp_dir.h"

namespace allod::cli {
namespace {

class SupervisorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto state = StateDir::Resolve((dir_.path() / "s").string());
    ASSERT_TRUE(state) << state.error().message;
    state_.emplace(*state);
    ASSERT_TRUE(state_->Create());
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
  const auto started = StartChild(spec);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().reason, "CANNOT_START");
  EXPECT_EQ(started.error().message, "nothing: /no/such/program: exec: No such file or directory");
}

TEST(ResolveStateDir, RefusesPathsThatLeaveNoRoomForSockets) {
  const auto state = StateDir::Resolve("/" + std::string(90, 'x'));
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().reason, "STATE_PATH_TOO_LONG");
}

}  // namespace
}  // namespace allod::cli
