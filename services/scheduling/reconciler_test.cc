#include "services/scheduling/reconciler.h"

#include <gtest/gtest.h>

#include "services/scheduling/testing/reconciler_fixture.h"

namespace allod::scheduling::reconciler_test {
namespace {

TEST_F(ReconcilerTest, TakesAnInstanceFromCreateToReady) {
  Join("n");
  const Uuid operation = Create("a");
  Pass();
  ASSERT_EQ(Assigned("n").size(), 1u) << "one pass places it and hands it to the node";
  EXPECT_EQ(Assigned("n")[0].instance, Name("a"));
  EXPECT_EQ(GetOperation(operation).phase, "starting 0/1");
  EXPECT_EQ(Targets("a"), std::vector<std::string>{});
  ReportAll("n", ObservedWorker::State::kStarting);
  Pass();
  EXPECT_EQ(Get("a").status.state, InstanceState::kProvisioning);
  Ready("n");
  Pass();
  EXPECT_EQ(Get("a").status.state, InstanceState::kReady);
  EXPECT_EQ(Get("a").status.observed_generation, 1);
  EXPECT_TRUE(GetOperation(operation).done);
  EXPECT_FALSE(GetOperation(operation).error);
  EXPECT_EQ(Targets("a").size(), 1u);
}

TEST_F(ReconcilerTest, RoutesToASocketThatListensBeforeItsWorkerIsReady) {
  Join("n");
  const Uuid operation = Create("a");
  Pass();
  const auto worker = Assigned("n").at(0);
  const std::string target = Target("n", worker.replica);
  ASSERT_TRUE(driver_->Report(
      "n", std::vector<ObservedWorker>{{worker.replica, worker.epoch, ObservedWorker::State::kStarting, target, "", 1}},
      clock_.Now()));
  Pass();
  EXPECT_EQ(Targets("a"), std::vector<std::string>{target});
  EXPECT_EQ(FindRoute("a").ready_target_count, 0);
  EXPECT_FALSE(GetOperation(operation).done) << "ready means that a worker really became ready";
  Ready("n");
  Pass();
  EXPECT_EQ(FindRoute("a").ready_target_count, 1);
  EXPECT_TRUE(GetOperation(operation).done);
}

TEST_F(ReconcilerTest, KeepsTheOldGenerationsTargetWhileTheNewOneStarts) {
  Join("n");
  Create("a");
  Pass();
  Ready("n");
  Pass();
  const auto old_targets = Targets("a");
  const Instance before = Get("a");
  Revision next = MakeRevision("q8", 1);
  next.spec.isolation_class = IsolationClass::kDedicated;
  ASSERT_TRUE(store_.UpdateInstance({tenant_, Uuid::V7(), Name("a"), EtagOf(before), next}, {}));
  reconciler_->Wake(tenant_);
  Pass();
  std::vector<ObservedWorker> workers;
  for (const auto& worker : Assigned("n")) {
    const bool old = worker.replica == before.replicas[0].placement.id;
    workers.push_back({worker.replica, worker.epoch,
                       old ? ObservedWorker::State::kReady : ObservedWorker::State::kStarting,
                       Target("n", worker.replica), "", 1});
  }
  ASSERT_EQ(workers.size(), 2u);
  ASSERT_TRUE(driver_->Report("n", workers, clock_.Now()));
  Pass();
  EXPECT_EQ(Targets("a"), old_targets);
  EXPECT_EQ(FindRoute("a").isolation_class, IsolationClass::kIsolated);
  EXPECT_EQ(ClassInForce(Get("a")), IsolationClass::kIsolated);
  Ready("n");
  Pass();
  EXPECT_EQ(FindRoute("a").isolation_class, IsolationClass::kDedicated);
  EXPECT_EQ(ClassInForce(Get("a")), IsolationClass::kDedicated);
}

TEST_F(ReconcilerTest, TakesASleepingReplicaForAReadyOne) {
  Join("n");
  const Uuid operation = Create("a");
  Pass();
  const auto worker = Assigned("n").at(0);
  const std::string target = Target("n", worker.replica);
  ASSERT_TRUE(driver_->Report(
      "n", std::vector<ObservedWorker>{{worker.replica, worker.epoch, ObservedWorker::State::kAsleep, target, "", 1}},
      clock_.Now()));
  Pass();
  EXPECT_EQ(Get("a").status.state, InstanceState::kReady);
  EXPECT_EQ(Get("a").status.ready_replicas, 1);
  EXPECT_TRUE(GetOperation(operation).done);
  EXPECT_EQ(Targets("a"), std::vector<std::string>{target});
  EXPECT_EQ(Assigned("n").size(), 1u) << "nothing is started in its place";
}

TEST_F(ReconcilerTest, TellsTheNodeClassSleepAndWeight) {
  Tell({tenant_, true, 3, {{"ke"}}});
  Join("n");
  NewInstance instance = Wanted("a", 1);
  instance.revision.spec.isolation_class = IsolationClass::kPooled;
  instance.revision.spec.sleep_after_seconds = 60;
  ASSERT_TRUE(store_.CreateInstance(instance, {}));
  reconciler_->Wake(tenant_);
  Pass();
  const auto worker = Assigned("n").at(0);
  EXPECT_EQ(worker.isolation_class, IsolationClass::kPooled);
  EXPECT_EQ(worker.sleep_after_seconds, 60);
  EXPECT_EQ(worker.weight, 3);
  EXPECT_EQ(worker.variant, instance.revision.spec.variant);
}

TEST_F(ReconcilerTest, SaysWhyAnInstanceCannotBePlacedAndPlacesItLater) {
  Join("small", 50);
  const Uuid operation = Create("a");
  Pass();
  EXPECT_EQ(Get("a").status.state, InstanceState::kFailing);
  EXPECT_EQ(Get("a").status.message, "region ke-1 has 1 node; needs 100 MiB, 50 MiB free");
  EXPECT_EQ(GetOperation(operation).phase, "placing: region ke-1 has 1 node; needs 100 MiB, 50 MiB free");
  EXPECT_FALSE(GetOperation(operation).done);
  Join("big");
  Pass();
  EXPECT_EQ(Assigned("big").size(), 1u);
}

// Its replicas run the template's revision, which is not its current one then.
TEST_F(ReconcilerTest, PlacesAnInstanceThatWasScaledBeforeItHadRoom) {
  Join("small", 50);
  Create("a");
  Pass();
  const Instance instance = Get("a");
  ASSERT_TRUE(store_.UpdateInstance({tenant_, Uuid::V7(), instance.name, EtagOf(instance), MakeRevision("q4", 2)}, {}));
  reconciler_->Wake(tenant_);
  Pass();
  Join("big");
  Pass();
  Pass();
  EXPECT_EQ(Assigned("big").size(), 2u);
}

TEST_F(ReconcilerTest, RemovesATargetAtTheNextReportAfterItsWorkerDied) {
  Join("n");
  Create("a");
  Pass();
  Ready("n");
  Pass();
  ASSERT_TRUE(driver_->Report("n", {}, clock_.Now()));
  Pass();
  EXPECT_EQ(Targets("a"), std::vector<std::string>{});
  EXPECT_EQ(Get("a").replicas.at(0).placement.state, ReplicaState::kPending);
  EXPECT_EQ(Assigned("n").size(), 1u) << "the node starts it again";
  Ready("n");
  Pass();
  EXPECT_EQ(Targets("a").size(), 1u);
}

TEST_F(ReconcilerTest, FollowsWorkersWhileTheDatabaseIsAway) {
  Join("n");
  Create("a");
  Pass();
  Ready("n");
  Pass();
  store_.SetUnavailable(true);
  clock_.Advance(seconds(20));
  ASSERT_TRUE(driver_->Report("n", {}, clock_.Now()));
  EXPECT_EQ(reconciler_->RunOnce().error().code, Code::kUnavailable);
  EXPECT_EQ(Targets("a"), std::vector<std::string>{});
  EXPECT_EQ(Assigned("n").size(), 1u) << "nothing is stopped";
  Ready("n");
  EXPECT_FALSE(reconciler_->RunOnce());
  EXPECT_EQ(Targets("a").size(), 1u);
  store_.SetUnavailable(false);
  Pass();
  EXPECT_EQ(Get("a").status.state, InstanceState::kReady);
}

TEST_F(ReconcilerTest, TellsNobodyAnythingBeforeTheRowsWereRead) {
  Join("n");
  Create("a");
  Pass();
  Ready("n");
  Pass();
  Restart();
  store_.SetUnavailable(true);
  EXPECT_FALSE(reconciler_->RunOnce());
  EXPECT_EQ(Targets("a"), std::vector<std::string>{"no table"});
  store_.SetUnavailable(false);
  Join("n");
  EXPECT_FALSE(driver_->AwaitSet("n", sessions_["n"], 0, milliseconds(0)).workers);
  Pass();
  EXPECT_EQ(Assigned("n").size(), 1u);
}

TEST_F(ReconcilerTest, RebuildsEverythingAfterARestart) {
  Join("n");
  Create("a");
  Pass();
  Ready("n");
  Pass();
  const auto before = Targets("a");
  Restart();
  Pass();
  EXPECT_EQ(Targets("a"), before) << "what was ready is believed until its node is silent for too long";
  Join("n");
  Pass();
  Ready("n");
  Pass();
  EXPECT_EQ(Targets("a"), before);
  EXPECT_EQ(Get("a").replicas.size(), 1u);
}

TEST_F(ReconcilerTest, BringsInstancesBackAfterTheWholeInstallationStopped) {
  Join("n");
  Create("a");
  Pass();
  Ready("n");
  Pass();
  Restart();
  Pass();
  Join("n");
  ASSERT_TRUE(driver_->Report("n", {}, clock_.Now())) << "a fresh node runs nothing";
  Pass();
  EXPECT_EQ(Targets("a"), std::vector<std::string>{});
  ASSERT_EQ(Assigned("n").size(), 1u);
  Ready("n");
  Pass();
  EXPECT_EQ(Targets("a").size(), 1u);
}

TEST_F(ReconcilerTest, RoutesAroundALostNodeAndTakesItBack) {
  Join("n");
  Create("a");
  Pass();
  Ready("n");
  Pass();
  clock_.Advance(seconds(7));
  Pass();
  EXPECT_EQ(Targets("a"), std::vector<std::string>{});
  EXPECT_EQ(Get("a").status.message, "nodes/n does not report");
  Ready("n");
  Pass();
  EXPECT_EQ(Targets("a").size(), 1u);
  EXPECT_EQ(Get("a").status.state, InstanceState::kReady);
}

TEST_F(ReconcilerTest, ReplacesTheReplicasOfANodeThatStaysLost) {
  Join("n1");
  Create("a");
  Pass();
  Ready("n1");
  Pass();
  Join("n2");
  for (int i = 0; i < 7; ++i) {
    clock_.Advance(seconds(5));
    Ready("n2");
    Pass();
  }
  ASSERT_EQ(Assigned("n2").size(), 1u);
  Ready("n2");
  Pass();
  Pass();
  EXPECT_EQ(Targets("a"), std::vector{Target("n2", Assigned("n2")[0].replica)});
  EXPECT_EQ(Get("a").replicas.size(), 1u) << "the lost one is forgotten";
  Ready("n1");
  Pass();
  EXPECT_TRUE(Assigned("n1").empty()) << "when it comes back it is told to stop";
}

TEST_F(ReconcilerTest, DoesNotTakeItsOwnDownTimeForSilenceOfNodes) {
  Join("n1");
  Create("a");
  Pass();
  Ready("n1");
  Pass();
  Join("n2");
  Ready("n2");
  clock_.Advance(seconds(5));
  Ready("n1");
  Ready("n2");
  Pass();
  clock_.Advance(seconds(600));
  Restart();
  Pass();
  EXPECT_EQ(Get("a").replicas.size(), 1u);
  EXPECT_EQ(Targets("a").size(), 1u);
}

TEST_F(ReconcilerTest, RollsANewGenerationWithoutAGap) {
  Join("n");
  Create("a");
  Pass();
  Ready("n");
  Pass();
  const auto old_target = Targets("a");
  const Instance instance = Get("a");
  const Uuid operation = Uuid::V7();
  ASSERT_TRUE(store_.UpdateInstance({tenant_, operation, instance.name, EtagOf(instance), MakeRevision("q8", 1)}, {}));
  reconciler_->Wake(tenant_);
  Pass();
  EXPECT_EQ(Assigned("n").size(), 2u) << "old and new side by side";
  EXPECT_EQ(Targets("a"), old_target);
  EXPECT_FALSE(GetOperation(operation).done);
  Ready("n");
  Pass();
  EXPECT_NE(Targets("a"), old_target);
  EXPECT_TRUE(GetOperation(operation).done);
  EXPECT_EQ(Assigned("n").size(), 1u);
  Ready("n");
  Pass();
  EXPECT_EQ(Get("a").replicas.size(), 1u);
  const auto table = reconciler_->routes().Await(0, milliseconds(0)).value;
  EXPECT_EQ(table->at(0).variant, "models/m/versions/1/variants/q8");
}

TEST_F(ReconcilerTest, ScalesWithoutTouchingRunningWorkers) {
  Join("n");
  Create("a");
  Pass();
  Ready("n");
  Pass();
  const Uuid first = Get("a").replicas.at(0).placement.id;
  const Instance instance = Get("a");
  ASSERT_TRUE(store_.UpdateInstance({tenant_, Uuid::V7(), instance.name, EtagOf(instance), MakeRevision("q4", 2)}, {}));
  reconciler_->Wake(tenant_);
  Pass();
  Ready("n");
  Pass();
  EXPECT_EQ(Targets("a").size(), 2u);
  EXPECT_EQ(Get("a").replicas.at(0).placement.id, first);
}

TEST_F(ReconcilerTest, DeletesAnInstanceWhenItsLastWorkerIsGone) {
  Join("n");
  Create("a");
  Pass();
  Ready("n");
  Pass();
  const Uuid operation = Uuid::V7();
  ASSERT_TRUE(store_.DeleteInstance(tenant_, Name("a"), operation, {}));
  reconciler_->Wake(tenant_);
  Pass();
  EXPECT_EQ(Targets("a"), std::vector<std::string>{"no route"});
  EXPECT_TRUE(Assigned("n").empty());
  EXPECT_EQ(Get("a").status.state, InstanceState::kDeleting);
  EXPECT_FALSE(GetOperation(operation).done);
  Ready("n");
  Pass();
  EXPECT_FALSE(store_.GetInstance(tenant_, Name("a")));
  EXPECT_TRUE(GetOperation(operation).done);
  EXPECT_EQ(store_.ListNodes()->at(0).worker_count, 0);
}

TEST_F(ReconcilerTest, ShowsWhyAWorkerDoesNotStart) {
  Join("n");
  const Uuid operation = Create("a");
  Pass();
  ReportAll("n", ObservedWorker::State::kFailed);
  Pass();
  EXPECT_EQ(Get("a").status.state, InstanceState::kFailing);
  EXPECT_EQ(Get("a").status.message, "worker on nodes/n does not start: no such artifact");
  EXPECT_EQ(GetOperation(operation).phase, "starting 0/1: worker on nodes/n does not start: no such artifact");
}

TEST_F(ReconcilerTest, DoesNothingTwice) {
  Join("n");
  Create("a");
  Pass();
  Ready("n");
  Pass();
  const auto progress = reconciler_->progress().revision();
  Ready("n");
  Pass();
  EXPECT_EQ(reconciler_->progress().revision(), progress);
}

TEST_F(ReconcilerTest, ItsThreadAssignsANewInstanceWhenWoken) {
  Join("n");
  reconciler_->Start();
  Create("a");
  std::uint64_t version = 0;
  std::size_t assigned = 0;
  for (int i = 0; i < 100 && assigned == 0; ++i) {
    const auto update = driver_->AwaitSet("n", sessions_["n"], version, milliseconds(100));
    version = update.version;
    if (update.workers) assigned = update.workers->size();
  }
  EXPECT_EQ(assigned, 1u);
  reconciler_->Stop();
}

}  // namespace
}  // namespace allod::scheduling::reconciler_test
