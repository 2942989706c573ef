// The members of a pool: one that does not fit never harms another, and ready means answered.
#include <algorithm>

#include "inference/node/pool/worker_set_fixture.h"

namespace allod::inference::node::pool::worker_set_pool_test {
namespace {

class WorkerSetPoolTest : public WorkerSetTest {
 protected:
  // The pool of these, its worker ready.
  void Start(const std::vector<DesiredWorker>& workers) {
    Desire(workers);
    set.OnListening(kPool, "unix:/p.sock");
    Load();
    Fork(kPool);
  }
  ObservedWorker Of(const std::string& uid) {
    for (const ObservedWorker& worker : set.Observed()) {
      if (worker.replica_uid == uid) return worker;
    }
    ADD_FAILURE() << "nothing is reported of " << uid;
    return {};
  }
  static DesiredWorker Twin() {
    DesiredWorker twin = Pooled(Worker(2));
    twin.replica_uid = kTwin;
    return twin;
  }
  static constexpr const char* kTwin = "01900000-0000-7000-8000-000000000003";
};

TEST_F(WorkerSetPoolTest, HoldsAnInstanceOnceAndAllOthersAsIfItWereNamedOnce) {
  Desire({Pooled(Worker()), Twin(), Pooled(Other())});
  set.OnListening(kPool, "unix:/p.sock");
  Load();
  const Action fork = Fork(kPool);
  ASSERT_EQ(fork.members.size(), 2U);
  EXPECT_EQ(fork.members[0].replica_uid, kOther);
  EXPECT_EQ(fork.members[1].replica_uid, kTwin) << "the newest replica of an instance has its place";
  EXPECT_EQ(Of(kOther).state, WorkerState::kReady);
  EXPECT_EQ(Of(kTwin).state, WorkerState::kReady);
  EXPECT_EQ(Of(kUid).state, WorkerState::kFailed);
  EXPECT_EQ(Of(kUid).target, "");
  EXPECT_EQ(Of(kUid).message,
            "the pool of this model on this node holds " + Worker().member.instance + " once, as replica " + kTwin);
}

TEST_F(WorkerSetPoolTest, ComesUpAgainWithAnInstanceThatIsWantedTwice) {
  Start({Pooled(Worker()), Twin(), Pooled(Other())});
  Crash(kPool);
  EXPECT_EQ(Of(kOther).state, WorkerState::kStarting);
  now += milliseconds(100);
  EXPECT_EQ(Fork(kPool).members.size(), 2U);
  EXPECT_EQ(Of(kOther).state, WorkerState::kReady);
}

TEST_F(WorkerSetPoolTest, CallsAMemberReadyWhenTheWorkerSaysThatItTookIt) {
  Start({Pooled(Worker())});
  Desire({Pooled(Worker()), Pooled(Other())});
  EXPECT_EQ(Of(kOther).state, WorkerState::kStarting);
  EXPECT_EQ(Of(kOther).target, "") << "a request would be told that nobody of that name is here";
  const Action told = Only();
  EXPECT_EQ(told.kind, Kind::kMembers);
  EXPECT_EQ(Of(kOther).state, WorkerState::kStarting);
  EXPECT_EQ(Of(kUid).state, WorkerState::kReady) << "who was there stays ready meanwhile";
  set.OnMembers(kPool, told.members_version + 1, {});
  EXPECT_EQ(Of(kOther).state, WorkerState::kStarting) << "that list was never told";
  set.OnMembers(kPool, told.members_version, {});
  EXPECT_EQ(Of(kOther).state, WorkerState::kReady);
  EXPECT_EQ(Of(kOther).target, "unix:/p.sock");
}

TEST_F(WorkerSetPoolTest, ReportsAMemberThatTheWorkerRefusesByNameAndTheOthersAsReady) {
  Start({Pooled(Worker())});
  Desire({Pooled(Worker()), Pooled(Other())});
  const Action told = Only();
  set.OnMembers(kPool, told.members_version, {{Other().member.instance, "has a negative limit"}});
  EXPECT_EQ(Of(kUid).state, WorkerState::kReady);
  EXPECT_EQ(Of(kOther).state, WorkerState::kFailed);
  EXPECT_EQ(Of(kOther).message, "its worker refuses " + Other().member.instance + ", which has a negative limit");
  ExpectNothing();
}

TEST_F(WorkerSetPoolTest, ReportsWhatIsRefusedAtTheStartToo) {
  Desire({Pooled(Worker()), Pooled(Other())});
  set.OnListening(kPool, "unix:/p.sock");
  Load();
  EXPECT_EQ(Only().kind, Kind::kFork);
  EXPECT_EQ(Of(kOther).target, "unix:/p.sock") << "it may be waited for";
  set.OnReady(kPool, now, {{Other().member.instance, "is named twice"}});
  EXPECT_EQ(Of(kUid).state, WorkerState::kReady);
  EXPECT_EQ(Of(kOther).state, WorkerState::kFailed);
}

TEST_F(WorkerSetPoolTest, SendsNobodyToAStartingWorkerThatDoesNotKnowHim) {
  Desire({Pooled(Worker())});
  set.OnListening(kPool, "unix:/p.sock");
  Load();
  EXPECT_EQ(Only().kind, Kind::kFork);
  Desire({Pooled(Worker()), Pooled(Other())});
  EXPECT_EQ(Of(kUid).target, "unix:/p.sock");
  EXPECT_EQ(Of(kOther).target, "");
}

TEST_F(WorkerSetPoolTest, TellsAWorkerThatDoesNotConfirmAgainAndReplacesItInTheEnd) {
  Start({Pooled(Worker())});
  Desire({Pooled(Worker()), Pooled(Other())});
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(Only().kind, Kind::kMembers);
    EXPECT_EQ(set.NextDeadline(), now + seconds(2));
    now += seconds(2);
  }
  EXPECT_EQ(Only().kind, Kind::kKill);
  Crash(kPool);
  EXPECT_EQ(Of(kOther).message, "worker did not take its members and was killed");
  now += milliseconds(100);
  EXPECT_EQ(Fork(kPool).members.size(), 2U);
  EXPECT_EQ(Of(kOther).state, WorkerState::kReady);
}

TEST_F(WorkerSetPoolTest, KeepsAnInstanceAnsweredWhileANewGenerationTakesItsPlace) {
  Start({Pooled(Worker(1))});
  Desire({Pooled(Worker(1)), Twin()});
  const Action told = Only();
  ASSERT_EQ(told.members.size(), 1U);
  EXPECT_EQ(told.members[0].replica_uid, kTwin);
  EXPECT_EQ(Of(kUid).state, WorkerState::kReady);
  set.OnMembers(kPool, told.members_version, {});
  EXPECT_EQ(Of(kTwin).state, WorkerState::kReady);
  EXPECT_EQ(Of(kUid).state, WorkerState::kFailed);
  Desire({Twin()});
  ExpectNothing();
}

TEST_F(WorkerSetPoolTest, LeavesOutThoseBeyondWhatAListHolds) {
  std::vector<DesiredWorker> all;
  for (std::size_t i = 0; i <= kPoolMembersMax; ++i) {
    DesiredWorker worker = Pooled(Worker());
    worker.replica_uid = "01900000-0000-7000-8000-" + std::to_string(100000000000 + i);
    worker.member.instance = "tenants/ke/projects/p/instances/i" + std::to_string(i);
    all.push_back(worker);
  }
  Start(all);
  const auto observed = set.Observed();
  EXPECT_EQ(std::ranges::count(observed, WorkerState::kReady, &ObservedWorker::state), 256);
  EXPECT_EQ(Of(all.back().replica_uid).state, WorkerState::kFailed);
  EXPECT_EQ(Of(all.back().replica_uid).message,
            "the pool of this model on this node has 256 members, the most that one "
            "takes; " +
                all.back().member.instance + " is one more");
}

TEST_F(WorkerSetPoolTest, ReportsAnAssignmentThatCannotBeRunAndRunsTheOthers) {
  DesiredWorker unusable{.replica_uid = kOther, .epoch = 7, .refused_because = "context_tokens -1 is not in 0 to 9"};
  Start({Pooled(Worker()), unusable});
  EXPECT_EQ(Of(kUid).state, WorkerState::kReady);
  EXPECT_EQ(Of(kOther).state, WorkerState::kFailed);
  EXPECT_EQ(Of(kOther).epoch, 7);
  EXPECT_EQ(Of(kOther).message, "context_tokens -1 is not in 0 to 9");
  Desire({Pooled(Worker())});
  EXPECT_EQ(set.Observed().size(), 1U);
}

}  // namespace
}  // namespace allod::inference::node::pool::worker_set_pool_test
