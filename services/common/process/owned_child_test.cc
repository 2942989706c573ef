#include "services/common/process/owned_child.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <utility>

#include "services/common/owned_fd.h"

namespace allod::owned_child_test {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLong{10'000};

// One that ends with `status` when the write end of `until` is closed.
OwnedChild Start(Pipe& until, int status) {
  const pid_t pid = fork();
  if (pid != 0) return OwnedChild::Adopt(pid);
  until.write.Reset();
  char byte = 0;
  (void)!read(until.read.get(), &byte, 1);
  _exit(status);
}

TEST(OwnedChild, TellsHowItEndedOnce) {
  Pipe until = Pipe::Make();
  OwnedChild child = Start(until, 7);
  ASSERT_TRUE(child);
  EXPECT_GT(child.pid(), 0);
  EXPECT_EQ(child.TryReap(), std::nullopt) << "it runs";
  EXPECT_EQ(child.Wait(milliseconds(10)), std::nullopt);
  until.write.Reset();
  EXPECT_EQ(child.Wait(kLong), (ProcessEnd{.status = 7}));
  EXPECT_FALSE(child);
  EXPECT_EQ(child.exit_fd(), -1);
  EXPECT_EQ(child.Wait(kLong), std::nullopt) << "and does not wait for what is not there";
  child.Signal(SIGKILL);
}

TEST(OwnedChild, TellsWhichSignalEndedIt) {
  Pipe until = Pipe::Make();
  OwnedChild child = Start(until, 0);
  child.Signal(SIGTERM);
  EXPECT_EQ(child.Wait(kLong), (ProcessEnd{.signal = SIGTERM}));
}

TEST(OwnedChild, EndsWithItsOwner) {
  Pipe until = Pipe::Make();
  pid_t pid = -1;
  {
    OwnedChild first = Start(until, 0);
    pid = first.pid();
    OwnedChild second = std::move(first);
    EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): a child that was handed on is nobody's
    EXPECT_EQ(second.pid(), pid);
  }
  EXPECT_EQ(kill(pid, 0), -1) << "it is reaped";
}

TEST(OwnedChild, GivesWayToAnother) {
  Pipe until = Pipe::Make();
  OwnedChild child = Start(until, 0);
  const pid_t before = child.pid();
  child = Start(until, 3);
  EXPECT_EQ(kill(before, 0), -1);
  until.write.Reset();
  EXPECT_EQ(child.Wait(kLong), (ProcessEnd{.status = 3}));
}

}  // namespace
}  // namespace allod::owned_child_test
