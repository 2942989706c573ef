#include "services/common/rpc/watchers.h"

#include <gtest/gtest.h>

#include <thread>

#include "services/common/ids.h"

namespace allod::watchers_test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class WatchersTest : public testing::Test {
 protected:
  Watchers::Place Join(const std::string& id) { return *watchers_.Join(id); }

  Watchers watchers_{"tests", 3};
  const std::string a_ = Uuid::V7().ToString();
  const std::string b_ = Uuid::V7().ToString();
};

TEST_F(WatchersTest, WithoutWatchersNobodyWaits) { EXPECT_TRUE(watchers_.Await(7, 0ms)); }

TEST_F(WatchersTest, AfterAStartThoseThatMayComeBackAreWaitedForOnce) {
  watchers_.ExpectFor(100ms);
  const auto start = Clock::now();
  EXPECT_FALSE(watchers_.Await(1, 20ms) && Clock::now() - start < 20ms) << "no longer than is asked for";
  std::jthread back([&] {
    std::this_thread::sleep_for(30ms);
    auto a = Join(a_);
    a.Sending(1);
    std::this_thread::sleep_for(150ms);
    EXPECT_TRUE(watchers_.Acknowledge(a_, 1));
    std::this_thread::sleep_for(50ms);
  });
  EXPECT_TRUE(watchers_.Await(1, 10s));
  EXPECT_GE(Clock::now() - start, 150ms) << "it is back, and has applied it";
  back.join();
  EXPECT_TRUE(watchers_.Await(2, 0ms)) << "later nobody is waited for who is not there";
}

TEST_F(WatchersTest, WaitsUntilEveryWatcherHasAppliedTheVersion) {
  auto a = Join(a_);
  auto b = Join(b_);
  a.Sending(5);
  b.Sending(6);
  ASSERT_TRUE(watchers_.Acknowledge(a_, 5));
  const auto start = Clock::now();
  std::jthread later([&] {
    std::this_thread::sleep_for(20ms);
    EXPECT_TRUE(watchers_.Acknowledge(b_, 6));
  });
  EXPECT_TRUE(watchers_.Await(5, 10s));
  EXPECT_GE(Clock::now() - start, 15ms);
  EXPECT_TRUE(watchers_.Await(4, 0ms)) << "what is older is applied as well";
}

TEST_F(WatchersTest, OneThatHasNotSaidAnythingYetIsWaitedForToo) {
  auto a = Join(a_);
  EXPECT_FALSE(watchers_.Await(1, 5ms));
  a.Sending(1);
  EXPECT_TRUE(watchers_.Acknowledge(a_, 1));
  EXPECT_TRUE(watchers_.Await(1, 0ms));
}

TEST_F(WatchersTest, OneThatIsGoneHoldsNobodyUp) {
  std::optional<Watchers::Place> a(Join(a_));
  a->Sending(1);
  std::jthread leaves([&] {
    std::this_thread::sleep_for(20ms);
    a.reset();
  });
  const auto start = Clock::now();
  EXPECT_TRUE(watchers_.Await(1, 10s));
  EXPECT_LT(Clock::now() - start, 5s);
}

TEST_F(WatchersTest, OneThatLagsIsWaitedForOnceAndAgainOnlyWhenItHasCaughtUp) {
  auto a = Join(a_);
  auto b = Join(b_);
  a.Sending(1);
  b.Sending(1);
  ASSERT_TRUE(watchers_.Acknowledge(b_, 1));
  EXPECT_FALSE(watchers_.Await(1, 30ms));
  a.Sending(2);
  b.Sending(2);
  ASSERT_TRUE(watchers_.Acknowledge(b_, 2));
  const auto start = Clock::now();
  EXPECT_TRUE(watchers_.Await(2, 10s)) << "the others still count, the lagging one does not";
  EXPECT_LT(Clock::now() - start, 5s);
  ASSERT_TRUE(watchers_.Acknowledge(a_, 1));
  EXPECT_FALSE(watchers_.Await(2, 5ms)) << "it keeps up again and is waited for";
  ASSERT_TRUE(watchers_.Acknowledge(a_, 2));
  EXPECT_TRUE(watchers_.Await(2, 0ms));
}

TEST_F(WatchersTest, WhatWasNotSentMakesNobodyLag) {
  auto a = Join(a_);
  EXPECT_FALSE(watchers_.Await(3, 5ms));
  a.Sending(3);
  ASSERT_TRUE(watchers_.Acknowledge(a_, 3));
  a.Sending(4);
  EXPECT_FALSE(watchers_.Await(4, 5ms)) << "it was waited for: it had not been taken for one that lags";
}

TEST_F(WatchersTest, OneWithoutAnIdNeverAcknowledgesAndIsNotWaitedFor) {
  auto old = Join("");
  old.Sending(9);
  EXPECT_TRUE(watchers_.Await(9, 0ms));
  EXPECT_EQ(watchers_.Acknowledge("", 9).error().code, Code::kNotFound);
}

TEST_F(WatchersTest, RefusesWhatMakesNoSense) {
  auto a = Join(a_);
  EXPECT_EQ(watchers_.Join(a_).error().reason, "WATCHER_ID_IN_USE");
  EXPECT_EQ(watchers_.Join("gateway-1").error().reason, "INVALID_WATCHER_ID");
  EXPECT_EQ(watchers_.Acknowledge(b_, 1).error().code, Code::kNotFound);
  a.Sending(1);
  EXPECT_EQ(watchers_.Acknowledge(a_, 2).error().reason, "VERSION_NOT_SENT");
  auto b = Join(b_);
  auto c = Join("");
  EXPECT_EQ(watchers_.Join("").error().reason, "TOO_MANY_WATCHERS");
}

}  // namespace
}  // namespace allod::watchers_test
