// What services/scheduling/store.h promises of plans: leases, epochs, observations.
#include "tests/contract/scheduling_store_harness.h"

namespace allod::scheduling::scheduling_store_plans_test {
namespace {

class SchedulingStorePlans : public SchedulingStoreTest {};

TEST_P(SchedulingStorePlans, PlacesAReplicaWithALease) {
  Join("n", 1000 * kMiB);
  const Instance instance = Created("a");
  EXPECT_EQ(Apply({.creates = {OnNode(instance, "n")}}).created, 1);
  const Instance placed = Again(instance);
  ASSERT_EQ(placed.replicas.size(), 1u);
  EXPECT_EQ(placed.replicas[0].placement.state, ReplicaState::kPending);
  EXPECT_EQ(placed.replicas[0].placement.demand, instance.current().demand);
  EXPECT_GT(placed.replicas[0].placement.epoch, 0);
  const auto nodes = store().ListNodes();
  ASSERT_EQ(nodes->size(), 1u);
  EXPECT_EQ(nodes->at(0).allocated, instance.current().demand.Alone());
  EXPECT_EQ(nodes->at(0).worker_count, 1);
}

TEST_P(SchedulingStorePlans, LoadsOneInstanceAsItLoadsAll) {
  Join("n", 1000 * kMiB);
  const Instance instance = Created("a");
  Created("b");
  const Applied applied = Apply({.creates = {OnNode(instance, "n")}});
  ASSERT_EQ(applied.epochs.size(), 1u);
  const auto one = store().LoadInstance(ke_, instance.name);
  ASSERT_TRUE(one) << one.error().message;
  ASSERT_EQ(one->instances.size(), 1u);
  EXPECT_EQ(one->instances[0].id, instance.id);
  ASSERT_EQ(one->instances[0].replicas.size(), 1u);
  EXPECT_EQ(one->instances[0].replicas[0].placement.epoch, applied.epochs.begin()->second);
  ASSERT_EQ(one->open_operations.size(), 1u);
  EXPECT_EQ(one->open_operations[0].instance, instance.id);
  EXPECT_TRUE(store().LoadInstance(tz_, instance.name)->instances.empty()) << "another tenant sees nothing of it";
  EXPECT_TRUE(store().LoadInstance(ke_, instance.name + "x")->open_operations.empty());
}

TEST_P(SchedulingStorePlans, KeepsClassSleepAndSharedMemoryOfARevision) {
  for (const auto isolation : {IsolationClass::kIsolated, IsolationClass::kPooled, IsolationClass::kDedicated}) {
    NewInstance asked = MakeInstance(NameOf(isolation));
    asked.revision.spec.isolation_class = isolation;
    asked.revision.spec.sleep_after_seconds = 90;
    if (isolation != IsolationClass::kDedicated) {
      asked.revision.demand = {{kMiB, 5}, asked.revision.artifact_sha256, 64 * kMiB, 32 * kMiB};
    }
    const auto made = store().CreateInstance(asked, {});
    ASSERT_TRUE(made) << made.error().message;
    Revision expected = asked.revision;
    expected.generation = 1;
    EXPECT_EQ(store().GetInstance(ke_, asked.name)->current(), expected) << NameOf(isolation);
  }
}

TEST_P(SchedulingStorePlans, CountsWhatReplicasShareOnce) {
  Join("n", 150 * kMiB);
  std::vector<Instance> instances;
  for (const char* id : {"a", "b", "c", "d"}) {
    NewInstance asked = MakeInstance(id);
    // 100 MiB of weights together, and 20 MiB each.
    asked.revision.demand = {{20 * kMiB, 50}, asked.revision.artifact_sha256, 100 * kMiB, 0};
    ASSERT_TRUE(store().CreateInstance(asked, {}));
    instances.push_back(*store().GetInstance(ke_, asked.name));
  }
  EXPECT_EQ(Apply({.creates = {OnNode(instances[0], "n"), OnNode(instances[1], "n")}}).created, 2);
  EXPECT_EQ(store().ListNodes()->at(0).allocated, (scheduler::Resources{140 * kMiB, 100}));
  EXPECT_EQ(Apply({.creates = {OnNode(instances[2], "n")}}).dropped, 1) << "10 MiB are left";
  NewReplica slim = OnNode(instances[3], "n");
  slim.create.demand.own.memory_bytes = 10 * kMiB;
  EXPECT_EQ(Apply({.creates = {slim}}).created, 1);
  EXPECT_EQ(store().ListNodes()->at(0).allocated.memory_bytes, 150 * kMiB);
}

TEST_P(SchedulingStorePlans, RemembersThatAReplicaSleeps) {
  Join("n", 1000 * kMiB);
  const Instance instance = Created("a");
  Apply({.creates = {OnNode(instance, "n")}});
  const auto placement = Again(instance).replicas[0].placement;
  EXPECT_EQ(Apply({.observations = {{placement.id, placement.epoch, ReplicaState::kAsleep, "unix:/w", "", 1}}}).dropped,
            0);
  EXPECT_EQ(Again(instance).replicas[0].placement.state, ReplicaState::kAsleep);
  EXPECT_EQ(Again(instance).replicas[0].target, "unix:/w");
}

TEST_P(SchedulingStorePlans, DropsACreateThatWasPlannedOnAnOlderVersion) {
  Join("n", 1000 * kMiB);
  const Instance instance = Created("a");
  ASSERT_TRUE(store().UpdateInstance({ke_, Uuid::V7(), instance.name, EtagOf(instance), MakeRevision("q8_0")}, {}));
  const Applied applied = Apply({.creates = {OnNode(instance, "n")}});
  EXPECT_EQ(applied.created, 0);
  EXPECT_EQ(applied.dropped, 1);
  EXPECT_TRUE(Again(instance).replicas.empty());
}

TEST_P(SchedulingStorePlans, DropsACreateForWhichAnotherTenantTookTheRoom) {
  Join("n", 150 * kMiB);
  const Instance ours = Created("a");
  const Instance theirs = Created("a", "tenants/tz");
  EXPECT_EQ(Apply({.creates = {OnNode(theirs, "n")}}, tz_).created, 1);
  EXPECT_EQ(Apply({.creates = {OnNode(ours, "n")}}).dropped, 1);
}

TEST_P(SchedulingStorePlans, NeverPromisesRoomTwiceToConcurrentPlans) {
  Join("n", 150 * kMiB);
  const Instance ours = Created("a");
  const Instance theirs = Created("a", "tenants/tz");
  Applied one;
  std::thread other([&] { one = Apply({.creates = {OnNode(theirs, "n")}}, tz_); });
  const Applied two = Apply({.creates = {OnNode(ours, "n")}});
  other.join();
  EXPECT_EQ(one.created + two.created, 1);
}

TEST_P(SchedulingStorePlans, RefusesObservationsAndStopsOfOlderEpochs) {
  Join("n", 1000 * kMiB);
  const Instance instance = Created("a");
  Apply({.creates = {OnNode(instance, "n")}});
  const auto placement = Again(instance).replicas[0].placement;
  Observation seen{placement.id, placement.epoch - 1, ReplicaState::kReady, "unix:/w", "", 1};
  EXPECT_EQ(Apply({.observations = {seen}}).dropped, 1);
  EXPECT_EQ(Apply({.stops = {{placement.id, placement.epoch - 1, "x"}}}).dropped, 1);
  EXPECT_EQ(Again(instance).replicas[0].placement.state, ReplicaState::kPending);
  seen.epoch = placement.epoch;
  EXPECT_EQ(Apply({.observations = {seen}}).dropped, 0);
  EXPECT_EQ(Again(instance).replicas[0].placement.state, ReplicaState::kReady);
  EXPECT_EQ(Again(instance).replicas[0].target, "unix:/w");
}

TEST_P(SchedulingStorePlans, KeepsAStoppingReplicaStoppingUntilItIsGone) {
  Join("n", 1000 * kMiB);
  const Instance instance = Created("a");
  Apply({.creates = {OnNode(instance, "n")}});
  const auto placement = Again(instance).replicas[0].placement;
  EXPECT_EQ(Apply({.removes = {{placement.id, placement.epoch}}}).dropped, 1) << "it runs";
  EXPECT_EQ(Apply({.stops = {{placement.id, placement.epoch, "x"}}}).dropped, 0);
  EXPECT_EQ(Apply({.observations = {{placement.id, placement.epoch, ReplicaState::kReady, "unix:/w", "", 1}}}).dropped,
            1);
  EXPECT_EQ(Again(instance).replicas[0].placement.state, ReplicaState::kStopping);
  EXPECT_EQ(Apply({.observations = {{placement.id, placement.epoch, ReplicaState::kStopped, "", "", 1}}}).dropped, 0);
  EXPECT_EQ(Apply({.removes = {{placement.id, placement.epoch}}}).dropped, 0);
  EXPECT_TRUE(Again(instance).replicas.empty());
  EXPECT_EQ(store().ListNodes()->at(0).allocated, scheduler::Resources{}) << "the lease went with it";
}

TEST_P(SchedulingStorePlans, WritesStatusOnlyForTheVersionItWasComputedFor) {
  const Instance instance = Created("a");
  const InstanceStatus ready{InstanceState::kReady, 1, 1, "fine"};
  EXPECT_EQ(Apply({.statuses = {{instance.id, instance.version + 1, ready}}}).dropped, 1);
  EXPECT_EQ(Apply({.statuses = {{instance.id, instance.version, ready}}}).dropped, 0);
  EXPECT_EQ(Again(instance).status, ready);
}

TEST_P(SchedulingStorePlans, FinishesAnOperationOnce) {
  const NewInstance asked = MakeInstance("a");
  ASSERT_TRUE(store().CreateInstance(asked, {}));
  EXPECT_EQ(Apply({.operations = {{asked.operation, "starting 0/1", false}}}).dropped, 0);
  EXPECT_EQ(store().GetOperation(ke_, asked.operation)->phase, "starting 0/1");
  EXPECT_EQ(Apply({.operations = {{asked.operation, "ready", true}}}).dropped, 0);
  EXPECT_TRUE(store().GetOperation(ke_, asked.operation)->done);
  EXPECT_EQ(Apply({.operations = {{asked.operation, "placing", false}}}).dropped, 1);
  EXPECT_TRUE(store().LoadTenant(ke_)->open_operations.empty());
}

TEST_P(SchedulingStorePlans, PurgesATenantStepByStepAndNobodyElse) {
  Join("n", 1000 * kMiB);
  const Instance a = Created("a");
  Created("b");
  const Instance others = Created("a", "tenants/tz");
  const NewReplica replica = OnNode(a, "n");
  ASSERT_EQ(Apply({.creates = {replica}}).created, 1);
  const std::int64_t epoch = Again(a).replicas.at(0).placement.epoch;
  EXPECT_TRUE(store().PurgeTenant(ke_, 1)->marked);
  EXPECT_TRUE(store().PurgeTenant(ke_, 1)->marked) << "one in a step";
  for (const char* id : {"a", "b"}) {
    const auto instance = store().GetInstance(ke_, std::string("tenants/ke/projects/p/instances/") + id);
    ASSERT_TRUE(instance);
    EXPECT_TRUE(instance->deleting) << id;
    EXPECT_EQ(instance->status.state, InstanceState::kDeleting);
  }
  EXPECT_TRUE(store().LoadTenant(ke_)->open_operations.empty()) << "what was under way has failed";
  EXPECT_TRUE(store().PurgeTenant(ke_, 1)->waits) << "for the worker";
  Apply({.stops = {{replica.id, epoch, "deleted"}}});
  Apply({.removes = {{replica.id, epoch}}});
  Apply({.gone = {a.id, store().GetInstance(ke_, "tenants/ke/projects/p/instances/b")->id}});
  EXPECT_FALSE(store().GetInstance(ke_, a.name));
  int steps = 0;
  while (!store().PurgeTenant(ke_, 1)->gone) ASSERT_LT(++steps, 10);
  EXPECT_GE(steps, 2) << "an operation in a step";
  EXPECT_TRUE(store().PurgeTenant(ke_, 1)->gone) << "again and again";
  EXPECT_EQ(CountOperations(), 0U);
  const auto left = store().ListChanged("", std::nullopt, 10)->tenants;
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].tenant, tz_);
  EXPECT_FALSE(Again(others).deleting);
  EXPECT_EQ(store().ListNodes()->at(0).worker_count, 0);
}

