#include "services/common/catching.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace allod::catching_test {
namespace {

TEST(Catching, PassesOnWhatTheWorkReturns) {
  EXPECT_TRUE(Catching("work", [] { return Status(); }));
  EXPECT_EQ(Catching("work", []() -> Status { return NotFound("it"); }).error().code, Code::kNotFound);
}

TEST(Catching, MakesAnErrorOfWhatIsThrown) {
  const Status thrown = Catching("work", []() -> Status { throw std::out_of_range("map::at"); });
  EXPECT_EQ(thrown.error().code, Code::kInternal);
  EXPECT_EQ(Catching("work", []() -> Status { throw 7; }).error().code, Code::kInternal);
}

TEST(OrEndDeathTest, EndsTheProcessAndSaysWhichThreadAndWhy) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(OrEnd("supervisor", [] { throw std::out_of_range("no such worker"); }),
               "a thread threw.*supervisor.*no such worker");
}

}  // namespace
}  // namespace allod::catching_test
