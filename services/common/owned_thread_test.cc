#include "services/common/owned_thread.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace allod::owned_thread_test {
namespace {

using namespace std::chrono_literals;

TEST(OwnedThread, IsAskedToStopAndJoinedWithItsOwner) {
  std::atomic<bool> ended = false;
  {
    const OwnedThread thread("test", [&](const std::stop_token& stop) {
      EXPECT_FALSE(SleepFor(stop, 10min)) << "the stop ends the sleep";
      ended = true;
    });
  }
  EXPECT_TRUE(ended);
}

TEST(OwnedThread, StopsOnceHoweverOftenItIsSaid) {
  OwnedThread thread;
  thread.Stop();  // none yet
  int rounds = 0;
  thread = OwnedThread("test", [&](const std::stop_token& stop) {
    while (SleepFor(stop, 1ms)) ++rounds;
  });
  EXPECT_FALSE(thread.stop_requested());
  thread.Stop();
  EXPECT_TRUE(thread.stop_requested());
  const int before = rounds;
  thread.Stop();
  EXPECT_EQ(rounds, before) << "it was joined";
}

TEST(OwnedThread, AStopWakesWhoWaitsForSomethingElse) {
  std::mutex mutex;
  std::condition_variable_any changed;
  OwnedThread thread("test", [&](const std::stop_token& stop) {
    std::unique_lock lock(mutex);
    EXPECT_FALSE(changed.wait(lock, stop, [] { return false; }));
  });
  thread.Stop();
}

TEST(OwnedThreadDeathTest, WhatItThrowsEndsTheProcess) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        OwnedThread thread("unlucky", [](const std::stop_token&) { throw std::runtime_error("out of luck"); });
        std::this_thread::sleep_for(1min);
      },
      "unlucky");
}

}  // namespace
}  // namespace allod::owned_thread_test
