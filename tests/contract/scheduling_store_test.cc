// What services/scheduling/store.h promises, held against the fake and against PostgreSQL.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "services/scheduling/fake_store.h"
#include "services/scheduling/pg_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/pg_fixture.h"

namespace allod::scheduling {
namespace {

using scheduler::ReplicaState;

constexpr std::int64_t kMiB = 1 << 20;

class Backend {
 public:
  virtual ~Backend() = default;
  virtual Store& store() = 0;
};

class FakeBackend final : public Backend {
 public:
  Store& store() override { return store_; }

 private:
  FakeClock clock_;
  FakeStore store_{clock_};
};

class PgBackend final : public Backend {
 public:
  Store& store() override { return store_; }

 private:
  TestDatabase database_{"scheduling"};
  PgPool pool_{database_.app_config()};
  PgStore store_{pool_};
};

struct Kind {
  std::string name;
  std::function<std::unique_ptr<Backend>()> make;
};

class SchedulingStoreTest : public testing::TestWithParam<Kind> {
 protected:
  static RequestId Request(const std::string& text, const std::string& payload = "p") {
    return {Uuid::FromName(text), std::string(64, payload[0])};
  }
  static Revision MakeRevision(const std::string& variant = "q4_k_m") {
    Revision revision;
    revision.spec = {
        "listings/l", "models/m/versions/1/variants/" + variant, "ke-1", IsolationClass::kIsolated, 1, 512, 2};
    revision.price_book = "priceBooks/b";
    revision.artifact_sha256 = std::string(64, 'a');
    revision.artifact_bytes = 1000;
    revision.trained_context_tokens = 1024;
    revision.residency = {"ke", "tz"};
    revision.demand = {{100 * kMiB, 50}};
    return revision;
  }
  static NewInstance MakeInstance(const std::string& id, const std::string& tenant = "tenants/ke") {
    NewInstance out;
    out.tenant = *TenantId::FromName(tenant);
    out.tenant_name = tenant;
    out.id = Uuid::V7();
    out.operation = Uuid::V7();
    out.name = tenant + "/projects/p/instances/" + id;
    out.revision = MakeRevision();
    return out;
  }
  Instance Created(const std::string& id, const std::string& tenant = "tenants/ke") {
    const NewInstance instance = MakeInstance(id, tenant);
    EXPECT_TRUE(store().CreateInstance(instance, {}));
    return *store().GetInstance(instance.tenant, instance.name);
  }
  void Join(const std::string& id, std::int64_t memory_bytes) {
    ASSERT_TRUE(store().JoinNode({id, "ke-1", scheduler::NodeState::kReady, {memory_bytes, 1000}, {}}));
  }
  static NewReplica OnNode(const Instance& instance, const std::string& node) {
    return {Uuid::V7(), {instance.id, instance.version, instance.template_generation, node, instance.current().demand}};
  }
  Instance Again(const Instance& instance) { return *store().GetInstance(instance.tenant, instance.name); }
  Applied Apply(const Changes& changes, const TenantId& tenant) {
    const auto applied = store().Apply(tenant, changes);
    EXPECT_TRUE(applied) << applied.error().message;
    return applied.value_or(Applied{});
  }
  Applied Apply(const Changes& changes) { return Apply(changes, ke_); }

  Store& store() { return backend_->store(); }

  std::unique_ptr<Backend> backend_ = GetParam().make();
  const TenantId ke_ = *TenantId::FromName("tenants/ke");
  const TenantId tz_ = *TenantId::FromName("tenants/tz");
};

TEST_P(SchedulingStoreTest, GivesBackWhatWasCreated) {
  const NewInstance asked = MakeInstance("a");
  const auto operation = store().CreateInstance(asked, {});
  ASSERT_TRUE(operation) << operation.error().message;
  EXPECT_EQ(operation->id, asked.operation);
  EXPECT_EQ(operation->kind, OperationKind::kCreate);
  EXPECT_FALSE(operation->done);
  const auto got = store().GetInstance(ke_, asked.name);
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->id, asked.id);
  EXPECT_EQ(got->generation, 1);
  EXPECT_EQ(got->template_generation, 1);
  Revision expected = asked.revision;
  expected.generation = 1;
  EXPECT_EQ(got->current(), expected);
  EXPECT_EQ(got->status, InstanceStatus{});
}

TEST_P(SchedulingStoreTest, AnswersTheSameContentWithTheStandingInstance) {
  const auto first = store().CreateInstance(MakeInstance("a"), {});
  const auto second = store().CreateInstance(MakeInstance("a"), {});
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->id, first->id);
  NewInstance other = MakeInstance("a");
  other.revision = MakeRevision("q8_0");
  EXPECT_EQ(store().CreateInstance(other, {}).error().reason, "ALREADY_EXISTS");
}

