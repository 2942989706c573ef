#include "gateway/serving/outcome.h"

#include <gtest/gtest.h>

namespace allod::gateway::serving::outcome_test {
namespace {

using billing::v1::OUTCOME_CLIENT_CANCELLED;
using billing::v1::OUTCOME_COMPLETED;
using billing::v1::OUTCOME_FAULT;

Error Of(Code code, const char* reason) { return {code, reason, "why"}; }

TEST(OutcomeOf, SaysWhoseDoingTheEndWas) {
  const Error too_costly = Of(Code::kInvalidArgument, "CONSTRAINT_TOO_COSTLY");
  const Error too_slow = Of(Code::kFailedPrecondition, "READER_TOO_SLOW");
  const Error changed = Of(Code::kFailedPrecondition, "INSTANCE_CHANGED");
  const Error too_long = Of(Code::kInvalidArgument, "CONTEXT_LENGTH_EXCEEDED");
  const Error no_money = Of(Code::kResourceExhausted, "INSUFFICIENT_FUNDS");
  const Error not_in_time = Of(Code::kDeadlineExceeded, "NO_ANSWER_IN_TIME");
  const Error not_ready = Of(Code::kUnavailable, "NO_READY_REPLICA");
  const Error lost = Of(Code::kUnavailable, "WORKER_LOST");
  struct Case {
    const char* says;
    RunEnd end;
    billing::v1::Outcome outcome;
  };
  for (const Case& c : {
           Case{"answered", {.answered = true, .started = true, .delivered = true}, OUTCOME_COMPLETED},
           Case{"answered, and broken off by the client within its end",
                {.answered = true, .client_gone = true, .started = true, .delivered = true},
                OUTCOME_COMPLETED},
           Case{"left while it waited", {.client_gone = true, .error = not_ready}, OUTCOME_CLIENT_CANCELLED},
           Case{"left in the middle",
                {.client_gone = true, .started = true, .delivered = true, .error = lost},
                OUTCOME_CLIENT_CANCELLED},
           Case{"a constraint that failed",
                {.started = true, .delivered = true, .error = too_costly},
                OUTCOME_CLIENT_CANCELLED},
           Case{"... of a whole answer", {.started = true, .error = too_costly}, OUTCOME_CLIENT_CANCELLED},
           Case{"... before anything was computed", {.error = too_costly}, OUTCOME_COMPLETED},
           Case{"a reader that stalled",
                {.started = true, .delivered = true, .error = too_slow},
                OUTCOME_CLIENT_CANCELLED},
           Case{"a change of the instance",
                {.started = true, .delivered = true, .error = changed},
                OUTCOME_CLIENT_CANCELLED},
           Case{"refused", {.error = too_long}, OUTCOME_COMPLETED},
           Case{"refused too late to be true", {.started = true, .delivered = true, .error = too_long}, OUTCOME_FAULT},
           Case{"no money for the terms that it came to", {.error = no_money}, OUTCOME_COMPLETED},
           Case{"nothing in time", {.error = not_in_time}, OUTCOME_FAULT},
           Case{"nothing in time, of an accepted prompt", {.started = true, .error = not_in_time}, OUTCOME_FAULT},
           Case{"no replica", {.error = not_ready}, OUTCOME_FAULT},
           Case{"a lost replica", {.started = true, .delivered = true, .error = lost}, OUTCOME_FAULT},
       }) {
    EXPECT_EQ(OutcomeOf(c.end), c.outcome) << c.says;
  }
}

}  // namespace
}  // namespace allod::gateway::serving::outcome_test
