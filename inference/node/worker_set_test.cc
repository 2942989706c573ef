#include "inference/node/worker_set.h"

#include <gtest/gtest.h>

#include <csignal>

namespace allod::inference::node {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = Action::Kind;

const std::string kUid = "01900000-0000-7000-8000-000000000001";
const std::string kSha = std::string(64, 'a');

DesiredWorker Worker(std::int64_t epoch = 1) {
  return {.replica_uid = kUid,
          .instance = "tenants/ke/projects/p/instances/i",
          .epoch = epoch,
          .artifact_sha256 = kSha,
          .artifact_bytes = 10,
          .context_tokens = 512,
          .max_concurrency = 4};
}

class WorkerSetTest : public testing::Test {
 protected:
  // The one action that is due; fails when there is another number of them.
  Action Only() {
    auto action = set.NextAction(now);
    EXPECT_TRUE(action);
    EXPECT_FALSE(set.NextAction(now));
    return action.value_or(Action{});
  }
  void ExpectNothing() { EXPECT_FALSE(set.NextAction(now)); }
  ObservedWorker Observed() {
    EXPECT_EQ(set.Observed().size(), 1U);
    return set.Observed().at(0);
  }
  void Desire(const DesiredWorker& worker) { set.SetDesired({worker}, now); }
  // From nothing, or from a backoff that is over, to a ready worker.
  void BringUp() {
    EXPECT_EQ(Only().kind, Kind::kFetch);
    set.OnArtifact(kSha, "/store/a", now);
    const Action start = Only();
    EXPECT_EQ(start.kind, Kind::kStart);
    set.OnReady(kUid, "unix:/x.sock", now);
  }
  void Crash() { set.OnExit(kUid, {.signal = SIGKILL}, now); }

