#include "scheduler/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "scheduler/testing/snapshot_builder.h"

namespace allod::scheduler::schedule_test {
namespace {

using std::chrono::seconds;
using enum ReplicaState;

// What a plan does, as sorted words: "+node" creates, "-replica" stops, "xreplica" removes, "?n" could not place n.
std::string Words(const Snapshot& snapshot) {
  const Plan plan = Schedule(snapshot);
  std::map<Uuid, std::string> names;
  for (const char* name : {"r1", "r2", "r3", "r4", "old1", "old2"}) names[Id(name)] = name;
  std::vector<std::string> words;
  for (const auto& create : plan.creates) words.push_back("+" + create.node);
  for (const auto& stop : plan.stops) words.push_back("-" + names[stop.replica]);
  for (const auto& remove : plan.removes) words.push_back("x" + names[remove.replica]);
  for (const auto& unplaced : plan.unplaced) words.push_back("?" + std::to_string(unplaced.missing));
  std::ranges::sort(words);
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

SnapshotBuilder TwoNodes() { return std::move(SnapshotBuilder().WithNode("a", 4 * kGiB).WithNode("b", 4 * kGiB)); }

TEST(Schedule, CreatesEveryReplicaAndSpreadsThem) {
  EXPECT_EQ(Words(TwoNodes().WithInstance("i", 2, kGiB).Build()), "+a +b");
}

TEST(Schedule, HasNothingToDoWhenAllIsAsItShouldBe) {
  EXPECT_EQ(Words(TwoNodes().WithInstance("i", 1, kGiB).WithReplica("r1", "i", "a", kStarting).Build()), "");
}

TEST(Schedule, CarriesTheVersionItDecidedOn) {
  const Plan plan = Schedule(TwoNodes().WithInstance("i", 1, kGiB, 7).Build());
  ASSERT_EQ(plan.creates.size(), 1u);
  EXPECT_EQ(plan.creates[0], (CreateReplica{Id("i"), 7, 7, "a", {{kGiB, 50}}}));
}

TEST(Schedule, DoesNotPromiseTheSameRoomTwice) {
  const auto snapshot =
      SnapshotBuilder().WithNode("a", kGiB).WithInstance("i", 1, kGiB).WithInstance("j", 1, kGiB).Build();
  EXPECT_EQ(Words(snapshot), "+a ?1");
}

TEST(Schedule, StopsSurplusThatDoesNotAnswerFirst) {
  EXPECT_EQ(Words(TwoNodes()
                      .WithInstance("i", 1, kGiB)
                      .WithReplica("r1", "i", "a", kStarting)
                      .WithReplica("r2", "i", "b", kReady)
                      .Build()),
            "-r1");
}

TEST(Schedule, TakesASleepingReplicaForAReadyOne) {
  EXPECT_EQ(Words(TwoNodes().WithInstance("i", 1, kGiB).WithReplica("r1", "i", "a", kAsleep).Build()), "");
  EXPECT_EQ(Words(TwoNodes()
                      .WithInstance("i", 1, kGiB, 2)
                      .WithReplica("old1", "i", "a", kReady, 1)
                      .WithReplica("r1", "i", "b", kAsleep, 2)
                      .Build()),
            "-old1");
}

TEST(Schedule, MakesWayOnlyForWhatItDoesNotShare) {
  // Old and new share 1 GiB of weights, which stay: what the old one frees is its own part alone.
  auto builder = SnapshotBuilder().WithNode("a", 2 * kGiB).WithReplica("old1", "i", "a", kReady, 1);
  builder.last_replica().demand = {{kGiB / 2, 50}, "w", kGiB, 0};
  builder.WithInstance("i", 1, 0, 2).last_instance().demand = {{kGiB, 50}, "w", kGiB, 0};
  EXPECT_EQ(Words(builder.Build()), "-old1 ?1");
  builder.last_instance().demand.own.memory_bytes = kGiB + 1;
  EXPECT_EQ(Words(builder.Build()), "?1") << "stopping it would not make enough room";
}

TEST(Schedule, StartsTheNewGenerationBesideTheOld) {
  EXPECT_EQ(Words(TwoNodes().WithInstance("i", 1, kGiB, 2).WithReplica("old1", "i", "a", kReady, 1).Build()), "+b");
}

TEST(Schedule, StopsTheOldGenerationOnceTheNewAnswers) {
  auto builder = TwoNodes().WithInstance("i", 1, kGiB, 2).WithReplica("old1", "i", "a", kReady, 1);
  EXPECT_EQ(Words(SnapshotBuilder(builder).WithReplica("r1", "i", "b", kStarting, 2).Build()), "");
  EXPECT_EQ(Words(SnapshotBuilder(builder).WithReplica("r1", "i", "b", kReady, 2).Build()), "-old1");
}

TEST(Schedule, MakesWayOneByOneWhereOldAndNewDoNotFitTogether) {
  auto builder = SnapshotBuilder().WithNode("a", 2 * kGiB).WithInstance("i", 2, kGiB, 2);
  EXPECT_EQ(Words(SnapshotBuilder(builder)
                      .WithReplica("old1", "i", "a", kReady, 1)
                      .WithReplica("old2", "i", "a", kReady, 1)
                      .Build()),
            "-old1 ?2");
  EXPECT_EQ(Words(SnapshotBuilder(builder)
                      .WithReplica("old1", "i", "a", kStopping, 1)
                      .WithReplica("old2", "i", "a", kReady, 1)
                      .Build()),
            "?2");
  EXPECT_EQ(Words(SnapshotBuilder(builder)
                      .WithReplica("r1", "i", "a", kStarting, 2)
                      .WithReplica("old2", "i", "a", kReady, 1)
                      .Build()),
            "?1");
  EXPECT_EQ(Words(SnapshotBuilder(builder)
                      .WithReplica("r1", "i", "a", kReady, 2)
                      .WithReplica("old2", "i", "a", kReady, 1)
                      .Build()),
            "-old2 ?1");
}

TEST(Schedule, KeepsTheOldGenerationWhenStoppingItWouldNotHelp) {
  EXPECT_EQ(Words(SnapshotBuilder()
                      .WithNode("a", 2 * kGiB)
                      .WithInstance("i", 1, 3 * kGiB, 2)
                      .WithReplica("old1", "i", "a", kReady, 1)
                      .Build()),
            "?1");
}

TEST(Schedule, WaitsForALostNodeUntilTheGraceIsOver) {
  const auto at = [](seconds silent) {
    return Words(SnapshotBuilder()
                     .WithNode("a", 4 * kGiB, silent)
                     .WithNode("b", 4 * kGiB)
                     .WithInstance("i", 1, kGiB)
                     .WithReplica("r1", "i", "a", kReady)
                     .Build());
  };
  EXPECT_EQ(at(seconds(7)), "");
  EXPECT_EQ(at(seconds(30)), "");
  EXPECT_EQ(at(seconds(31)), "+b");
}

TEST(Schedule, StopsALostReplicaOnlyWhenItsReplacementAnswers) {
  auto builder = SnapshotBuilder()
                     .WithNode("a", 4 * kGiB, seconds(60))
                     .WithNode("b", 4 * kGiB)
                     .WithInstance("i", 1, kGiB)
                     .WithReplica("r1", "i", "a", kReady);
  EXPECT_EQ(Words(SnapshotBuilder(builder).WithReplica("r2", "i", "b", kStarting).Build()), "");
  EXPECT_EQ(Words(SnapshotBuilder(builder).WithReplica("r2", "i", "b", kReady).Build()), "-r1");
}

TEST(Schedule, KeepsWhatItHasWhenThereIsNoOtherNode) {
  EXPECT_EQ(Words(SnapshotBuilder()
                      .WithNode("a", 4 * kGiB, seconds(60))
                      .WithInstance("i", 1, kGiB)
                      .WithReplica("r1", "i", "a", kReady)
                      .Build()),
            "?1");
}

TEST(Schedule, ReplacesAFailedReplicaElsewhereAfterTheGrace) {
  const auto after = [](seconds age) {
    return Words(TwoNodes().WithInstance("i", 1, kGiB).WithReplica("r1", "i", "a", kFailed, 1, kGiB, age).Build());
  };
  EXPECT_EQ(after(seconds(29)), "");
  EXPECT_EQ(after(seconds(31)), "+b");
}

TEST(Schedule, StopsAtOnceWhatStandsOutsideTheResidency) {
  EXPECT_EQ(Words(SnapshotBuilder()
                      .WithNode("a", 4 * kGiB, {}, "tz-1")
                      .WithNode("b", 4 * kGiB)
                      .WithInstance("i", 1, kGiB)
                      .WithReplica("r1", "i", "a", kReady)
                      .Build()),
            "+b -r1");
}

TEST(Schedule, StopsWhatIsRefusedAndPlacesNoneInItsPlace) {
  auto builder = TwoNodes().WithInstance("i", 2, kGiB);
  builder.last_instance().refused = "the tenant is suspended";
  builder.WithReplica("r1", "i", "a", kReady).WithInstance("other", 1, kGiB);
  const Plan plan = Schedule(builder.Build());
  ASSERT_EQ(plan.stops.size(), 1U);
  EXPECT_EQ(plan.stops[0].replica, Id("r1"));
  EXPECT_EQ(plan.stops[0].reason, "the tenant is suspended");
  ASSERT_EQ(plan.creates.size(), 1U);
  EXPECT_EQ(plan.creates[0].instance, Id("other"));
  EXPECT_TRUE(plan.unplaced.empty()) << "it does not wait for room";
}

TEST(Schedule, StopsAndThenForgetsTheReplicasOfADeletedInstance) {
  auto builder = TwoNodes().WithInstance("i", 2, kGiB);
  builder.last_instance().deleting = true;
  builder.WithReplica("r1", "i", "a", kReady)
      .WithReplica("r2", "i", "b", kStopping)
      .WithReplica("r3", "i", "b", kStopped);
  EXPECT_EQ(Words(builder.Build()), "-r1 xr3");
}

TEST(Schedule, ForgetsAStoppingReplicaWhoseNodeNeverComesBack) {
  const auto at = [](seconds silent) {
    auto builder = SnapshotBuilder().WithNode("a", kGiB, silent).WithInstance("i", 1, kGiB);
    builder.last_instance().deleting = true;
    return Words(builder.WithReplica("r1", "i", "a", kStopping).Build());
  };
  EXPECT_EQ(at(seconds(10)), "");
  EXPECT_EQ(at(seconds(31)), "xr1");
}

SnapshotBuilder Pooled(SnapshotBuilder builder, int replicas, std::int64_t generation = 1) {
  builder.WithInstance("i", replicas, kGiB, generation);
  builder.last_instance().one_per_node = true;
  return builder;
}

TEST(Schedule, PlacesAPooledInstanceOnceOnEachNode) {
  EXPECT_EQ(Words(Pooled(TwoNodes(), 2).Build()), "+a +b");
  const Snapshot short_of_nodes = Pooled(TwoNodes(), 3).Build();
  EXPECT_EQ(Words(short_of_nodes), "+a +b ?1");
  EXPECT_EQ(Schedule(short_of_nodes).unplaced.at(0).reason,
            "region ke-1 has 2 nodes; the pooled class holds an instance once on each");
  EXPECT_EQ(Words(Pooled(TwoNodes(), 2).WithReplica("r1", "i", "a", kStarting).Build()), "+b");
}

TEST(Schedule, TakesASecondReplicaOutOfAPool) {
  auto one_node = [] { return Pooled(SnapshotBuilder().WithNode("a", 8 * kGiB), 2); };
  EXPECT_EQ(Words(one_node().WithReplica("r1", "i", "a", kReady).WithReplica("r2", "i", "a", kStarting).Build()),
            "-r2 ?1");
  EXPECT_EQ(Words(one_node().WithReplica("r1", "i", "a", kStarting).WithReplica("r2", "i", "a", kStarting).Build()),
            "-r1 ?1")
      << "neither answers: the node gives the place to the newest";
  EXPECT_EQ(Words(one_node().WithReplica("r1", "i", "a", kFailed).WithReplica("r2", "i", "a", kReady).Build()),
            "-r1 ?1")
      << "one that was refused its place for long is surplus too";
}

TEST(Schedule, RollsAPooledInstanceOnTheNodeThatItIsOn) {
  const auto one_node = [] { return Pooled(SnapshotBuilder().WithNode("a", 8 * kGiB), 1, 2); };
  EXPECT_EQ(Words(one_node().WithReplica("old1", "i", "a", kReady, 1).Build()), "+a");
  EXPECT_EQ(Words(one_node().WithReplica("old1", "i", "a", kFailed, 1).WithReplica("r1", "i", "a", kReady, 2).Build()),
            "-old1");
}

TEST(Schedule, LeavesANodeAloneWhoseListsAreFull) {
  Snapshot snapshot = TwoNodes().WithInstance("i", 1, kGiB).WithReplica("r1", "j", "a", kReady).Build();
  snapshot.neighbours = std::exchange(snapshot.replicas, {});
  snapshot.policy.node_replicas_max = 1;
  EXPECT_EQ(Words(snapshot), "+b");
  snapshot.nodes.pop_back();
  EXPECT_EQ(Schedule(snapshot).unplaced.at(0).reason,
            "region ke-1 has 1 node; it has 1 replicas, the most that one node takes");
}

TEST(Schedule, LeavesAPoolAloneThatHasAllTheMembersItTakes) {
  Snapshot snapshot = SnapshotBuilder().WithNode("a", 8 * kGiB).WithReplica("r1", "j", "a", kReady).Build();
  snapshot.replicas[0].demand = {{0, 5}, "w", kGiB, kGiB};
  snapshot.neighbours = std::exchange(snapshot.replicas, {});
  snapshot.instances = {{Id("i"), 1, 1, "ke-1", {{"ke"}}, 1, {{0, 5}, "w", kGiB, kGiB}, false, true}};
  snapshot.policy.pool_members_max = 2;
  EXPECT_EQ(Words(snapshot), "+a");
  snapshot.policy.pool_members_max = 1;
  EXPECT_EQ(Schedule(snapshot).unplaced.at(0).reason,
            "region ke-1 has 1 node; its pool of this model has 1 members, the most that one takes");
  snapshot.instances[0].demand.pool_bytes = 0;
  EXPECT_EQ(Words(snapshot), "+a") << "a worker of its own needs no place in the pool";
}

TEST(Schedule, LetsNeighboursKeepTheirRoomAndDecidesNothingAboutThem) {
  Snapshot snapshot = SnapshotBuilder().WithNode("a", 2 * kGiB).WithInstance("i", 1, 2 * kGiB).Build();
  EXPECT_EQ(Words(snapshot), "+a");
  snapshot.neighbours = SnapshotBuilder().WithReplica("r1", "j", "a", kReady).Build().replicas;
  EXPECT_EQ(Words(snapshot), "?1");
}

TEST(Schedule, SaysWhenTimeAloneWillChangeItsMind) {
  const auto waits = [](const Snapshot& snapshot) {
    std::vector<seconds> out;
    for (const Waiting& waiting : Schedule(snapshot).waiting) {
      out.push_back(std::chrono::duration_cast<seconds>(waiting.until - snapshot.now));
    }
    return out;
  };
  const auto lost = [](seconds silent) { return SnapshotBuilder().WithNode("a", 4 * kGiB, silent); };
  const std::vector<seconds> nothing;
  EXPECT_EQ(waits(lost(seconds(10)).WithInstance("i", 1, kGiB).WithReplica("r1", "i", "a", kReady).Build()),
            std::vector{seconds(20)});
  EXPECT_EQ(waits(lost(seconds(31)).WithInstance("i", 1, kGiB).WithReplica("r1", "i", "a", kReady).Build()), nothing);
  EXPECT_EQ(waits(lost(seconds(0))
                      .WithInstance("i", 1, kGiB)
                      .WithReplica("r1", "i", "a", kFailed, 1, kGiB, seconds(5))
                      .Build()),
            std::vector{seconds(25)});
  EXPECT_EQ(waits(lost(seconds(0)).WithInstance("i", 1, kGiB).WithReplica("r1", "i", "a", kReady).Build()), nothing);
}

TEST(Schedule, StopsReplicasWithoutAnInstance) {
  EXPECT_EQ(Words(TwoNodes().WithReplica("r1", "gone", "a", kReady).Build()), "-r1");
}

}  // namespace
}  // namespace allod::scheduler::schedule_test
