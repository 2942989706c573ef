// Scale to zero: workers that sleep and are woken.

#include "inference/node/pool/worker_set_fixture.h"

namespace allod::inference::node::pool::worker_set_sleep_test {
namespace {

TEST_F(WorkerSetTest, ADedicatedWorkerThatSleepsKeepsItsModel) {
  DesiredWorker dedicated = Sleepy(Worker());
  dedicated.isolation = IsolationClass::kDedicated;
  Desire({dedicated});
  Load(dedicated.model_key());
  Fork();
  now += seconds(60);
  EXPECT_EQ(Only().kind, Kind::kTerminate);
  Ends();
  ExpectNothing();
  set.OnKnock(kUid, now);
  Fork();
}

TEST_F(WorkerSetTest, SleepsWhenNobodyAsksAndWakesWhenSomebodyKnocks) {
  Desire({Sleepy(Worker())});
  set.OnListening(kUid, "unix:/x.sock");
  Load();
  Fork();
  now += seconds(59);
  ExpectNothing();
  EXPECT_EQ(set.NextDeadline(), now + seconds(1));
  now += seconds(1);
  EXPECT_EQ(Only().kind, Kind::kTerminate);
  EXPECT_EQ(Observed().state, WorkerState::kAsleep);
  EXPECT_TRUE(set.Sleeping().empty());  // not before it is gone: the worker may still take who knocks
  Ends();
  EXPECT_EQ(Observed().state, WorkerState::kAsleep);
  EXPECT_EQ(Observed().target, "unix:/x.sock");
  EXPECT_EQ(set.WorkersToListenFor(), std::set<std::string>{kUid});
  EXPECT_EQ(set.Sleeping(), std::vector<std::string>{kUid});
  now += seconds(500);
  ExpectNothing();
  set.OnKnock(kUid, now);
  EXPECT_EQ(Observed().state, WorkerState::kStarting);
  Fork();
  EXPECT_EQ(Observed().state, WorkerState::kReady);
  EXPECT_EQ(Observed().wake_count, 1);
  EXPECT_TRUE(set.Sleeping().empty());
}

TEST_F(WorkerSetTest, ActivityKeepsItAwake) {
  Desire({Sleepy(Worker())});
  Load();
  Fork();
  for (int i = 0; i < 5; ++i) {
    now += seconds(59);
    set.OnActivity(kUid, now);
    ExpectNothing();
  }
  now += seconds(60);
  EXPECT_EQ(Only().kind, Kind::kTerminate);
}

TEST_F(WorkerSetTest, OneThatDoesNotEndWhenItShouldSleepIsKilledAndSleeps) {
  Desire({Sleepy(Worker())});
  Load();
  Fork();
  now += seconds(60);
  EXPECT_EQ(Only().kind, Kind::kTerminate);
  now += seconds(3);
  EXPECT_EQ(Only().kind, Kind::kKill);
  Crash();
  EXPECT_EQ(Observed().state, WorkerState::kAsleep);
}

TEST_F(WorkerSetTest, APoolSleepsOnlyWhenAllOfItsMembersMay) {
  Desire({Pooled(Sleepy(Worker())), Pooled(Other())});
  Load();
  Fork(kPool);
  now += seconds(10'000);
  ExpectNothing();
  Desire({Pooled(Sleepy(Worker(), seconds(10))), Pooled(Sleepy(Other(), seconds(90)))});
  set.OnActivity(kPool, now);
  now += seconds(89);
  ExpectNothing();
  now += seconds(1);
  EXPECT_EQ(Only().kind, Kind::kTerminate);
  Ends(kPool);
  EXPECT_EQ(Observed(0).state, WorkerState::kAsleep);
  EXPECT_EQ(Observed(1).state, WorkerState::kAsleep);
  // One that never sleeps joins: it is woken.
  Desire({Pooled(Sleepy(Worker())), Pooled(Other())});
  Fork(kPool);
}

TEST_F(WorkerSetTest, ASleepingWorkerThatIsNoLongerWantedIsForgottenAtOnce) {
  Desire({Sleepy(Worker())});
  Load();
  Fork();
  now += seconds(60);
  EXPECT_EQ(Only().kind, Kind::kTerminate);
  Ends();
  Desire({});
  EXPECT_TRUE(set.Idle());
  EXPECT_TRUE(set.WorkersToListenFor().empty());
  set.OnKnock(kUid, now);
  ExpectNothing();
}

TEST_F(WorkerSetTest, WakingLoadsTheModelAgainWhenItWasGivenUp) {
  Desire({Sleepy(Worker())});
  Load();
  Fork();
  now += seconds(60);
  EXPECT_EQ(Only().kind, Kind::kTerminate);
  Ends();
  EXPECT_EQ(set.NextDeadline(), now + seconds(600));
  now += seconds(600);
  EXPECT_EQ(Only().kind, Kind::kUnload);
  set.OnModelExit(kSha, {.signal = SIGKILL}, now);
  EXPECT_EQ(Observed().state, WorkerState::kAsleep);
  EXPECT_FALSE(set.NextDeadline());
  set.OnKnock(kUid, now);
  Load();
  Fork();
}

TEST_F(WorkerSetTest, AKnockWhileTheModelIsBeingGivenUpIsNotLost) {
  Desire({Sleepy(Worker())});
  Load();
  Fork();
  now += seconds(60);
  EXPECT_EQ(Only().kind, Kind::kTerminate);
  Ends();
  now += seconds(600);
  EXPECT_EQ(Only().kind, Kind::kUnload);
  set.OnKnock(kUid, now);
  ExpectNothing();
  set.OnModelExit(kSha, {.signal = SIGKILL}, now);
  Load();
  Fork();
}

}  // namespace
}  // namespace allod::inference::node::pool::worker_set_sleep_test