TEST_P(SchedulingStorePlans, KeepsWhatTenancySaidOfTenants) {
  const auto sorted = [&] {
    auto terms = store().ListTerms().value();
    std::ranges::sort(terms, {}, &TenantTerms::tenant);
    return terms;
  };
  EXPECT_TRUE(sorted().empty());
  const TenantTerms ke{
      ke_, true, 3, {{"ke", "tz"}, {{DataClass::kKvCache, {"ke"}}, {DataClass::kUsage, {"tz", "ug"}}}}};
  const TenantTerms tz{tz_, false, 1, {{"tz"}}, true};
  std::vector<TenantTerms> both{ke, tz};
  std::ranges::sort(both, {}, &TenantTerms::tenant);
  ASSERT_TRUE(store().SaveTerms({ke, tz}, {}));
  EXPECT_EQ(sorted(), both);
  const TenantTerms again{ke_, false, 1000, {{"ug"}}};
  ASSERT_TRUE(store().SaveTerms({again}, {tz_}));
  EXPECT_EQ(sorted(), std::vector<TenantTerms>{again});
  ASSERT_TRUE(store().SaveTerms({}, {tz_}));
  std::vector<TenantTerms> many;
  for (int i = 0; i < 10'000; ++i) {
    many.push_back({*TenantId::FromName("tenants/t" + std::to_string(i)), true, 1, {{"ke"}}});
  }
  ASSERT_TRUE(store().SaveTerms(many, {ke_}));
  EXPECT_EQ(sorted().size(), many.size());
}

