#include "services/scheduling/apply_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

namespace allod::scheduling::apply_changes_test {
namespace {

using scheduler::ReplicaState;
using testing::IsEmpty;
using testing::SizeIs;

const Time kBefore{std::chrono::hours(1000)};
const Time kNow{std::chrono::hours(1001)};
constexpr std::int64_t kEpoch = 7;
constexpr std::int64_t kVersion = 3;

Uuid Id(const std::string& name) { return Uuid::FromName(name); }

// One instance `i` at version 3, generation 1, with an open operation `o` and, when `state` is given, a replica `r`.
TenantState Rows(std::optional<ReplicaState> state, bool deleting = false) {
  TenantState rows;
  Instance instance;
  instance.id = Id("i");
  instance.name = "tenants/ke/projects/p/instances/i";
  instance.generation = instance.template_generation = 1;
  instance.version = kVersion;
  instance.deleting = deleting;
  if (state) {
    Replica replica;
    replica.placement = {Id("r"), Id("i"), 1, "n", kEpoch, *state, kBefore, {}};
    replica.target = "unix:/old";
    instance.replicas.push_back(replica);
  }
  rows.instances.push_back(instance);
  Operation operation;
  operation.id = Id("o");
  operation.instance = Id("i");
  operation.phase = "placing";
  rows.open_operations.push_back(operation);
  return rows;
}

std::optional<std::int64_t> NoRoom(const NewReplica&) { return std::nullopt; }

ChangesApplied Apply(TenantState& rows, const Changes& changes) { return ApplyTo(rows, changes, kNow, NoRoom); }

const Replica& TheReplica(const TenantState& rows) { return rows.instances.at(0).replicas.at(0); }

struct ObservationCase {
  ReplicaState state;
  ReplicaState seen;
  std::int64_t epoch;
  bool holds;
  Time state_time;  // afterwards
};

TEST(ApplyObservation, FollowsWhatIsSeenButNotOutOfStopping) {
  for (const auto& [state, seen, epoch, holds, state_time] : {
           ObservationCase{ReplicaState::kPending, ReplicaState::kStarting, kEpoch, true, kNow},
           ObservationCase{ReplicaState::kReady, ReplicaState::kReady, kEpoch, true, kBefore},
           ObservationCase{ReplicaState::kReady, ReplicaState::kFailed, kEpoch, true, kNow},
           ObservationCase{ReplicaState::kReady, ReplicaState::kFailed, kEpoch - 1, false, kBefore},
           ObservationCase{ReplicaState::kReady, ReplicaState::kFailed, kEpoch + 1, false, kBefore},
           ObservationCase{ReplicaState::kStopping, ReplicaState::kReady, kEpoch, false, kBefore},
           ObservationCase{ReplicaState::kStopping, ReplicaState::kStopped, kEpoch, true, kNow},
       }) {
    SCOPED_TRACE(testing::Message() << static_cast<int>(state) << " seen " << static_cast<int>(seen) << " of "
                                    << epoch);
    TenantState rows = Rows(state);
    const auto done = Apply(rows, {.observations = {{Id("r"), epoch, seen, "unix:/new", "says", 2}}});
    EXPECT_EQ(done.applied.dropped, holds ? 0 : 1);
    EXPECT_EQ(TheReplica(rows).placement.state, holds ? seen : state);
    EXPECT_EQ(TheReplica(rows).placement.state_time, state_time);
    EXPECT_EQ(TheReplica(rows).target, holds ? "unix:/new" : "unix:/old");
    EXPECT_EQ(TheReplica(rows).start_count, holds ? 2 : 0);
  }
}

struct EndingCase {
  ReplicaState state;
  std::int64_t epoch;
  bool stops;
  bool removes;
};

TEST(ApplyStopAndRemove, StopOnceAndRemoveOnlyWhatIsEnding) {
  for (const auto& [state, epoch, stops, removes] : {
           EndingCase{ReplicaState::kPending, kEpoch, true, false},
           EndingCase{ReplicaState::kReady, kEpoch, true, false},
           EndingCase{ReplicaState::kFailed, kEpoch, true, false},
           EndingCase{ReplicaState::kStopping, kEpoch, false, true},
           EndingCase{ReplicaState::kStopped, kEpoch, false, true},
           EndingCase{ReplicaState::kReady, kEpoch - 1, false, false},
           EndingCase{ReplicaState::kStopped, kEpoch - 1, false, false},
       }) {
    SCOPED_TRACE(testing::Message() << static_cast<int>(state) << " of " << epoch);
    TenantState stopped = Rows(state);
    EXPECT_EQ(Apply(stopped, {.stops = {{Id("r"), epoch, "surplus"}}}).applied.dropped, stops ? 0 : 1);
    EXPECT_EQ(TheReplica(stopped).placement.state, stops ? ReplicaState::kStopping : state);
    EXPECT_EQ(TheReplica(stopped).target, stops ? "" : "unix:/old");
    EXPECT_EQ(TheReplica(stopped).message, stops ? "surplus" : "");
    TenantState removed = Rows(state);
    EXPECT_EQ(Apply(removed, {.removes = {{Id("r"), epoch}}}).applied.dropped, removes ? 0 : 1);
    EXPECT_THAT(removed.instances.at(0).replicas, SizeIs(removes ? 0 : 1));
  }
}

TEST(ApplyStopAndRemove, MeetEachOtherInOneChange) {
  TenantState rows = Rows(ReplicaState::kFailed);
  const auto done = Apply(rows, {.stops = {{Id("r"), kEpoch, "lost"}}, .removes = {{Id("r"), kEpoch}}});
  EXPECT_EQ(done.applied.dropped, 0);
  EXPECT_THAT(rows.instances.at(0).replicas, IsEmpty());
}

struct CreateCase {
  std::string instance;
  std::int64_t version;
  std::int64_t generation;
  bool deleting;
  std::optional<std::int64_t> epoch;  // that the node leases
  bool holds;
};

TEST(ApplyCreate, HoldsForTheVersionItWasPlannedFor) {
  for (const auto& [instance, version, generation, deleting, epoch, holds] : {
           CreateCase{"i", kVersion, 1, false, 12, true},
           CreateCase{"i", kVersion, 1, false, std::nullopt, false},
           CreateCase{"i", kVersion - 1, 1, false, 12, false},
           CreateCase{"i", kVersion, 2, false, 12, false},
           CreateCase{"i", kVersion, 1, true, 12, false},
           CreateCase{"other", kVersion, 1, false, 12, false},
       }) {
    SCOPED_TRACE(testing::Message() << instance << " " << version << " " << generation << " " << deleting);
    TenantState rows = Rows(std::nullopt, deleting);
    const scheduler::CreateReplica create{Id(instance), version, generation, "n", {{100, 5}}};
    const auto done = ApplyTo(rows, {.creates = {{Id("new"), create}}}, kNow, [&](const NewReplica& asked) {
      EXPECT_EQ(asked.id, Id("new"));
      return epoch;
    });
    EXPECT_EQ(done.applied.created, holds ? 1 : 0);
    EXPECT_EQ(done.applied.dropped, holds ? 0 : 1);
    EXPECT_THAT(done.applied.epochs, SizeIs(holds ? 1 : 0));
    ASSERT_THAT(rows.instances.at(0).replicas, SizeIs(holds ? 1 : 0));
    if (!holds) continue;
    const scheduler::Replica& made = TheReplica(rows).placement;
    EXPECT_EQ(made.id, Id("new"));
    EXPECT_EQ(made.instance, Id("i"));
    EXPECT_EQ(made.generation, 1);
    EXPECT_EQ(made.node, "n");
    EXPECT_EQ(made.epoch, 12);
    EXPECT_EQ(made.state, ReplicaState::kPending);
    EXPECT_EQ(made.state_time, kNow);
    EXPECT_EQ(made.demand, create.demand);
  }
}

TEST(ApplyCreate, AsksForALeaseOnlyWhenAllElseHolds) {
  TenantState rows = Rows(std::nullopt);
  int asked = 0;
  const scheduler::CreateReplica stale{Id("i"), kVersion - 1, 1, "n", {}};
  ApplyTo(rows, {.creates = {{Id("new"), stale}}}, kNow, [&](const NewReplica&) -> std::optional<std::int64_t> {
    ++asked;
    return 1;
  });
  EXPECT_EQ(asked, 0);
}

TEST(ApplyStatus, HoldsForTheVersionItWasSeenAt) {
  for (const auto& [version, holds] : {std::pair{kVersion, true}, std::pair{kVersion - 1, false}}) {
    TenantState rows = Rows(std::nullopt);
    const InstanceStatus status{InstanceState::kReady, 1, 1, "fine"};
    EXPECT_EQ(Apply(rows, {.statuses = {{Id("i"), version, status}}}).applied.dropped, holds ? 0 : 1);
    EXPECT_EQ(rows.instances.at(0).status, holds ? status : InstanceStatus());
  }
}

TEST(ApplyOperation, MovesAnOpenOneAndTakesOutOneThatEnds) {
  TenantState rows = Rows(std::nullopt);
  auto done = Apply(rows, {.operations = {{Id("o"), "starting", false}}});
  EXPECT_EQ(rows.open_operations.at(0).phase, "starting");
  EXPECT_THAT(done.ended, IsEmpty());

  done = Apply(rows, {.operations = {{Id("o"), "ready", true}}});
  EXPECT_THAT(rows.open_operations, IsEmpty());
  ASSERT_THAT(done.ended, SizeIs(1));
  EXPECT_EQ(done.ended[0].phase, "ready");
  EXPECT_TRUE(done.ended[0].done);

  EXPECT_EQ(Apply(rows, {.operations = {{Id("o"), "ready", true}}}).applied.dropped, 1) << "it is not open any more";
}

struct GoneCase {
  std::optional<ReplicaState> replica;
  bool deleting;
  bool holds;
};

TEST(ApplyGone, TakesADeletingInstanceThatHasNoReplicaAndEndsItsOperations) {
  for (const auto& [replica, deleting, holds] : {
           GoneCase{std::nullopt, true, true},
           GoneCase{std::nullopt, false, false},
           GoneCase{ReplicaState::kStopping, true, false},
       }) {
    TenantState rows = Rows(replica, deleting);
    const auto done = Apply(rows, {.gone = {Id("i")}});
    EXPECT_EQ(done.applied.dropped, holds ? 0 : 1);
    EXPECT_THAT(rows.instances, SizeIs(holds ? 0 : 1));
    EXPECT_THAT(rows.open_operations, SizeIs(holds ? 0 : 1));
    ASSERT_THAT(done.ended, SizeIs(holds ? 1 : 0));
    if (holds) {
      EXPECT_EQ(done.ended[0].phase, "deleted");
    }
  }
}

TEST(ApplyGone, GoesWithItsLastReplicaInOneChange) {
  TenantState rows = Rows(ReplicaState::kStopped, true);
  const auto done = Apply(rows, {.removes = {{Id("r"), kEpoch}}, .gone = {Id("i"), Id("i")}});
  EXPECT_EQ(done.applied.dropped, 1) << "the second time it is gone already";
  EXPECT_THAT(rows.instances, IsEmpty());
}

TEST(ApplyTo, LeavesEverythingElseAsItIs) {
  TenantState rows = Rows(ReplicaState::kReady);
  Instance neighbour = rows.instances[0];
  neighbour.id = Id("j");
  neighbour.name = "tenants/ke/projects/p/instances/j";
  neighbour.replicas[0].placement.id = Id("s");
  rows.instances.push_back(neighbour);
  Apply(rows, {.stops = {{Id("r"), kEpoch, "surplus"}}});
  ASSERT_THAT(rows.instances, SizeIs(2));
  EXPECT_EQ(rows.instances[1].replicas.at(0).placement.state, ReplicaState::kReady);
  EXPECT_EQ(rows.instances[1].replicas.at(0).target, "unix:/old");
}

}  // namespace
}  // namespace allod::scheduling::apply_changes_test