TEST_P(SchedulingStoreTest, AnswersARepeatedRequestWithItsFirstOperation) {
  const auto first = store().CreateInstance(MakeInstance("a"), Request("r"));
  ASSERT_TRUE(first);
  EXPECT_EQ(store().CreateInstance(MakeInstance("a"), Request("r"))->id, first->id);
  EXPECT_EQ(store().FindRequest(ke_, Request("r"))->id, first->id);
  EXPECT_EQ(store().FindRequest(ke_, Request("other")).error().code, Code::kNotFound);
}

TEST_P(SchedulingStoreTest, RefusesARequestIdWithAnotherPayload) {
  ASSERT_TRUE(store().CreateInstance(MakeInstance("a"), Request("r", "1")));
  EXPECT_EQ(store().CreateInstance(MakeInstance("b"), Request("r", "2")).error().reason, "REQUEST_ID_REUSED");
  EXPECT_EQ(store().GetInstance(ke_, MakeInstance("b").name).error().code, Code::kNotFound);
}

TEST_P(SchedulingStoreTest, MakesOneInstanceOfConcurrentDuplicates) {
  std::vector<std::thread> threads;
  std::vector<Result<Operation>> answers(4, NotFound(""));
  for (auto& answer : answers) {
    threads.emplace_back([&] { answer = store().CreateInstance(MakeInstance("a"), Request("r")); });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& answer : answers) {
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->id, answers[0]->id);
  }
  EXPECT_EQ(store().LoadTenant(ke_)->instances.size(), 1u);
}

TEST_P(SchedulingStoreTest, UpdatesOnlyWhatWasReadLast) {
  const Instance instance = Created("a");
  InstanceChange change{ke_, Uuid::V7(), instance.name, EtagOf(instance), MakeRevision("q8_0")};
  const auto operation = store().UpdateInstance(change, {});
  ASSERT_TRUE(operation) << operation.error().message;
  EXPECT_EQ(operation->generation, 2);
  EXPECT_EQ(Again(instance).template_generation, 2);
  EXPECT_EQ(Again(instance).current().spec.variant, MakeRevision("q8_0").spec.variant);
  change.operation = Uuid::V7();
  EXPECT_EQ(store().UpdateInstance(change, {}).error().reason, "ETAG_MISMATCH");
}

TEST_P(SchedulingStoreTest, KeepsTheTemplateWhenOnlyTheNumberOfReplicasChanges) {
  const Instance instance = Created("a");
  InstanceChange change{ke_, Uuid::V7(), instance.name, EtagOf(instance), MakeRevision()};
  change.revision.spec.replicas = 3;
  ASSERT_TRUE(store().UpdateInstance(change, {}));
  EXPECT_EQ(Again(instance).generation, 2);
  EXPECT_EQ(Again(instance).template_generation, 1);
}

TEST_P(SchedulingStoreTest, MakesNoNewGenerationOfAnEqualSpec) {
  const Instance instance = Created("a");
  ASSERT_TRUE(store().UpdateInstance({ke_, Uuid::V7(), instance.name, EtagOf(instance), MakeRevision()}, {}));
  EXPECT_EQ(Again(instance).generation, 1);
}

TEST_P(SchedulingStoreTest, ListsInPagesByName) {
  for (const char* id : {"b", "c", "a"}) Created(id);
  PageRequest page{"scope", 2, ""};
  auto first = store().ListInstances(ke_, "tenants/ke/projects/p/", page);
  ASSERT_TRUE(first);
  ASSERT_EQ(first->size(), 3u) << "one more than the page says that there is another";
  EXPECT_TRUE(first->at(0).name.ends_with("/a"));
  page.after = first->at(1).name;
  EXPECT_TRUE(store().ListInstances(ke_, "tenants/ke/projects/p/", page)->at(0).name.ends_with("/c"));
  EXPECT_TRUE(store().ListInstances(ke_, "tenants/ke/projects/other/", {"scope", 2, ""})->empty());
}

