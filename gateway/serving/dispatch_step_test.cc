#include "gateway/serving/dispatch_step.h"

#include <gtest/gtest.h>

namespace allod::gateway::serving::dispatch_step_test {
namespace {

using std::chrono::milliseconds;
using Kind = DispatchStep::Kind;
using SteadyTime = DispatchState::SteadyTime;

constexpr SteadyTime kStart{std::chrono::seconds(1000)};
constexpr milliseconds kWaitMax(5000);

SteadyTime At(int ms) { return kStart + milliseconds(ms); }

InstanceRoute RouteTo(std::initializer_list<const char*> targets, const char* revision = "1") {
  InstanceRoute out;
  out.instance = "tenants/ke/projects/p/instances/i";
  out.revision = revision;
  for (const char* target : targets) {
    out.replicas.push_back(std::make_shared<Replica>(target));
    out.made_in.emplace_back(revision);
  }
  out.ready_count = out.replicas.size();
  return out;
}

DispatchState Fresh() { return {.wait_max = kWaitMax, .wait_ends = kStart + kWaitMax}; }

DispatchState After(int tries, std::vector<std::string> failed_targets, bool queue_full = false) {
  DispatchState out = Fresh();
  out.tries = tries;
  out.failed_targets = std::move(failed_targets);
  out.queue_full = queue_full;
  return out;
}

// A step as a word: the target to be tried, "wait until N ms", or the reason for which it gives up.
std::string Text(const DispatchStep& step) {
  switch (step.kind) {
    case Kind::kTry:
      return step.replica->target;
    case Kind::kWait:
      return "wait until " + std::to_string((step.until - kStart) / milliseconds(1));
    case Kind::kGiveUp:
      return step.error.reason;
  }
  return "";
}

TEST(NextStep, TriesWaitsOrGivesUp) {
  const InstanceRoute none = RouteTo({}), one = RouteTo({"a"}), two = RouteTo({"a", "b"});
  struct Case {
    const char* says;
    DispatchState state;
    const InstanceRoute& route;
    bool leaving;
    int now_ms;
    const char* step;
  };
  for (const Case& c : {
           Case{"there is a replica", Fresh(), one, false, 0, "a"},
           Case{"the first try needs no patience", Fresh(), one, false, 9000, "a"},
           Case{"there is none yet", Fresh(), none, false, 0, "wait until 25"},
           Case{"a wait ends with the request's patience", Fresh(), none, false, 4990, "wait until 5000"},
           Case{"nobody came in time", Fresh(), none, false, 5000, "NO_READY_REPLICA"},
           Case{"the client left", Fresh(), one, true, 0, "SHUTTING_DOWN"},
           Case{"another one failed", After(1, {"a"}), two, false, 0, "b"},
           Case{"the only one failed: it may have gone to sleep", After(1, {"a"}), one, false, 0, "a"},
           Case{"both failed", After(2, {"a", "b"}), two, false, 0, "wait until 25"},
           Case{"the only one failed again", After(2, {"a"}), one, false, 0, "wait until 25"},
           Case{"it failed and is routed to no more", After(1, {"a"}), none, false, 0, "wait until 25"},
           Case{"later tries need patience", After(1, {"a"}), two, false, 5000, "NO_READY_REPLICA"},
           Case{"a full queue is not waited for", After(1, {"a"}, true), one, false, 0, "QUEUE_FULL"},
           Case{"but another replica may have room", After(1, {"a"}, true), two, false, 0, "b"},
           Case{"unless time is over", After(1, {"a"}, true), two, false, 5000, "QUEUE_FULL"},
       }) {
    DispatchState state = c.state;
    EXPECT_EQ(Text(NextStep(state, c.route, c.leaving, At(c.now_ms))), c.step) << c.says;
  }
}

TEST(NextStep, TheOnlyReplicaThatFailsIsTriedOnceMoreAtOnce) {
  DispatchState state = After(1, {"a"});
  EXPECT_EQ(Text(NextStep(state, RouteTo({"a"}), false, At(0))), "a");
  EXPECT_EQ(state, After(2, {})) << "which counts as a try";
}

TEST(NextStep, PausesGrowAndAfterEachAllAreTriedAgain) {
  DispatchState state = After(2, {"a", "b"});
  const InstanceRoute route = RouteTo({"a", "b"});
  int now = 0;
  for (const int pause : {25, 50, 100, 200, 400, 800, 1000, 1000}) {
    EXPECT_EQ(Text(NextStep(state, route, false, At(now))), "wait until " + std::to_string(now + pause));
    now += pause;
    EXPECT_EQ(Text(NextStep(state, route, false, At(now))), "a");
    state.failed_targets = {"a", "b"};
  }
  EXPECT_EQ(state.tries, 2) << "a wait is no try";
}

TEST(NextStep, SaysHowLongItWaitedForWhat) {
  DispatchState state = Fresh();
  const Error error = NextStep(state, RouteTo({}), false, At(5000)).error;
  EXPECT_EQ(error.code, Code::kUnavailable);
  EXPECT_NE(error.message.find("not ready within 5000 ms"), std::string::npos) << error.message;
  EXPECT_NE(error.message.find("/portal/v1/tenants/ke/projects/p/instances/i"), std::string::npos) << error.message;
  EXPECT_EQ(error.retry_after, milliseconds(2000));
}

const Error kLost{Code::kUnavailable, "RPC_FAILED", "the connection broke"};
const Error kDrained{Code::kUnavailable, "DRAINED", "the worker ends"};
const Error kFull{Code::kResourceExhausted, "QUEUE_FULL", "no room"};
const Error kNoSeat{Code::kUnavailable, "TOO_MANY_WAITING", "no seat"};
const Error kRefused{Code::kInvalidArgument, "INVALID_CONSTRAINT", "no such grammar"};

TEST(AfterFailure, TriesAgainOrSaysWhyNot) {
  const InstanceRoute one = RouteTo({"a"}), two = RouteTo({"a", "b"});
  struct Case {
    const char* says;
    int tries;  // before
    FailedTry failed;
    const char* reason;  // "": another try
  };
  for (const Case& c : {
           Case{"it was lost", 0, {.error = kLost, .route = &one, .connected = true}, ""},
           Case{"after other failures", 6, {.error = kLost, .route = &one, .connected = true}, ""},
           Case{"sent back", 0, {.error = kDrained, .route = &one, .connected = true}, ""},
           Case{"six times", 6, {.error = kDrained, .route = &one, .connected = true}, ""},
           Case{"eight times", 7, {.error = kDrained, .route = &one, .connected = true}, "DRAINED"},
           Case{"never reached a worker", 99, {.error = kLost, .route = &one}, ""},
           Case{"taken up", 0, {.error = kLost, .route = &one, .connected = true, .started = true}, ""},
           Case{"twice", 1, {.error = kLost, .route = &one, .connected = true, .started = true}, "RPC_FAILED"},
           Case{"refused", 0, {.error = kRefused, .route = &two, .connected = true}, "INVALID_CONSTRAINT"},
           Case{"full, one replica", 0, {.error = kFull, .route = &one, .connected = true}, "QUEUE_FULL"},
           Case{"full, another replica", 0, {.error = kFull, .route = &two, .connected = true}, ""},
           Case{"no seat to wait on", 0, {.error = kNoSeat, .route = &two}, "TOO_MANY_WAITING"},
           Case{"the client left", 0, {.error = kLost, .route = &two, .leaving = true}, "RPC_FAILED"},
       }) {
    DispatchState state = After(c.tries, {});
    FailedTry failed = c.failed;
    failed.target = "a";
    failed.current = failed.route;
    const std::optional<Error> last = AfterFailure(state, failed);
    EXPECT_EQ(last ? last->reason : "", c.reason) << c.says;
    EXPECT_EQ(state.tries, c.tries + 1) << c.says;
    EXPECT_EQ(state.failed_targets, last ? std::vector<std::string>() : std::vector<std::string>{"a"}) << c.says;
  }
}

// A worker that dies under a request is started again, which takes tries that reach nobody; and the next one dies too.
TEST(AfterFailure, ARequestGoesToNoThirdWorkerAfterTwoDiedUnderIt) {
  const InstanceRoute route = RouteTo({"a"});
  struct Try {
    const char* says;
    Error error;
    bool connected;
    const char* reason;  // "": another try
  };
  const Error unreachable{Code::kUnavailable, "REPLICA_UNREACHABLE", "it is being started"};
  const std::vector<std::vector<Try>> table = {
      {{"died", kLost, true, ""}, {"died again", kLost, true, "RPC_FAILED"}},
      {{"died", kLost, true, ""},
       {"not there yet", unreachable, false, ""},
       {"not there yet", unreachable, false, ""},
       {"died again", kLost, true, "RPC_FAILED"}},
      {{"away", unreachable, false, ""}, {"died", kLost, true, ""}, {"died again", kLost, true, "RPC_FAILED"}},
      {{"ends", kDrained, true, ""},
       {"died", kLost, true, ""},
       {"ends", kDrained, true, ""},
       {"died again", kLost, true, "RPC_FAILED"}},
      {{"died", kLost, true, ""}, {"refused by the next", kRefused, true, "INVALID_CONSTRAINT"}},
  };
  for (const std::vector<Try>& tries : table) {
    DispatchState state = Fresh();
    for (const Try& one : tries) {
      const std::optional<Error> last = AfterFailure(
          state, {.error = one.error, .target = "a", .route = &route, .current = &route, .connected = one.connected});
      EXPECT_EQ(last ? last->reason : "", one.reason) << one.says << ", try " << state.tries;
    }
  }
}

TEST(AfterFailure, WhatWasDeliveredInPartIsNeverTriedAgain) {
  const InstanceRoute then = RouteTo({"a"}), same = RouteTo({"a"}), elsewhere = RouteTo({"b"}),
                      changed = RouteTo({"b"}, "2");
  struct Case {
    const char* says;
    Error error;
    const InstanceRoute* current;
    bool leaving;
    const char* reason;
  };
  for (const Case& c : {
           Case{"a crash leaves the route as it was", kLost, &same, false, "RPC_FAILED"},
           Case{"moved by us", kLost, &elsewhere, false, "RPC_FAILED"},
           Case{"the tenant changed it", kLost, &changed, false, "INSTANCE_CHANGED"},
           Case{"the tenant deleted it", kLost, nullptr, false, "INSTANCE_CHANGED"},
           Case{"ended, and routed elsewhere", kDrained, &elsewhere, false, "INSTANCE_CHANGED"},
           Case{"not lost, but refused", kRefused, &changed, false, "INVALID_CONSTRAINT"},
           Case{"the client left as well", kLost, nullptr, true, "RPC_FAILED"},
       }) {
    DispatchState state = Fresh();
    const std::optional<Error> last = AfterFailure(state, {.error = c.error,
                                                           .target = "a",
                                                           .route = &then,
                                                           .current = c.current,
                                                           .leaving = c.leaving,
                                                           .connected = true,
                                                           .started = true,
                                                           .delivered = true});
    EXPECT_EQ(last ? last->reason : "tried again", c.reason) << c.says;
  }
}

TEST(CheckConnection, StandsIsBeingMadeOrIsGivenUp) {
  struct Case {
    grpc_connectivity_state connection;
    int now_ms;
    const char* says;  // or the reason
  };
  for (const Case& c : {
           Case{GRPC_CHANNEL_READY, 0, "stands"},
           Case{GRPC_CHANNEL_READY, 9000, "stands"},
           Case{GRPC_CHANNEL_IDLE, 0, "not yet"},
           Case{GRPC_CHANNEL_CONNECTING, 4999, "not yet"},
           Case{GRPC_CHANNEL_CONNECTING, 5000, "NO_READY_REPLICA"},
           Case{GRPC_CHANNEL_TRANSIENT_FAILURE, 0, "REPLICA_UNREACHABLE"},
           Case{GRPC_CHANNEL_TRANSIENT_FAILURE, 9000, "REPLICA_UNREACHABLE"},
           Case{GRPC_CHANNEL_SHUTDOWN, 0, "REPLICA_UNREACHABLE"},
       }) {
    const Result<bool> stands = CheckConnection(Fresh(), c.connection, "i", At(c.now_ms));
    EXPECT_EQ(stands ? (*stands ? "stands" : "not yet") : stands.error().reason, c.says) << c.connection;
  }
}

}  // namespace
}  // namespace allod::gateway::serving::dispatch_step_test
