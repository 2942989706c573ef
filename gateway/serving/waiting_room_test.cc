#include "gateway/serving/waiting_room.h"

#include <gtest/gtest.h>

namespace allod::gateway::serving::waiting_room_test {
namespace {

TEST(WaitingRoom, SeatsAreCountedPerInstanceAndGivenBack) {
  WaitingRoom room(2);
  auto first = room.Enter("a");
  auto second = room.Enter("a");
  EXPECT_TRUE(first && second);
  EXPECT_FALSE(room.Enter("a"));
  EXPECT_TRUE(room.Enter("b")) << "another instance has seats of its own";
  EXPECT_EQ(room.waiting("b"), 0) << "given back at once";
  second.reset();
  EXPECT_EQ(room.waiting("a"), 1);
  EXPECT_TRUE(room.Enter("a"));
}

TEST(WaitingRoom, MayHaveNoSeats) {
  WaitingRoom room(0);
  EXPECT_FALSE(room.Enter("a"));
}

}  // namespace
}  // namespace allod::gateway::serving::waiting_room_test
