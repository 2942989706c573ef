#include "inference/node/pool/worker_set_fixture.h"

namespace allod::inference::node::pool::worker_set_test {
namespace {

TEST_F(WorkerSetTest, FetchesLoadsForksAndIsReady) {
  Desire({Worker()});
  EXPECT_EQ(set.WorkersToListenFor(), std::set<std::string>{kUid});
  set.OnListening(kUid, "unix:/x.sock");
  EXPECT_EQ(Only().kind, Kind::kFetch);
  EXPECT_EQ(Observed().message, "fetching the model");
  set.OnArtifact(kSha, "/store/a", now);
  const Action load = Only();
  EXPECT_EQ(load.kind, Kind::kLoad);
  EXPECT_EQ(load.artifact, "/store/a");
  EXPECT_FALSE(load.private_weights);
  EXPECT_EQ(Observed().message, "loading the model");
  EXPECT_EQ(Observed().target, "unix:/x.sock");  // who connects now waits
  set.OnResident(kSha, now);
  const Action fork = Fork();
  ASSERT_EQ(fork.members.size(), 1U);
  EXPECT_EQ(fork.members[0].member.instance, Worker().member.instance);
  EXPECT_EQ(Observed(), (ObservedWorker{kUid, 1, WorkerState::kReady, "unix:/x.sock", "", 1, 0, kUid}));
  ExpectNothing();
}

TEST_F(WorkerSetTest, ForksAgainAfterADeathWithoutLoadingAgain) {
  Desire({Worker()});
  set.OnListening(kUid, "unix:/x.sock");
  Load();
  Fork();
  Crash();
  EXPECT_EQ(Observed().state, WorkerState::kStarting);
  EXPECT_NE(Observed().message.find("signal 9"), std::string::npos);
  EXPECT_EQ(Observed().target, "unix:/x.sock");  // the same before and after
  ExpectNothing();
  EXPECT_EQ(set.NextDeadline(), now + milliseconds(100));
  now += milliseconds(100);
  Fork();
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
  Desire({Worker()});
  Load();
  Fork();
  for (int i = 1; i <= 5; ++i) {
    Crash();
    EXPECT_EQ(set.NextDeadline(), now + RestartDelay(i));
    now += RestartDelay(i);
    Fork();
  }
  now += seconds(30);
  Crash();
  EXPECT_EQ(set.NextDeadline(), now + milliseconds(100));
}

TEST_F(WorkerSetTest, IsShownAsFailedAfterThreeFailuresInARowButGoesOnTrying) {
  Desire({Worker()});
  Load();
  Fork();
  for (int i = 1; i <= 3; ++i) {
    Crash();
    EXPECT_EQ(Observed().state, i < 3 ? WorkerState::kStarting : WorkerState::kFailed) << i;
    // Who connected to one that fails would wait for nothing.
    EXPECT_EQ(set.WorkersToListenFor().size(), i < 3 ? 1U : 0U);
    now += RestartDelay(i);
    Fork();
    EXPECT_EQ(set.WorkersToListenFor().size(), 1U);
    EXPECT_EQ(Observed().state, WorkerState::kReady);
  }
}

TEST_F(WorkerSetTest, AModelThatItsZygoteRefusesFailsAtOnceAndIsTriedOnceAMinute) {
  Desire({Worker()});
  EXPECT_EQ(Only().kind, Kind::kFetch);
  set.OnArtifact(kSha, "/store/a", now);
  EXPECT_EQ(Only().kind, Kind::kLoad);
  set.OnModelExit(kSha, {.status = 3, .last_line = "GGUF_TRUNCATED: it ends too soon"}, now);
  EXPECT_EQ(Observed().state, WorkerState::kFailed);
  EXPECT_NE(Observed().message.find("GGUF_TRUNCATED"), std::string::npos);
  EXPECT_TRUE(set.WorkersToListenFor().empty());
  now += seconds(59);
  ExpectNothing();
  now += seconds(1);
  Load();
  Fork();
  EXPECT_EQ(Observed().state, WorkerState::kReady);
}

TEST_F(WorkerSetTest, AModelThatTheWorkerItselfRefusesFailsToo) {
  Desire({Worker()});
  Load();
  EXPECT_EQ(Only().kind, Kind::kFork);
  set.OnWorkerExit(kUid, {.status = 3, .last_line = "MODEL_NOT_GENERATIVE: m"}, now);
  EXPECT_EQ(Observed().state, WorkerState::kFailed);
  EXPECT_EQ(set.NextDeadline(), now + seconds(60));
}

TEST_F(WorkerSetTest, StopsWhatIsNoLongerDesiredGentlyThenHard) {
  Desire({Worker()});
  Load();
  Fork();
  Desire({});
  EXPECT_TRUE(set.WorkersToListenFor().empty());
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

TEST_F(WorkerSetTest, CallsThatProgressHaveTheDrainTimeAndNoMore) {
  Desire({Worker()});
  Load();
  Fork();
  Desire({});
  EXPECT_EQ(Only().kind, Kind::kTerminate);
  for (int i = 0; i < 32; ++i) {
    set.OnActivity(kUid, now);
    ExpectNothing();
    now += seconds(1);
  }
  set.OnActivity(kUid, now);
  ExpectNothing();
  now += seconds(1);
  EXPECT_EQ(Only().kind, Kind::kKill);
}

TEST_F(WorkerSetTest, AnAgentThatEndsDoesNotWaitForCalls) {
  Desire({Worker()});
  Load();
  Fork();
  Desire({});
  EXPECT_EQ(Only().kind, Kind::kTerminate);
  set.EndDrains();
  now += seconds(3);
  set.OnActivity(kUid, now);
  EXPECT_EQ(Only().kind, Kind::kKill);
}

TEST_F(WorkerSetTest, AReplicaThatComesBackWhileItStopsIsForkedOnceTheOldProcessIsGone) {
  Desire({Worker()});
  Load();
  Fork();
  Desire({});
  EXPECT_EQ(Only().kind, Kind::kTerminate);
  Desire({Worker(2)});
  ExpectNothing();
  Ends();
  Fork();
  EXPECT_EQ(Observed().epoch, 2);
}

TEST_F(WorkerSetTest, ANewEpochOfTheSameWorkKeepsTheProcess) {
  Desire({Worker(1)});
  Load();
  Fork();
  Desire({Worker(2)});
  ExpectNothing();
  EXPECT_EQ(Observed().epoch, 2);
  EXPECT_EQ(Observed().state, WorkerState::kReady);
}

TEST_F(WorkerSetTest, AChangedSpecReplacesTheProcessWithoutWaiting) {
  Desire({Worker(1)});
  set.OnListening(kUid, "unix:/x.sock");
  Load();
  Fork();
  DesiredWorker larger = Worker(2);
  larger.member.context_tokens = 1024;
  Desire({larger});
  EXPECT_EQ(Only().kind, Kind::kTerminate);
  EXPECT_EQ(Observed().epoch, 1);  // what runs is still the old one
  EXPECT_EQ(Observed().target, "");
  Ends();
  const Action fork = Fork();
  EXPECT_EQ(fork.members.at(0).member.context_tokens, 1024);
  EXPECT_EQ(Observed().start_count, 2);
}

TEST_F(WorkerSetTest, AChangedWeightIsToldWithoutARestart) {
  Desire({Worker(1)});
  Load();
  Fork();
  DesiredWorker heavier = Worker(2);
  heavier.member.weight = 5;
  Desire({heavier});
  const Action told = Only();
  EXPECT_EQ(told.kind, Kind::kMembers);
  EXPECT_EQ(told.members.at(0).member.weight, 5);
}

TEST_F(WorkerSetTest, RefusesAnOlderEpochEvenAfterTheReplicaWasGone) {
  Desire({Worker(5)});
  Load();
  Fork();
  EXPECT_EQ(set.SetDesired({Worker(4)}, now), std::vector<std::string>{kUid});
  ExpectNothing();
  EXPECT_EQ(Observed().epoch, 5);
  Desire({});
  EXPECT_EQ(Only().kind, Kind::kTerminate);
  Ends();
  EXPECT_EQ(set.SetDesired({Worker(4)}, now), std::vector<std::string>{kUid});
  ExpectNothing();
  EXPECT_TRUE(set.Idle());
}

TEST_F(WorkerSetTest, AModelThatCannotBeFetchedIsTriedAgainAndShown) {
  Desire({Worker()});
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(Only().kind, Kind::kFetch);
    set.OnArtifact(kSha, std::unexpected(Error{Code::kUnavailable, "RPC_FAILED", "catalog is away"}), now);
    EXPECT_NE(Observed().message.find("catalog is away"), std::string::npos);
    EXPECT_EQ(Observed().state, i < 3 ? WorkerState::kStarting : WorkerState::kFailed);
    ExpectNothing();
    EXPECT_EQ(set.NextDeadline(), now + RestartDelay(i));
    now += RestartDelay(i);
  }
  Load();
  Fork();
  EXPECT_EQ(Observed().state, WorkerState::kReady);
}

TEST_F(WorkerSetTest, OneLoadServesAllWhoWait) {
  Desire({Worker(), Other()});
  Load();
  EXPECT_EQ(Next()->kind, Kind::kFork);
  EXPECT_EQ(Next()->kind, Kind::kFork);
  ExpectNothing();
  set.OnReady(kUid, now);
  set.OnReady(kOther, now);
  // The death of one is no event of the other.
  Crash();
  EXPECT_EQ(Observed(1).state, WorkerState::kReady);
  EXPECT_EQ(Observed(1).start_count, 1);
}

TEST_F(WorkerSetTest, KillsAWorkerThatNeverBecomesReady) {
  Desire({Worker()});
  Load();
  EXPECT_EQ(Only().kind, Kind::kFork);
  EXPECT_EQ(set.NextDeadline(), now + std::chrono::minutes(1));
  now += std::chrono::minutes(1);
  EXPECT_EQ(Only().kind, Kind::kKill);
  Crash();
  EXPECT_NE(Observed().message.find("did not answer"), std::string::npos);
  now += milliseconds(100);
  Fork();
}

TEST_F(WorkerSetTest, TheEndOfAZygoteEndsItsWorkersAndAllComeBack) {
  Desire({Worker(), Other()});
  Load();
  EXPECT_EQ(Next()->kind, Kind::kFork);
  EXPECT_EQ(Next()->kind, Kind::kFork);
  set.OnReady(kUid, now);
  set.OnReady(kOther, now);
  Crash(kUid);
  Crash(kOther);
  set.OnModelExit(kSha, {.signal = SIGKILL}, now);
  ExpectNothing();
  now += milliseconds(100);
  Load();
  EXPECT_EQ(Next()->kind, Kind::kFork);
  EXPECT_EQ(Next()->kind, Kind::kFork);
  EXPECT_EQ(Observed(0).start_count, 2);
  EXPECT_EQ(Observed(1).start_count, 2);
}

TEST_F(WorkerSetTest, PooledReplicasOfAModelShareOneWorker) {
  Desire({Pooled(Worker()), Pooled(Other())});
  EXPECT_EQ(set.WorkersToListenFor(), std::set<std::string>{kPool});
  set.OnListening(kPool, "unix:/p.sock");
  Load();
  EXPECT_EQ(Fork(kPool).members.size(), 2U);
  for (const std::size_t i : {0, 1}) {
    EXPECT_EQ(Observed(i).state, WorkerState::kReady);
    EXPECT_EQ(Observed(i).target, "unix:/p.sock");
    EXPECT_EQ(Observed(i).worker_key, kPool);
  }
}

TEST_F(WorkerSetTest, MembersOfAPoolComeAndGoWithoutARestart) {
  Desire({Pooled(Worker())});
  Load();
  Fork(kPool);
  Desire({Pooled(Worker()), Pooled(Other())});
  Action told = Only();
  EXPECT_EQ(told.kind, Kind::kMembers);
  EXPECT_EQ(told.worker_key, kPool);
  EXPECT_EQ(told.members.size(), 2U);
  Desire({Pooled(Other())});
  told = Only();
  EXPECT_EQ(told.kind, Kind::kMembers);
  ASSERT_EQ(told.members.size(), 1U);
  EXPECT_EQ(told.members[0].replica_uid, kOther);
  EXPECT_EQ(Observed().start_count, 1);
  // A member's own limits are told, not restarted for.
  DesiredWorker larger = Pooled(Other());
  larger.member.context_tokens = 1024;
  Desire({larger});
  EXPECT_EQ(Only().kind, Kind::kMembers);
  // The last one turns off the light.
  Desire({});
  EXPECT_EQ(Only().kind, Kind::kTerminate);
}

TEST_F(WorkerSetTest, AMemberThatComesWhileThePoolIsForkedIsToldAfterwards) {
  Desire({Pooled(Worker())});
  Load();
  EXPECT_EQ(Only().kind, Kind::kFork);
  Desire({Pooled(Worker()), Pooled(Other())});
  ExpectNothing();  // it does not listen to its agent yet
  set.OnReady(kPool, now);
  EXPECT_EQ(Only().kind, Kind::kMembers);
}

TEST_F(WorkerSetTest, MovingIntoAPoolEndsTheWorkerOfItsOwn) {
  Desire({Worker(1)});
  Load();
  Fork();
  Desire({Pooled(Worker(2))});
  EXPECT_EQ(Next()->kind, Kind::kTerminate);
  EXPECT_EQ(Next()->worker_key, kPool);
  Ends();
  set.OnReady(kPool, now);
  ASSERT_EQ(set.Observed().size(), 1U);
  EXPECT_EQ(Observed().worker_key, kPool);
  EXPECT_EQ(Observed().epoch, 2);
}

TEST_F(WorkerSetTest, ADedicatedWorkerHasAModelOfItsOwnThatGoesWithIt) {
  DesiredWorker dedicated = Other();
  dedicated.isolation = IsolationClass::kDedicated;
  Desire({Worker()});
  Load();
  Fork();
  Desire({Worker(), dedicated});
  const Action load = Only();  // the file is there, the memory is not shared
  EXPECT_EQ(load.kind, Kind::kLoad);
  EXPECT_EQ(load.model_key, dedicated.model_key());
  EXPECT_TRUE(load.private_weights);
  set.OnResident(dedicated.model_key(), now);
  EXPECT_EQ(Fork(kOther).model_key, dedicated.model_key());
  Desire({Worker()});
  EXPECT_EQ(Only().kind, Kind::kTerminate);
  Ends(kOther);
  const Action unload = Only();
  EXPECT_EQ(unload.kind, Kind::kUnload);
  EXPECT_EQ(unload.model_key, dedicated.model_key());
  set.OnModelExit(dedicated.model_key(), {.signal = SIGKILL}, now);
  EXPECT_EQ(set.ObservedModels().size(), 1U);
}

TEST_F(WorkerSetTest, EventsOfWhatIsGoneAreIgnored) {
  set.OnReady(kUid, now);
  Ends();
  set.OnKnock(kUid, now);
  set.OnActivity(kUid, now);
  set.OnListening(kUid, "unix:/x.sock");
  set.OnResident(kSha, now);
  set.OnModelExit(kSha, {.signal = SIGKILL}, now);
  set.OnArtifact(kSha, "/store/a", now);
  EXPECT_TRUE(set.Idle());
  EXPECT_FALSE(set.NextDeadline());
  ExpectNothing();
}

}  // namespace
}  // namespace allod::inference::node::pool::worker_set_test
