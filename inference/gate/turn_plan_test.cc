#include "inference/gate/turn_plan.h"

#include <gtest/gtest.h>

namespace allod::inference::gate::turn_plan_test {
namespace {

using namespace std::chrono_literals;

TEST(PlanTurn, TurnsAreShortWhereSomebodyElseCountsOnIt) {
  const TurnTimes times{.contended = 25ms, .alone = 50ms, .first = 100ms, .recent = 1000ms};
  struct Case {
    const char* what;
    bool has_come, others_wait;
    std::chrono::milliseconds since_somebody_waited;
    TurnPlan plan;
  };
  for (const Case& c : {
           Case{"alone", false, false, 1h, {50ms, false, false}},
           Case{"alone, just come", true, false, 1h, {50ms, false, false}},
           Case{"somebody waits", false, true, 1h, {25ms, true, false}},
           Case{"somebody waited a moment ago", false, false, 999ms, {25ms, true, false}},
           Case{"nobody for long enough", false, false, 1000ms, {50ms, false, false}},
           Case{"just come, the others wait", true, true, 0ms, {100ms, true, true}},
           Case{"just come back between two turns of the others", true, false, 10ms, {100ms, true, true}},
       }) {
    EXPECT_EQ(PlanTurn(times, c.has_come, c.others_wait, c.since_somebody_waited), c.plan) << c.what;
  }
  // A node whose turns are long anyway.
  EXPECT_EQ(PlanTurn({.contended = 300ms, .first = 100ms}, true, true, 0ms).budget, 300ms);
}

}  // namespace
}  // namespace allod::inference::gate::turn_plan_test