  WorkerSet set;
  SteadyTime now{seconds(1000)};
};

TEST_F(WorkerSetTest, FetchesTheModelThenStartsThenIsReady) {
  Desire(Worker());
  EXPECT_EQ(Only().kind, Kind::kFetch);
  EXPECT_EQ(Observed().message, "fetching the model");
  set.OnArtifact(kSha, "/store/a", now);
  const Action start = Only();
  EXPECT_EQ(start.kind, Kind::kStart);
  EXPECT_EQ(start.artifact, "/store/a");
  EXPECT_EQ(Observed().state, WorkerState::kStarting);
  EXPECT_EQ(set.Unanswered(), std::vector<std::string>{kUid});
  set.OnReady(kUid, "unix:/x.sock", now);
  EXPECT_EQ(Observed(), (ObservedWorker{kUid, 1, WorkerState::kReady, "unix:/x.sock", "", 1}));
  ExpectNothing();
}

TEST_F(WorkerSetTest, StartsAgainAfterADeathAndCountsIt) {
  Desire(Worker());
  BringUp();
  Crash();
  EXPECT_EQ(Observed().state, WorkerState::kStarting);
  EXPECT_NE(Observed().message.find("signal 9"), std::string::npos);
  EXPECT_EQ(Observed().target, "");
  ExpectNothing();
  now += milliseconds(100);
  BringUp();
  EXPECT_EQ(Observed().start_count, 2);
  EXPECT_EQ(Observed().message, "");
}

TEST_F(WorkerSetTest, WaitsLongerWithEachFailureInARowUpToTenSeconds) {
  EXPECT_EQ(RestartDelay(1), milliseconds(100));
  EXPECT_EQ(RestartDelay(2), milliseconds(200));
  EXPECT_EQ(RestartDelay(7), milliseconds(6400));
  EXPECT_EQ(RestartDelay(8), milliseconds(10'000));
  EXPECT_EQ(RestartDelay(1'000'000), milliseconds(10'000));
}

TEST_F(WorkerSetTest, ForgetsFailuresOnceItWasReadyForThirtySeconds) {
  Desire(Worker());
  BringUp();
  for (int i = 1; i <= 5; ++i) {
    Crash();
    EXPECT_EQ(set.NextDeadline(), now + RestartDelay(i));
    now += RestartDelay(i);
    BringUp();
  }
  now += seconds(30);
  Crash();
  EXPECT_EQ(set.NextDeadline(), now + milliseconds(100));
}

TEST_F(WorkerSetTest, IsShownAsFailedAfterThreeFailuresInARowButGoesOnTrying) {
  Desire(Worker());
  BringUp();
  for (int i = 1; i <= 3; ++i) {
    Crash();
    EXPECT_EQ(Observed().state, i < 3 ? WorkerState::kStarting : WorkerState::kFailed) << i;
    now += RestartDelay(i);
    BringUp();
    EXPECT_EQ(Observed().state, WorkerState::kReady);
  }
}

TEST_F(WorkerSetTest, AModelThatTheWorkerRefusesFailsAtOnceAndIsTriedOnceAMinute) {
  Desire(Worker());
  EXPECT_EQ(Only().kind, Kind::kFetch);
  set.OnArtifact(kSha, "/store/a", now);
  EXPECT_EQ(Only().kind, Kind::kStart);
  set.OnExit(kUid, {.status = 3, .last_line = "GGUF_TRUNCATED: it ends too soon"}, now);
  EXPECT_EQ(Observed().state, WorkerState::kFailed);
  EXPECT_NE(Observed().message.find("GGUF_TRUNCATED"), std::string::npos);
  now += seconds(59);
  ExpectNothing();
  now += seconds(1);
  BringUp();
  EXPECT_EQ(Observed().state, WorkerState::kReady);
}

TEST_F(WorkerSetTest, StopsWhatIsNoLongerDesiredGentlyThenHard) {
  Desire(Worker());
  BringUp();
  set.SetDesired({}, now);
  EXPECT_EQ(Only().kind, Kind::kTerminate);
  EXPECT_EQ(Observed().message, "stopping");
  EXPECT_NE(Observed().state, WorkerState::kReady);
  EXPECT_EQ(set.NextDeadline(), now + seconds(3));
  now += milliseconds(2999);
  ExpectNothing();
  now += milliseconds(1);
  EXPECT_EQ(Only().kind, Kind::kKill);
  now += seconds(100);
  ExpectNothing();
  Crash();
  EXPECT_TRUE(set.Idle());
  EXPECT_TRUE(set.Observed().empty());
}

TEST_F(WorkerSetTest, AReplicaThatComesBackWhileItStopsIsStartedOnceTheOldProcessIsGone) {
  Desire(Worker());
  BringUp();
  set.SetDesired({}, now);
  EXPECT_EQ(Only().kind, Kind::kTerminate);
  Desire(Worker(2));
  ExpectNothing();
  set.OnExit(kUid, {.status = 0}, now);
  BringUp();
  EXPECT_EQ(Observed().epoch, 2);
}

TEST_F(WorkerSetTest, ANewEpochOfTheSameWorkKeepsTheProcess) {
  Desire(Worker(1));
  BringUp();
  Desire(Worker(2));
  ExpectNothing();
  EXPECT_EQ(Observed().epoch, 2);
  EXPECT_EQ(Observed().state, WorkerState::kReady);
}

TEST_F(WorkerSetTest, AChangedSpecReplacesTheProcessWithoutWaiting) {
  Desire(Worker(1));
  BringUp();
  DesiredWorker larger = Worker(2);
  larger.context_tokens = 1024;
  Desire(larger);
  EXPECT_EQ(Only().kind, Kind::kTerminate);
  EXPECT_EQ(Observed().epoch, 1);  // what runs is still the old one
  EXPECT_EQ(Observed().target, "");
  set.OnExit(kUid, {.status = 0}, now);
  EXPECT_EQ(Only().kind, Kind::kFetch);
  set.OnArtifact(kSha, "/store/a", now);
  const Action start = Only();
  EXPECT_EQ(start.kind, Kind::kStart);
  EXPECT_EQ(start.worker.context_tokens, 1024);
  EXPECT_EQ(start.start_number, 2);
}

TEST_F(WorkerSetTest, RefusesAnOlderEpochEvenAfterTheReplicaWasGone) {
  Desire(Worker(5));
  BringUp();
  EXPECT_EQ(set.SetDesired({Worker(4)}, now), std::vector<std::string>{kUid});
  ExpectNothing();
  EXPECT_EQ(Observed().epoch, 5);
  set.SetDesired({}, now);
  EXPECT_EQ(Only().kind, Kind::kTerminate);
  set.OnExit(kUid, {.status = 0}, now);
  EXPECT_EQ(set.SetDesired({Worker(4)}, now), std::vector<std::string>{kUid});
  ExpectNothing();
  EXPECT_TRUE(set.Idle());
}

TEST_F(WorkerSetTest, AModelThatCannotBeFetchedIsTriedAgainAndShown) {
  Desire(Worker());
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(Only().kind, Kind::kFetch);
    set.OnArtifact(kSha, std::unexpected(Error{Code::kUnavailable, "RPC_FAILED", "catalog is away"}), now);
    EXPECT_NE(Observed().message.find("catalog is away"), std::string::npos);
    EXPECT_EQ(Observed().state, i < 3 ? WorkerState::kStarting : WorkerState::kFailed);
    ExpectNothing();
    EXPECT_EQ(set.NextDeadline(), now + RestartDelay(i));
    now += RestartDelay(i);
  }
  BringUp();
  EXPECT_EQ(Observed().state, WorkerState::kReady);
}

TEST_F(WorkerSetTest, OneFetchServesAllReplicasOfAModel) {
  DesiredWorker other = Worker();
  other.replica_uid = "01900000-0000-7000-8000-000000000002";
  set.SetDesired({Worker(), other}, now);
  EXPECT_EQ(Only().kind, Kind::kFetch);
  set.OnArtifact(kSha, "/store/a", now);
  EXPECT_EQ(set.NextAction(now)->kind, Kind::kStart);
  EXPECT_EQ(set.NextAction(now)->kind, Kind::kStart);
  ExpectNothing();
}

TEST_F(WorkerSetTest, KillsAWorkerThatNeverAnswers) {
  Desire(Worker());
  EXPECT_EQ(Only().kind, Kind::kFetch);
  set.OnArtifact(kSha, "/store/a", now);
  EXPECT_EQ(Only().kind, Kind::kStart);
  now += std::chrono::minutes(10);
  EXPECT_EQ(Only().kind, Kind::kKill);
  Crash();
  EXPECT_NE(Observed().message.find("did not answer"), std::string::npos);
  now += milliseconds(100);
  BringUp();
}

TEST_F(WorkerSetTest, EventsOfReplicasThatAreGoneAreIgnored) {
  set.OnReady(kUid, "unix:/x.sock", now);
  set.OnExit(kUid, {.status = 0}, now);
  set.OnArtifact(kSha, "/store/a", now);
  EXPECT_TRUE(set.Idle());
  EXPECT_FALSE(set.NextDeadline());
}

}  // namespace
}  // namespace allod::inference::node