TEST_P(SchedulingStorePlans, AStoppedInstanceSaysByWhichRuleAndItsOperationFails) {
  const Instance instance = Created("a");
  const auto open = store().LoadTenant(ke_)->open_operations;
  ASSERT_EQ(open.size(), 1u);
  const InstanceStatus stopped{InstanceState::kStopped, 0, 0, "the tenant is suspended", "TENANT_SUSPENDED"};
  const Error error{Code::kFailedPrecondition, "TENANT_SUSPENDED", "it cannot run now"};
  EXPECT_EQ(Apply({.statuses = {{instance.id, instance.version, stopped}},
                   .operations = {{open[0].id, "stopped", true, error}}})
                .dropped,
            0);
  EXPECT_EQ(Again(instance).status, stopped);
  const auto ended = store().GetOperation(ke_, open[0].id);
  ASSERT_TRUE(ended);
  EXPECT_TRUE(ended->done);
  ASSERT_TRUE(ended->error);
  EXPECT_EQ(ended->error->code, Code::kFailedPrecondition);
  EXPECT_EQ(ended->error->reason, "TENANT_SUSPENDED");
  EXPECT_EQ(ended->error->message, "it cannot run now");

  const auto again = store().CreateInstance(MakeInstance("a"), {});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_NE(again->id, open[0].id) << "the failed one does not answer for what stands";
  EXPECT_FALSE(again->done);
  EXPECT_EQ(store().CreateInstance(MakeInstance("a"), {})->id, again->id);
  Apply({.operations = {{again->id, "ready", true}}});
  EXPECT_FALSE(store().GetOperation(ke_, again->id)->error);

  const Instance standing = Again(instance);
  const auto updated =
      store().UpdateInstance({ke_, Uuid::V7(), standing.name, EtagOf(standing), MakeRevision("q8_0")}, {});
  ASSERT_TRUE(updated) << updated.error().message;
  EXPECT_EQ(Again(instance).status.state, InstanceState::kProvisioning);
  EXPECT_EQ(Again(instance).status.reason, "");
}

INSTANTIATE_TEST_SUITE_P(Stores, SchedulingStorePlans, EveryStore(), KindName);

}  // namespace
}  // namespace allod::scheduling::scheduling_store_plans_test
