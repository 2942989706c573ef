#include "scheduler/placement.h"

#include <gtest/gtest.h>

#include "scheduler/testing/snapshot_builder.h"

namespace allod::scheduler::placement_test {
namespace {

using std::chrono::seconds;

std::string PlaceOrReason(const Snapshot& snapshot, const std::set<std::string>& excluded = {}) {
  const auto placed = Pool(snapshot).Place(snapshot.instances.back(), excluded);
  return placed ? *placed : "refused: " + placed.error();
}

TEST(Place, TakesTheNodeWithTheLeastMemoryLeftOver) {
  EXPECT_EQ(
      PlaceOrReason(
          SnapshotBuilder().WithNode("big", 8 * kGiB).WithNode("small", 2 * kGiB).WithInstance("i", 1, kGiB).Build()),
      "small");
}

TEST(Place, SpreadsReplicasOfOneInstanceBeforePacking) {
  EXPECT_EQ(PlaceOrReason(SnapshotBuilder()
                              .WithNode("a", 8 * kGiB)
                              .WithNode("b", 16 * kGiB)
                              .WithInstance("i", 2, kGiB)
                              .WithReplica("r", "i", "a", ReplicaState::kReady)
                              .Build()),
            "b");
}

TEST(Place, SaysHowMuchMemoryIsShort) {
  EXPECT_EQ(PlaceOrReason(SnapshotBuilder()
                              .WithNode("a", 2 * kGiB)
                              .WithInstance("j", 1, kGiB)
                              .WithReplica("r", "j", "a", ReplicaState::kReady, 1, kGiB * 6 / 5)
                              .WithInstance("i", 1, kGiB * 6 / 5)
                              .Build()),
            "refused: region ke-1 has 1 node; needs 1.2 GiB, 0.8 GiB free");
}

TEST(Place, CountsReplicasThatAreStillStopping) {
  EXPECT_EQ(PlaceOrReason(SnapshotBuilder()
                              .WithNode("a", kGiB)
                              .WithReplica("r", "j", "a", ReplicaState::kStopping)
                              .WithInstance("i", 1, kGiB)
                              .Build()),
            "refused: region ke-1 has 1 node; needs 1.0 GiB, 0 MiB free");
}

Demand Sharing(std::int64_t own_bytes, std::int64_t weights_bytes) { return {{own_bytes, 50}, "w", weights_bytes, 0}; }

TEST(Place, CountsSharedWeightsOnce) {
  SnapshotBuilder builder;
  builder.WithNode("a", 2 * kGiB).WithReplica("r", "j", "a", ReplicaState::kReady).WithInstance("i", 1, 0);
  builder.last_replica().demand = builder.last_instance().demand = Sharing(kGiB / 4, kGiB);
  EXPECT_EQ(PlaceOrReason(builder.Build()), "a");
  builder.last_instance().demand.shared_key = "other";
  EXPECT_EQ(PlaceOrReason(builder.Build()), "refused: region ke-1 has 1 node; needs 1.2 GiB, 0.8 GiB free");
}

TEST(Place, PrefersANodeThatHoldsTheWeightsAlready) {
  SnapshotBuilder builder;
  builder.WithNode("a", 2 * kGiB).WithNode("b", 8 * kGiB).WithReplica("r", "j", "b", ReplicaState::kAsleep);
  builder.last_replica().demand = Sharing(kGiB / 4, kGiB);
  builder.WithInstance("i", 1, 0).last_instance().demand = Sharing(kGiB / 4, kGiB);
  EXPECT_EQ(PlaceOrReason(builder.Build()), "b");
}

TEST(Place, NamesTheLeastThatWouldHelp) {
  SnapshotBuilder builder;
  builder.WithNode("a", 2 * kGiB).WithReplica("r", "j", "a", ReplicaState::kReady);
  builder.last_replica().demand = Sharing(kGiB / 2, kGiB);
  builder.WithInstance("i", 1, 0).last_instance().demand = Sharing(kGiB, kGiB);
  EXPECT_EQ(PlaceOrReason(builder.Build()), "refused: region ke-1 has 1 node; needs 1.0 GiB, 0.5 GiB free");
}

TEST(Place, SaysWhenComputeIsShort) {
  EXPECT_EQ(PlaceOrReason(SnapshotBuilder().WithNode("a", kGiB, {}, "ke-1", 40).WithInstance("i", 1, kGiB).Build()),
            "refused: region ke-1 has 1 node; needs 50 thousandths of a core, 40 free");
}

TEST(Place, SaysWhenNoNodeReports) {
  EXPECT_EQ(PlaceOrReason(SnapshotBuilder().WithNode("a", kGiB, seconds(7)).WithInstance("i", 1, kGiB).Build()),
            "refused: region ke-1 has 1 node; it does not report");
  EXPECT_EQ(PlaceOrReason(SnapshotBuilder().WithInstance("i", 1, kGiB).Build()), "refused: region ke-1 has no node");
}

TEST(Place, FailsClosedOnARegionThatIsNotDeclared) {
  SnapshotBuilder builder;
  builder.WithNode("a", kGiB, {}, "atlantis").WithInstance("i", 1, kGiB).last_instance().region = "atlantis";
  EXPECT_EQ(PlaceOrReason(builder.Build()), "refused: region atlantis is not declared in this installation");
}

TEST(Place, RefusesARegionOutsideTheResidency) {
  SnapshotBuilder builder;
  builder.WithNode("a", kGiB, {}, "tz-1").WithInstance("i", 1, kGiB).last_instance().region = "tz-1";
  EXPECT_EQ(
      PlaceOrReason(builder.Build()),
      "refused: region tz-1 lies in jurisdiction tz, outside the tenant's residency (ke), which holds for WEIGHTS");
  builder.last_instance().residency = {};
  EXPECT_NE(PlaceOrReason(builder.Build()), "a");
}

TEST(Place, AsksForEachClassThatIsOnANode) {
  SnapshotBuilder builder;
  builder.WithNode("a", kGiB, {}, "tz-1").WithInstance("i", 1, kGiB).last_instance().region = "tz-1";
  ResidencyRules& residency = builder.last_instance().residency;
  residency = {{"ke", "tz"}, {{DataClass::kKvCache, {"ke"}}}};
  EXPECT_EQ(PlaceOrReason(builder.Build()),
            "refused: region tz-1 lies in jurisdiction tz, outside the tenant's residency rule for KV_CACHE (ke)");
  residency = {{"ke"}, {{DataClass::kKvCache, {"tz"}}, {DataClass::kPrompts, {"tz"}}, {DataClass::kWeights, {"tz"}}}};
  EXPECT_EQ(PlaceOrReason(builder.Build()), "a");
  residency = {{"ke", "tz"}, {{DataClass::kUsage, {"ke"}}}};
  EXPECT_EQ(PlaceOrReason(builder.Build()), "a") << "usage is not on nodes";
}

TEST(Place, LeavesOutANodeThatStandsElsewhereThanItsRegion) {
  SnapshotBuilder builder;
  builder.WithNode("a", kGiB).WithNode("b", 8 * kGiB).WithInstance("i", 1, kGiB);
  Snapshot snapshot = builder.Build();
  snapshot.nodes[0].jurisdiction = "tz";
  EXPECT_EQ(PlaceOrReason(snapshot), "b");
  snapshot.nodes[1].jurisdiction = "ke";
  EXPECT_EQ(PlaceOrReason(snapshot), "b");
  snapshot.nodes[1].jurisdiction = "";
  EXPECT_EQ(PlaceOrReason(snapshot),
            "refused: region ke-1 has 2 nodes; node b does not say in which jurisdiction it stands");
  snapshot.nodes[1].jurisdiction = "ug";
  EXPECT_EQ(PlaceOrReason(snapshot),
            "refused: region ke-1 has 2 nodes; node b says that it stands in jurisdiction ug, and its region ke-1 lies "
            "in ke");
}

TEST(FormatBytes, UsesBinaryUnits) {
  EXPECT_EQ(FormatBytes(0), "0 MiB");
  EXPECT_EQ(FormatBytes(1), "1 MiB");
  EXPECT_EQ(FormatBytes(kGiB * 8 / 10), "0.8 GiB");
  EXPECT_EQ(FormatBytes(kGiB * 12), "12.0 GiB");
}

}  // namespace
}  // namespace allod::scheduler::placement_test
