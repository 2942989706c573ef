#include "services/common/call_scope.h"

#include <gmock/gmock.h>

#include <thread>

#include "services/common/async_in_call.h"
#include "services/common/log.h"

namespace allod::call_scope_test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

constexpr char kTraceparent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(Deadline, BoundsATimeoutByWhatIsLeftAndNeverBelowZero) {
  EXPECT_EQ(Deadline::None().Bound(5s), 5000ms);
  EXPECT_FALSE(Deadline::None().passed());
  EXPECT_EQ(Deadline::In(1h).Bound(5s), 5000ms);
  const auto left = Deadline::In(10s).Bound(60s);
  EXPECT_GT(left, 0ms);
  EXPECT_LE(left, 10s);
  const Deadline over = Deadline::In(-1h);
  EXPECT_TRUE(over.passed());
  EXPECT_EQ(over.Bound(5s), 0ms);
  EXPECT_FALSE(Deadline::In(1h).passed());
}

TEST(Trace, ReadsAndWritesATraceparent) {
  const auto trace = Trace::Parse(kTraceparent);
  ASSERT_TRUE(trace);
  EXPECT_EQ(trace->trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(trace->parent_id, "00f067aa0ba902b7");
  EXPECT_TRUE(trace->sampled);
  EXPECT_EQ(trace->ToString(), kTraceparent);
}

TEST(Trace, TakesOfALaterVersionWhatItKnows) {
  const std::string known = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
  for (const std::string& text : {"cc-" + known + "-01", "01-" + known + "-01-what-comes", "cc-" + known + "-09"}) {
    const auto trace = Trace::Parse(text);
    ASSERT_TRUE(trace) << text;
    EXPECT_EQ(trace->ToString(), kTraceparent) << text;
  }
  EXPECT_EQ(Trace::Parse("00-" + known + "-fe")->ToString(), "00-" + known + "-00")
      << "other flags are not ours to set";
}

TEST(Trace, RefusesWhatIsNoTraceparent) {
  const std::string ids = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
  for (const std::string& text :
       {std::string(), std::string("00"), "00-" + ids, "00-" + ids + "-0", "00-" + ids + "-1", "00-" + ids + "-01 ",
        " 00-" + ids + "-01", "00-" + ids + "-01-more", "01-" + ids + "-01more", "ff-" + ids + "-01",
        "0g-" + ids + "-01", "00-" + ids + "-0G", "00_" + ids + "_01", "00-" + ids + "_01",
        std::string("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"),
        std::string("00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01"),
        std::string("00-00000000000000000000000000000000-00f067aa0ba902b7-01"),
        std::string("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01")}) {
    EXPECT_FALSE(Trace::Parse(text)) << text;
  }
}

TEST(Trace, MakesNewOnesThatAreValidAndDiffer) {
  const Trace one = Trace::New();
  EXPECT_EQ(Trace::Parse(one.ToString()), one);
  EXPECT_NE(Trace::New().trace_id, one.trace_id);
}

TEST(CallScope, IsOfItsThreadAndGivesBackTheOneBefore) {
  EXPECT_EQ(CurrentTrace(), nullptr);
  EXPECT_TRUE(CurrentDeadline().is_none());
  const Trace trace = *Trace::Parse(kTraceparent);
  {
    const CallScope outer(Deadline::In(10s), trace);
    ASSERT_NE(CurrentTrace(), nullptr);
    EXPECT_EQ(*CurrentTrace(), trace);
    EXPECT_LE(CurrentDeadline().Bound(60s), 10s);
    {
      const CallScope to_its_end(Deadline::None(), Trace::New());
      EXPECT_NE(*CurrentTrace(), trace);
      EXPECT_TRUE(CurrentDeadline().is_none());
    }
    EXPECT_EQ(*CurrentTrace(), trace);
    EXPECT_FALSE(CurrentDeadline().is_none());
    std::thread([] { EXPECT_EQ(CurrentTrace(), nullptr); }).join();
  }
  EXPECT_EQ(CurrentTrace(), nullptr);
}

TEST(CallScope, SaysWhoMakesTheCall) {
  EXPECT_EQ(CurrentActor(), nullptr);
  const CallScope before(Deadline::None(), Trace::New());
  EXPECT_EQ(CurrentActor(), nullptr) << "it is not authorised yet";
  {
    const CallScope scope(Deadline::None(), Trace::New(), Actor{"node", "nodes/n", ""});
    ASSERT_NE(CurrentActor(), nullptr);
    EXPECT_EQ(CurrentActor()->id, "nodes/n");
    AsyncInCall([] {
      ASSERT_NE(CurrentActor(), nullptr);
      EXPECT_EQ(CurrentActor()->id, "nodes/n");
    }).get();
    std::thread([] { EXPECT_EQ(CurrentActor(), nullptr); }).join();
  }
  EXPECT_EQ(CurrentActor(), nullptr);
}

TEST(CallScope, NamesItsTraceInTheLog) {
  const auto line_of = [] {
    testing::internal::CaptureStderr();
    Log(LogLevel::kError, "something", {{"reason", "X"}});
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_THAT(line_of(), Not(HasSubstr("trace=")));
  const CallScope scope(Deadline::None(), *Trace::Parse(kTraceparent));
  EXPECT_THAT(line_of(), HasSubstr(" reason=X trace=4bf92f3577b34da6a3ce929d0e0e4736"));
}

}  // namespace
}  // namespace allod::call_scope_test
