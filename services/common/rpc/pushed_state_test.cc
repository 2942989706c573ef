#include "services/common/rpc/pushed_state.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

namespace allod::pushed_state_test {
namespace {

using Names = std::set<int>;

class PushedStateTest : public testing::Test {
 protected:
  void Add(int name, bool synced) {
    state_.Apply(synced, [&](Names& names) { names.insert(name); });
  }
  Names Known() const { return *state_.Read(); }

  PushedState<Names> state_;
};

TEST_F(PushedStateTest, KnowsNothingBeforeTheFirstSnapshotIsWhole) {
  EXPECT_FALSE(state_.Read().synced());
  state_.BeginSnapshot();
  Add(1, false);
  EXPECT_FALSE(state_.Read().synced());
  EXPECT_EQ(Known(), Names{});
  Add(2, true);
  EXPECT_TRUE(state_.Read().synced());
  EXPECT_TRUE(state_.Read().current());
  EXPECT_EQ(Known(), (Names{1, 2}));
}

TEST_F(PushedStateTest, AChangeCountsAtOnce) {
  state_.BeginSnapshot();
  Add(1, true);
  Add(2, false);
  EXPECT_EQ(Known(), (Names{1, 2}));
  state_.Apply(true, [](Names& names) { names.erase(1); });
  EXPECT_EQ(Known(), Names{2});
}

TEST_F(PushedStateTest, WhatWasKnownStandsUntilTheNextSnapshotIsWhole) {
  state_.BeginSnapshot();
  Add(1, true);
  state_.EndStream();
  EXPECT_TRUE(state_.Read().synced());
  EXPECT_FALSE(state_.Read().current());
  state_.BeginSnapshot();
  Add(2, false);
  EXPECT_EQ(Known(), Names{1});
  EXPECT_FALSE(state_.Read().current()) << "a snapshot that is not whole tells nothing";
  state_.BeginSnapshot();
  Add(3, true);
  EXPECT_EQ(Known(), Names{3}) << "half a snapshot of a broken stream leaves nothing behind";
  EXPECT_TRUE(state_.Read().current());
}

TEST_F(PushedStateTest, NobodySeesHalfOfASnapshot) {
  std::atomic<bool> stop = false;
  std::atomic<int> halves = 0;
  std::jthread reader([&] {
    while (!stop) {
      const auto known = state_.Read();
      if (known->size() % 2 != 0) ++halves;
    }
  });
  for (int i = 0; i < 2000; ++i) {
    state_.BeginSnapshot();
    Add(2 * i, false);
    Add(2 * i + 1, true);
  }
  stop = true;
  reader.join();
  EXPECT_EQ(halves, 0);
  EXPECT_EQ(Known().size(), 2U);
}

}  // namespace
}  // namespace allod::pushed_state_test
