#include "services/common/edit_distance.h"

#include <gtest/gtest.h>

namespace allod::edit_distance_test {
namespace {

TEST(EditDistance, CountsWhatMakesOneWordOfTheOther) {
  EXPECT_EQ(EditDistance("", ""), 0U);
  EXPECT_EQ(EditDistance("apply", "apply"), 0U);
  EXPECT_EQ(EditDistance("appy", "apply"), 1U);
  EXPECT_EQ(EditDistance("aply", "appyl"), 2U);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3U);
  EXPECT_EQ(EditDistance("", "top"), 3U);
  EXPECT_EQ(EditDistance("top", ""), 3U);
}

}  // namespace
}  // namespace allod::edit_distance_test
