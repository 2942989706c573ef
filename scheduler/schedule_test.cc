#include "scheduler/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "scheduler/snapshot_builder.h"

namespace allod::scheduler {
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

TEST(Schedule, StopsReplicasWithoutAnInstance) {
  EXPECT_EQ(Words(TwoNodes().WithReplica("r1", "gone", "a", kReady).Build()), "-r1");
}

}  // namespace
}  // namespace allod::scheduler
