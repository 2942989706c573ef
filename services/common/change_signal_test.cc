#include "services/common/change_signal.h"

#include <gtest/gtest.h>

#include <thread>

namespace allod::change_signal_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(ChangeSignal, ReturnsAtOnceWhenSomethingChangedSinceTheLook) {
  ChangeSignal signal;
  const auto seen = signal.revision();
  signal.Notify();
  EXPECT_GT(signal.WaitPast(seen, seconds(60)), seen);
}

TEST(ChangeSignal, ReturnsTheSameCountWhenNothingHappens) {
  const ChangeSignal signal;
  EXPECT_EQ(signal.WaitPast(signal.revision(), milliseconds(1)), signal.revision());
}

TEST(ChangeSignal, WakesAWaiterOfAnotherThread) {
  ChangeSignal signal;
  std::thread notifier([&] { signal.Notify(); });
  EXPECT_EQ(signal.WaitPast(0, seconds(60)), 1u);
  notifier.join();
}

TEST(ChangeSignal, StopEndsEveryWaitForGood) {
  ChangeSignal signal;
  std::thread stopper([&] { signal.Stop(); });
  EXPECT_EQ(signal.WaitPast(0, seconds(60)), 0u);
  stopper.join();
  EXPECT_TRUE(signal.stopped());
  EXPECT_EQ(signal.WaitPast(0, seconds(60)), 0u);
}

}  // namespace
}  // namespace allod::change_signal_test
