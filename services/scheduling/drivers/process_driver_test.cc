#include "services/scheduling/drivers/process_driver.h"

#include <gtest/gtest.h>

#include <thread>

#include "scheduler/testing/snapshot_builder.h"

namespace allod::scheduling::drivers::process_driver_test {
namespace {

using scheduler::Id;
using scheduler::kGiB;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kNoWait{0};
const Time kStart{std::chrono::hours(1000)};

class ProcessDriverTest : public testing::Test {
 protected:
  scheduler::Node MakeNode(const std::string& id) {
    return {id, "ke-1", scheduler::NodeState::kReady, {kGiB, 1000}, kStart};
  }
  DesiredWorker Worker(const std::string& id, std::int64_t epoch, const std::string& node = "a") {
    DesiredWorker worker;
    worker.replica = Id(id);
    worker.node = node;
    worker.epoch = epoch;
    return worker;
  }
  ObservedWorker Observed(const std::string& id, std::int64_t epoch) {
    return {Id(id), epoch, ObservedWorker::State::kReady, "unix:/w.sock", "", 1};
  }
  ChangeSignal news_;
  ProcessDriver driver_{seconds(6), news_};
};

TEST_F(ProcessDriverTest, HandsOutNothingBeforeTheDesiredStateIsComplete) {
  ASSERT_TRUE(driver_.Join(MakeNode("a"), 1, kStart));
  ASSERT_TRUE(driver_.Apply(Worker("r", 1)));
  EXPECT_FALSE(driver_.AwaitSet("a", 1, 0, kNoWait).workers);
  driver_.Synced();
  const auto update = driver_.AwaitSet("a", 1, 0, kNoWait);
  ASSERT_TRUE(update.workers);
  EXPECT_EQ(*update.workers, std::vector{Worker("r", 1)});
}

TEST_F(ProcessDriverTest, HandsOutAnEmptySetOnceAndThenOnlyChanges) {
  ASSERT_TRUE(driver_.Join(MakeNode("a"), 1, kStart));
  driver_.Synced();
  const auto first = driver_.AwaitSet("a", 1, 0, kNoWait);
  ASSERT_TRUE(first.workers);
  EXPECT_TRUE(first.workers->empty());
  EXPECT_FALSE(driver_.AwaitSet("a", 1, first.version, kNoWait).workers);
  ASSERT_TRUE(driver_.Apply(Worker("r", 1)));
  const auto second = driver_.AwaitSet("a", 1, first.version, kNoWait);
  ASSERT_TRUE(second.workers);
  ASSERT_TRUE(driver_.Apply(Worker("r", 1)));
  EXPECT_FALSE(driver_.AwaitSet("a", 1, second.version, kNoWait).workers) << "the same worker again is no change";
}

TEST_F(ProcessDriverTest, WakesAWaiterOfAnotherThread) {
  ASSERT_TRUE(driver_.Join(MakeNode("a"), 1, kStart));
  driver_.Synced();
  const auto first = driver_.AwaitSet("a", 1, 0, kNoWait);
  std::thread applier([this] { ASSERT_TRUE(driver_.Apply(Worker("r", 1))); });
  EXPECT_TRUE(driver_.AwaitSet("a", 1, first.version, seconds(10)).workers);
  applier.join();
}

TEST_F(ProcessDriverTest, ANewerSessionEndsTheOlder) {
  ASSERT_TRUE(driver_.Join(MakeNode("a"), 1, kStart));
  ASSERT_TRUE(driver_.Join(MakeNode("a"), 2, kStart));
  EXPECT_TRUE(driver_.AwaitSet("a", 1, 0, seconds(10)).ended);
  EXPECT_EQ(driver_.Join(MakeNode("a"), 1, kStart).error().reason, "STALE_EPOCH");
}

TEST_F(ProcessDriverTest, RefusesOlderEpochsOfAWorker) {
  ASSERT_TRUE(driver_.Join(MakeNode("a"), 1, kStart));
  ASSERT_TRUE(driver_.Apply(Worker("r", 5)));
  EXPECT_EQ(driver_.Apply(Worker("r", 4)).error().reason, "STALE_EPOCH");
  EXPECT_EQ(driver_.Remove(Id("r"), 4).error().reason, "STALE_EPOCH");
  EXPECT_TRUE(driver_.Remove(Id("r"), 5));
  EXPECT_TRUE(driver_.Remove(Id("r"), 5)) << "absent is fine";
}

TEST_F(ProcessDriverTest, IgnoresReportsOfOlderEpochs) {
  ASSERT_TRUE(driver_.Join(MakeNode("a"), 1, kStart));
  ASSERT_TRUE(driver_.Apply(Worker("r", 5)));
  ASSERT_TRUE(driver_.Report("a", std::vector{Observed("r", 4)}, kStart));
  EXPECT_FALSE(driver_.List().at(0).observed);
  ASSERT_TRUE(driver_.Report("a", std::vector{Observed("r", 5)}, kStart));
  EXPECT_TRUE(driver_.List().at(0).observed);
}

TEST_F(ProcessDriverTest, ListsWorkersThatRunAlthoughNobodyWantsThem) {
  ASSERT_TRUE(driver_.Join(MakeNode("a"), 1, kStart));
  ASSERT_TRUE(driver_.Report("a", std::vector{Observed("orphan", 1)}, kStart));
  const auto views = driver_.List();
  ASSERT_EQ(views.size(), 1u);
  EXPECT_FALSE(views[0].desired);
  EXPECT_TRUE(driver_.Capacity(kStart).at(0).reported);
}

TEST_F(ProcessDriverTest, LosesASilentNodeAndTakesItBack) {
  ASSERT_TRUE(driver_.Join(MakeNode("a"), 1, kStart));
  ASSERT_TRUE(driver_.Report("a", {}, kStart));
  EXPECT_EQ(driver_.Capacity(kStart + seconds(6)).at(0).state, scheduler::NodeState::kReady);
  EXPECT_EQ(driver_.Capacity(kStart + milliseconds(6001)).at(0).state, scheduler::NodeState::kLost);
  const auto seen = news_.revision();
  ASSERT_TRUE(driver_.Report("a", {}, kStart + seconds(7)));
  EXPECT_EQ(driver_.Capacity(kStart + seconds(7)).at(0).state, scheduler::NodeState::kReady);
  EXPECT_GT(news_.revision(), seen) << "coming back is a change even if the workers are the same";
}

TEST_F(ProcessDriverTest, CountsAReportAsAChangeOnlyWhenItSaysSomethingNew) {
  ASSERT_TRUE(driver_.Join(MakeNode("a"), 1, kStart));
  ASSERT_TRUE(driver_.Report("a", std::vector{Observed("r", 1)}, kStart));
  const auto seen = news_.revision();
  ASSERT_TRUE(driver_.Report("a", std::vector{Observed("r", 1)}, kStart));
  EXPECT_EQ(news_.revision(), seen);
  ASSERT_TRUE(driver_.Report("a", {}, kStart));
  EXPECT_GT(news_.revision(), seen);
}

TEST_F(ProcessDriverTest, TellsOnceOfWhichWorkersANodeSaidSomethingNew) {
  ASSERT_TRUE(driver_.Join(MakeNode("a"), 1, kStart));
  ASSERT_TRUE(driver_.Report("a", std::vector{Observed("r", 1), Observed("s", 1)}, kStart));
  EXPECT_EQ(driver_.TakeChanged().size(), 2u);
  EXPECT_TRUE(driver_.TakeChanged().empty());
  ASSERT_TRUE(driver_.Report("a", std::vector{Observed("r", 1), Observed("s", 2)}, kStart));
  EXPECT_EQ(driver_.TakeChanged(), std::vector{Id("s")});
  ASSERT_TRUE(driver_.Report("a", std::vector{Observed("s", 2)}, kStart));
  EXPECT_EQ(driver_.TakeChanged(), std::vector{Id("r")});
  ASSERT_TRUE(driver_.Report("a", std::vector{Observed("s", 2)}, kStart + seconds(60)));
  EXPECT_TRUE(driver_.TakeChanged().empty()) << "that the node is back is in Capacity()";
}

TEST_F(ProcessDriverTest, FindsWorkersByReplicaAndNode) {
  ASSERT_TRUE(driver_.Join(MakeNode("a"), 1, kStart));
  ASSERT_TRUE(driver_.Apply(Worker("r", 1)));
  ASSERT_TRUE(driver_.Report("a", std::vector{Observed("r", 1), Observed("orphan", 1)}, kStart));
  const std::vector<WorkerKey> keys{{Id("r"), "a"}, {Id("orphan"), "a"}, {Id("r"), "b"}, {Id("x"), "a"}};
  const auto views = driver_.Find(keys);
  ASSERT_EQ(views.size(), 2u);
  EXPECT_TRUE(views[0].desired && views[0].observed);
  EXPECT_TRUE(!views[1].desired && views[1].observed);
}

TEST_F(ProcessDriverTest, RefusesANodeTooManyAloud) {
  for (std::size_t i = 0; i < ProcessDriver::kNodesMax; ++i) {
    ASSERT_TRUE(driver_.Restore(MakeNode("n" + std::to_string(i)), 1));
  }
  EXPECT_EQ(driver_.Restore(MakeNode("more"), 1).error().reason, "TOO_MANY_NODES");
  EXPECT_EQ(driver_.Join(MakeNode("more"), 1, kStart).error().reason, "TOO_MANY_NODES");
  EXPECT_TRUE(driver_.Restore(MakeNode("n1"), 1)) << "it is there already";
}

TEST_F(ProcessDriverTest, RefusesReportsOfNodesThatNeverJoined) {
  EXPECT_EQ(driver_.Report("x", {}, kStart).error().reason, "NODE_NOT_JOINED");
}

TEST_F(ProcessDriverTest, StopEndsEverySession) {
  ASSERT_TRUE(driver_.Join(MakeNode("a"), 1, kStart));
  driver_.Stop();
  EXPECT_TRUE(driver_.AwaitSet("a", 1, 0, seconds(10)).ended);
}

}  // namespace
}  // namespace allod::scheduling::drivers::process_driver_test