TEST_P(SchedulingStoreTest, ListsOperationsNewestFirst) {
  const Instance instance = Created("a");
  const auto deletion = store().DeleteInstance(ke_, instance.name, Uuid::V7(), {});
  const auto listed = store().ListOperations(ke_, {"scope", 10, ""});
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 2u);
  EXPECT_EQ(listed->at(0).id, deletion->id);
  EXPECT_EQ(store().ListOperations(ke_, {"scope", 10, deletion->id.ToString()})->size(), 1u);
}

TEST_P(SchedulingStoreTest, PlacesAReplicaWithALease) {
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

TEST_P(SchedulingStoreTest, LoadsOneInstanceAsItLoadsAll) {
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

TEST_P(SchedulingStoreTest, KeepsClassSleepAndSharedMemoryOfARevision) {
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

TEST_P(SchedulingStoreTest, CountsWhatReplicasShareOnce) {
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

TEST_P(SchedulingStoreTest, RemembersThatAReplicaSleeps) {
  Join("n", 1000 * kMiB);
  const Instance instance = Created("a");
  Apply({.creates = {OnNode(instance, "n")}});
  const auto placement = Again(instance).replicas[0].placement;
  EXPECT_EQ(Apply({.observations = {{placement.id, placement.epoch, ReplicaState::kAsleep, "unix:/w", "", 1}}}).dropped,
            0);
  EXPECT_EQ(Again(instance).replicas[0].placement.state, ReplicaState::kAsleep);
  EXPECT_EQ(Again(instance).replicas[0].target, "unix:/w");
}

TEST_P(SchedulingStoreTest, DropsACreateThatWasPlannedOnAnOlderVersion) {
  Join("n", 1000 * kMiB);
  const Instance instance = Created("a");
  ASSERT_TRUE(store().UpdateInstance({ke_, Uuid::V7(), instance.name, EtagOf(instance), MakeRevision("q8_0")}, {}));
  const Applied applied = Apply({.creates = {OnNode(instance, "n")}});
  EXPECT_EQ(applied.created, 0);
  EXPECT_EQ(applied.dropped, 1);
  EXPECT_TRUE(Again(instance).replicas.empty());
}

TEST_P(SchedulingStoreTest, DropsACreateForWhichAnotherTenantTookTheRoom) {
  Join("n", 150 * kMiB);
  const Instance ours = Created("a");
  const Instance theirs = Created("a", "tenants/tz");
  EXPECT_EQ(Apply({.creates = {OnNode(theirs, "n")}}, tz_).created, 1);
  EXPECT_EQ(Apply({.creates = {OnNode(ours, "n")}}).dropped, 1);
}

TEST_P(SchedulingStoreTest, NeverPromisesRoomTwiceToConcurrentPlans) {
  Join("n", 150 * kMiB);
  const Instance ours = Created("a");
  const Instance theirs = Created("a", "tenants/tz");
  Applied one;
  std::thread other([&] { one = Apply({.creates = {OnNode(theirs, "n")}}, tz_); });
  const Applied two = Apply({.creates = {OnNode(ours, "n")}});
  other.join();
  EXPECT_EQ(one.created + two.created, 1);
}

TEST_P(SchedulingStoreTest, RefusesObservationsAndStopsOfOlderEpochs) {
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

TEST_P(SchedulingStoreTest, KeepsAStoppingReplicaStoppingUntilItIsGone) {
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

TEST_P(SchedulingStoreTest, WritesStatusOnlyForTheVersionItWasComputedFor) {
  const Instance instance = Created("a");
  const InstanceStatus ready{InstanceState::kReady, 1, 1, "fine"};
  EXPECT_EQ(Apply({.statuses = {{instance.id, instance.version + 1, ready}}}).dropped, 1);
  EXPECT_EQ(Apply({.statuses = {{instance.id, instance.version, ready}}}).dropped, 0);
  EXPECT_EQ(Again(instance).status, ready);
}

TEST_P(SchedulingStoreTest, FinishesAnOperationOnce) {
  const NewInstance asked = MakeInstance("a");
  ASSERT_TRUE(store().CreateInstance(asked, {}));
  EXPECT_EQ(Apply({.operations = {{asked.operation, "starting 0/1", false}}}).dropped, 0);
  EXPECT_EQ(store().GetOperation(ke_, asked.operation)->phase, "starting 0/1");
  EXPECT_EQ(Apply({.operations = {{asked.operation, "ready", true}}}).dropped, 0);
  EXPECT_TRUE(store().GetOperation(ke_, asked.operation)->done);
  EXPECT_EQ(Apply({.operations = {{asked.operation, "placing", false}}}).dropped, 1);
  EXPECT_TRUE(store().LoadTenant(ke_)->open_operations.empty());
}

TEST_P(SchedulingStoreTest, DeletesInTwoStepsAndKeepsTheOperation) {
  Join("n", 1000 * kMiB);
  const NewInstance asked = MakeInstance("a");
  ASSERT_TRUE(store().CreateInstance(asked, {}));
  const Instance instance = *store().GetInstance(ke_, asked.name);
  Apply({.creates = {OnNode(instance, "n")}});
  const auto deletion = store().DeleteInstance(ke_, asked.name, Uuid::V7(), {});
  ASSERT_TRUE(deletion) << deletion.error().message;
  EXPECT_EQ(store().DeleteInstance(ke_, asked.name, Uuid::V7(), {})->id, deletion->id);
  const auto creation = store().GetOperation(ke_, asked.operation);
  EXPECT_TRUE(creation->done);
  EXPECT_EQ(creation->error->reason, "INSTANCE_DELETED");
  EXPECT_EQ(store().CreateInstance(MakeInstance("a"), {}).error().reason, "INSTANCE_DELETING");
  EXPECT_EQ(Apply({.gone = {instance.id}}).dropped, 1) << "a replica is left";
  const auto placement = Again(instance).replicas[0].placement;
  EXPECT_EQ(
      Apply({.stops = {{placement.id, placement.epoch, "x"}}, .removes = {{placement.id, placement.epoch}}}).dropped,
      0);
  EXPECT_EQ(Apply({.gone = {instance.id}}).dropped, 0);
  EXPECT_EQ(store().GetInstance(ke_, asked.name).error().code, Code::kNotFound);
  EXPECT_TRUE(store().GetOperation(ke_, deletion->id)->done);
  EXPECT_FALSE(store().GetOperation(ke_, deletion->id)->error);
  EXPECT_TRUE(store().CreateInstance(MakeInstance("a"), {})) << "the name is free again";
}

TEST_P(SchedulingStoreTest, KeepsRevisionsThatReplicasStillRun) {
  Join("n", 1000 * kMiB);
  const Instance instance = Created("a");
  Apply({.creates = {OnNode(instance, "n")}});
  for (int i = 0; i < kRevisionsKept + 3; ++i) {
    const Instance now = Again(instance);
    ASSERT_TRUE(store().UpdateInstance(
        {ke_, Uuid::V7(), now.name, EtagOf(now), MakeRevision(i % 2 == 0 ? "q8_0" : "q4_k_m")}, {}));
  }
  const Instance now = Again(instance);
  EXPECT_EQ(now.revisions.size(), 2u);
  EXPECT_EQ(now.revisions.at(1).spec.variant, MakeRevision().spec.variant);
}

TEST_P(SchedulingStoreTest, GivesEachSessionOfANodeAGreaterEpoch) {
  const scheduler::Node node{"n", "ke-1", scheduler::NodeState::kReady, {kMiB, 1000}, {}};
  const auto first = store().JoinNode(node);
  const auto second = store().JoinNode(node);
  ASSERT_TRUE(first && second);
  EXPECT_GT(*second, *first);
  EXPECT_EQ(store().ListNodes()->at(0).session_epoch, *second);
  EXPECT_TRUE(store().TouchNodes({"n", "absent"}));
}

TEST_P(SchedulingStoreTest, ForgetsOldOperationsWithTheirRequestIds) {
  const NewInstance asked = MakeInstance("a");
  ASSERT_TRUE(store().CreateInstance(asked, Request("r")));
  const Time future = std::chrono::system_clock::now() + std::chrono::hours(24 * 3650);
  ASSERT_TRUE(store().ForgetOperations(ke_, future));
  EXPECT_TRUE(store().GetOperation(ke_, asked.operation)) << "open ones stay";
  Apply({.operations = {{asked.operation, "ready", true}}});
  ASSERT_TRUE(store().ForgetOperations(ke_, future));
  EXPECT_EQ(store().GetOperation(ke_, asked.operation).error().code, Code::kNotFound);
  EXPECT_EQ(store().FindRequest(ke_, Request("r")).error().code, Code::kNotFound);
}

TEST_P(SchedulingStoreTest, TenantBCannotSeeChangeOrReferenceA) {
  Join("n", 1000 * kMiB);
  const NewInstance asked = MakeInstance("a");
  ASSERT_TRUE(store().CreateInstance(asked, Request("r")));
  const Instance a = *store().GetInstance(ke_, asked.name);
  Created("b", "tenants/tz");
  Apply({.creates = {OnNode(a, "n")}});
  const auto placement = Again(a).replicas[0].placement;

  EXPECT_EQ(store().GetInstance(tz_, asked.name).error().code, Code::kNotFound);
  EXPECT_TRUE(store().ListInstances(tz_, "tenants/ke/", {"scope", 10, ""})->empty());
  EXPECT_EQ(store().GetOperation(tz_, asked.operation).error().code, Code::kNotFound);
  EXPECT_EQ(store().ListOperations(tz_, {"scope", 10, ""})->size(), 1u);
  EXPECT_EQ(store().FindRequest(tz_, Request("r")).error().code, Code::kNotFound);
  EXPECT_EQ(store().LoadTenant(tz_)->instances.size(), 1u);
  EXPECT_EQ(store().DeleteInstance(tz_, asked.name, Uuid::V7(), {}).error().code, Code::kNotFound);
  EXPECT_EQ(store().UpdateInstance({tz_, Uuid::V7(), asked.name, EtagOf(a), MakeRevision("q8_0")}, {}).error().code,
            Code::kNotFound);
  // A plan of B that names A's rows changes nothing of them.
  const Changes hostile{.creates = {OnNode(a, "n")},
                        .observations = {{placement.id, placement.epoch, ReplicaState::kReady, "unix:/evil", "", 1}},
                        .stops = {{placement.id, placement.epoch, "x"}},
                        .removes = {{placement.id, placement.epoch}},
                        .statuses = {{a.id, a.version, {InstanceState::kFailing, 0, 0, "x"}}},
                        .operations = {{asked.operation, "x", true}},
                        .gone = {a.id}};
  EXPECT_EQ(Apply(hostile, tz_).dropped, 7);
  EXPECT_EQ(Again(a).replicas.size(), 1u);
  EXPECT_EQ(Again(a).replicas[0].placement.state, ReplicaState::kPending);
  EXPECT_EQ(store().ListNodes()->at(0).worker_count, 1);
}

TEST_P(SchedulingStoreTest, AnInstanceIsWholeWhateverIsChangedMeanwhile) {
  Created("a");
  Join("n", 10'000 * kMiB);
  std::atomic<bool> over = false;
  // As a tenant does who scales 2, 1, 2, 1 and changes the variant in between, and as the reconciler follows.
  std::thread changes([&] {
    const std::string name = MakeInstance("a").name;
    for (int i = 0; i < 40; ++i) {
      Instance instance = *store().GetInstance(ke_, name);
      Revision revision = MakeRevision(i % 4 < 2 ? "q4_k_m" : "q8_0");
      revision.spec.replicas = 1 + i % 2;
      EXPECT_TRUE(store().UpdateInstance({ke_, Uuid::V7(), name, EtagOf(instance), revision}, {}));
      instance = *store().GetInstance(ke_, name);
      Changes plan{.creates = {OnNode(instance, "n")}};
      for (const Replica& replica : instance.replicas) {
        plan.stops.push_back({replica.placement.id, replica.placement.epoch, "x"});
        plan.removes.push_back({replica.placement.id, replica.placement.epoch});
      }
      EXPECT_TRUE(store().Apply(ke_, plan));
    }
    over = true;
  });
  int reads = 0;
  const auto check = [](const Result<TenantState>& state) {
    ASSERT_TRUE(state) << state.error().message;
    ASSERT_EQ(state->instances.size(), 1u);
    const Status whole = CheckWhole(state->instances[0]);
    EXPECT_TRUE(whole) << whole.error().message;
  };
  for (; !over || reads < 10; ++reads) {
    check(store().LoadTenant(ke_));
    check(store().LoadInstance(ke_, MakeInstance("a").name));
    const auto got = store().GetInstance(ke_, MakeInstance("a").name);
    EXPECT_TRUE(got) << got.error().message;
    const auto listed = store().ListInstances(ke_, "tenants/ke/", {"scope", 10, ""});
    EXPECT_TRUE(listed) << listed.error().message;
  }
  changes.join();
}

TEST_P(SchedulingStoreTest, TellsWhichTenantsChangedSinceALook) {
  const auto look = [&](const std::string& since) { return *store().ListChanged(since, std::nullopt, 100); };
  EXPECT_TRUE(look("").tenants.empty());
  const Instance a = Created("a");
  Created("b", "tenants/tz");
  const TenantChanges all = look("");
  ASSERT_EQ(all.tenants.size(), 2u);
  const auto version_of = [](const TenantChanges& changes, const TenantId& tenant) -> std::int64_t {
    for (const auto& change : changes.tenants) {
      if (change.tenant == tenant) return change.version;
    }
    return 0;
  };
  EXPECT_EQ(version_of(all, ke_), store().LoadTenant(ke_)->version);
  EXPECT_TRUE(look(all.mark).tenants.empty()) << "nothing changed";

  // By everything that changes rows, and only by that.
  ASSERT_TRUE(store().UpdateInstance({ke_, Uuid::V7(), a.name, EtagOf(a), MakeRevision("q8_0")}, {}));
  EXPECT_EQ(look(all.mark).tenants, (std::vector<TenantVersion>{{ke_, version_of(all, ke_) + 1}}));
  const Instance again = Again(a);
  const Applied applied = Apply({.statuses = {{a.id, again.version, {InstanceState::kReady, 1, 1, ""}}}});
  EXPECT_EQ(applied.version, version_of(all, ke_) + 2);
  EXPECT_EQ(look(all.mark).tenants, (std::vector<TenantVersion>{{ke_, applied.version}}));
  ASSERT_TRUE(store().DeleteInstance(ke_, a.name, Uuid::V7(), {}));
  EXPECT_EQ(look(all.mark).tenants, (std::vector<TenantVersion>{{ke_, applied.version + 1}}));
  EXPECT_EQ(store().LoadTenant(ke_)->version, applied.version + 1);
}

TEST_P(SchedulingStoreTest, TellsOfChangesInPages) {
  for (const char* tenant : {"tenants/ke", "tenants/tz", "tenants/ug"}) Created("a", tenant);
  const auto first = store().ListChanged("", std::nullopt, 2);
  ASSERT_EQ(first->tenants.size(), 2u);
  const auto second = store().ListChanged("", first->tenants.back().tenant, 2);
  ASSERT_EQ(second->tenants.size(), 1u);
  EXPECT_LT(first->tenants[0].tenant, first->tenants[1].tenant);
  EXPECT_LT(first->tenants[1].tenant, second->tenants[0].tenant);
}

TEST_P(SchedulingStoreTest, KnowsWhichTenantsHaveOperationsToForget) {
  const NewInstance asked = MakeInstance("a");
  ASSERT_TRUE(store().CreateInstance(asked, {}));
  Created("b", "tenants/tz");
  const Time future = std::chrono::system_clock::now() + std::chrono::hours(24 * 3650);
  const Time past = std::chrono::system_clock::now() - std::chrono::hours(24 * 3650);
  EXPECT_TRUE(store().ListForgettable(future, 10)->empty()) << "open ones stay";
  Apply({.operations = {{asked.operation, "ready", true}}});
  EXPECT_EQ(*store().ListForgettable(future, 10), std::vector{ke_});
  EXPECT_TRUE(store().ListForgettable(past, 10)->empty());
  ASSERT_TRUE(store().ForgetOperations(ke_, future));
  EXPECT_TRUE(store().ListForgettable(future, 10)->empty()) << "not again and again";
  ASSERT_TRUE(store().DeleteInstance(tz_, MakeInstance("b", "tenants/tz").name, Uuid::V7(), {}));
  EXPECT_EQ(*store().ListForgettable(future, 10), std::vector{tz_}) << "deleting ends what was open";
}

TEST_P(SchedulingStoreTest, RefusesANodeTooManyAloud) {
  for (int i = 0; i < kNodesMax; ++i) Join("n" + std::to_string(i), kMiB);
  const auto one_more = store().JoinNode({"more", "ke-1", scheduler::NodeState::kReady, {kMiB, 1000}, {}});
  ASSERT_FALSE(one_more);
  EXPECT_EQ(one_more.error().reason, "TOO_MANY_NODES");
  EXPECT_TRUE(store().JoinNode({"n7", "ke-1", scheduler::NodeState::kReady, {kMiB, 1000}, {}})) << "it is known";
  EXPECT_EQ(store().ListNodes()->size(), static_cast<std::size_t>(kNodesMax));
}

INSTANTIATE_TEST_SUITE_P(Stores, SchedulingStoreTest,
                         testing::Values(Kind{"Fake", [] { return std::make_unique<FakeBackend>(); }},
                                         Kind{"PostgreSql", [] { return std::make_unique<PgBackend>(); }}),
                         [](const auto& kind) { return kind.param.name; });

// A transaction that began before a look and is committed after a later one began must not be missed.
TEST(SchedulingChanges, AreFoundInWhateverOrderTheyAreCommitted) {
  TestDatabase database("scheduling");
  PgPool pool(database.app_config());
  PgStore store(pool);
  const TenantId early = *TenantId::FromName("tenants/ke");
  const TenantId late = *TenantId::FromName("tenants/tz");
  const auto insert = [](auto& tx, const TenantId& tenant, const std::string& name) {
    tx.Exec("INSERT INTO scheduling.tenants (id, name) VALUES ($1, $2)", tenant.ToString(), name);
  };
  TenantChanges between;
  ASSERT_TRUE(pool.Run<int>([&](GlobalTx& tx) -> Result<int> {
    insert(tx, early, "tenants/ke");
    EXPECT_TRUE(pool.Run<int>([&](GlobalTx& other) -> Result<int> {
      insert(other, late, "tenants/tz");
      return 0;
    }));
    between = *store.ListChanged("", std::nullopt, 10);
    return 0;
  }));
  ASSERT_EQ(between.tenants.size(), 1u);
  EXPECT_EQ(between.tenants[0].tenant, late);
  std::vector<TenantId> found;
  const TenantChanges after = *store.ListChanged(between.mark, std::nullopt, 10);
  for (const TenantVersion& change : after.tenants) found.push_back(change.tenant);
  EXPECT_NE(std::ranges::find(found, early), found.end());
}

// Row-level security is the second lock: it must hold where a statement forgets to name the tenant.
TEST(SchedulingRowLevelSecurity, ShowsNothingWithoutATenantAndRefusesForeignRows) {
  TestDatabase database("scheduling");
  PgPool pool(database.app_config());
  PgStore store(pool);
  NewInstance asked;
  asked.tenant = *TenantId::FromName("tenants/ke");
  asked.tenant_name = "tenants/ke";
  asked.id = Uuid::V7();
  asked.operation = Uuid::V7();
  asked.name = "tenants/ke/projects/p/instances/a";
  asked.revision.spec = {"listings/l", "models/m/versions/1/variants/v", "ke-1", IsolationClass::kIsolated, 1, 512, 2};
  asked.revision.artifact_sha256 = std::string(64, 'a');
  asked.revision.artifact_bytes = asked.revision.demand.own.memory_bytes = 1;
  asked.revision.trained_context_tokens = 512;
  ASSERT_TRUE(store.CreateInstance(asked, {}));
  for (const std::string table : {"instances", "revisions", "replicas", "operations", "request_ids"}) {
    const auto count = [&](auto& tx) -> Result<int> {
      return tx.Exec("SELECT count(*) FROM scheduling." + table)[0][0].template as<int>();
    };
    EXPECT_EQ(pool.Run<int>([&](GlobalTx& tx) { return count(tx); }), 0) << table;
    EXPECT_EQ(pool.Run<int>(*TenantId::FromName("tenants/tz"), [&](TenantTx& tx) { return count(tx); }), 0) << table;
  }
  const auto stolen = pool.Run<int>(*TenantId::FromName("tenants/tz"), [&](TenantTx& tx) -> Result<int> {
    return static_cast<int>(tx.Exec("UPDATE scheduling.instances SET deleting = true").affected_rows());
  });
  EXPECT_EQ(stolen, 0);
  const auto forged = pool.Run<int>(*TenantId::FromName("tenants/tz"), [&](TenantTx& tx) -> Result<int> {
    tx.Exec(
        "INSERT INTO scheduling.instances (tenant_id, id, name, generation, template_generation) VALUES ($1, $2, 'x', "
        "1, 1)",
        asked.tenant.ToString(), Uuid::V7().ToString());
    return 1;
  });
  EXPECT_FALSE(forged);
}

}  // namespace
}  // namespace allod::scheduling
