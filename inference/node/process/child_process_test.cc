#include "inference/node/process/child_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>

namespace allod::inference::node::process::child_process_test {
namespace {

pool::ProcessExit WaitFor(ChildProcess& child) {
  pollfd fd{child.exit_fd(), POLLIN, 0};
  EXPECT_EQ(poll(&fd, 1, 30'000), 1);
  const auto exit = child.TryReap();
  EXPECT_TRUE(exit);
  return exit.value_or(pool::ProcessExit{});
}

TEST(ChildProcess, ReportsHowItEnded) {
  auto exits = ChildProcess::Start({.command = {"/bin/sh", "-c", "exit 7"}});
  ASSERT_TRUE(exits);
  EXPECT_EQ(WaitFor(*exits).status, 7);
  auto killed = ChildProcess::Start({.command = {"/bin/sh", "-c", "exec sleep 60"}});
  ASSERT_TRUE(killed);
  EXPECT_FALSE(killed->TryReap());
  killed->Signal(SIGTERM);
  EXPECT_EQ(WaitFor(*killed).signal, SIGTERM);
}

TEST(ChildProcess, SaysSoWhenTheProgramCannotBeExecuted) {
  auto child = ChildProcess::Start({.command = {"/no/such/program"}});
  ASSERT_TRUE(child);
  EXPECT_EQ(WaitFor(*child).status, 127);
  const auto lines = child->ReadStderr();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("/no/such/program"), std::string::npos);
}

TEST(ChildProcess, InheritsNoDescriptorsAndNoBlockedSignals) {
  const OwnedFd leaked(dup(2));  // without close-on-exec
  auto child =
      ChildProcess::Start({.command = {"/bin/sh", "-c", "ls /proc/self/fd | wc -l; grep SigBlk /proc/self/status"},
                           .capture_stdout = true});
  ASSERT_TRUE(child);
  WaitFor(*child);
  const auto lines = child->ReadStdout();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_LE(std::stoi(lines[0]), 4);  // 0, 1, 2 and the directory itself
  EXPECT_EQ(lines[1], "SigBlk:\t0000000000000000");
}

TEST(ChildProcess, GetsWhatItShallInheritFromThreeOnAndNothingElse) {
  int pipe_ends[2];
  ASSERT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
  const OwnedFd read_end(pipe_ends[0]);
  const OwnedFd write_end(pipe_ends[1]);
  const OwnedFd file(open("/bin/sh", O_RDONLY | O_CLOEXEC));
  auto child = ChildProcess::Start(
      {.command = {"/bin/sh", "-c",
                   "readlink /proc/$$/fd/3; echo hello >&4; "
                   "for fd in 5 6 7 8 9 63 64 65 66; do [ -e /proc/self/fd/$fd ] && echo $fd; done; echo end"},
       .inherit = {file.get(), write_end.get()},
       .capture_stdout = true});
  ASSERT_TRUE(child);
  EXPECT_EQ(WaitFor(*child).status, 0);
  const auto lines = child->ReadStdout();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0], std::filesystem::canonical("/bin/sh"));
  EXPECT_EQ(lines[1], "end");
  char text[6] = {};
  EXPECT_EQ(read(read_end.get(), text, 6), 6);
  EXPECT_EQ(std::string(text, 5), "hello");
  EXPECT_FALSE(ChildProcess::Start({.command = {"/bin/true"}, .inherit = std::vector<int>(9, 0)}));
}

TEST(LineReader, BoundsLinesAndJoinsPieces) {
  LineReader reader(4);
  EXPECT_EQ(reader.Feed("ab"), std::vector<std::string>{});
  EXPECT_EQ(reader.Feed("c\n1234567\nx"), (std::vector<std::string>{"abc", "1234"}));
  EXPECT_EQ(reader.Finish(), "x");
  EXPECT_EQ(reader.Finish(), std::nullopt);
}

}  // namespace
}  // namespace allod::inference::node::process::child_process_test
