// What services/scheduling/store.h promises of instances, operations and nodes.
#include "tests/contract/scheduling_store_harness.h"

namespace allod::scheduling::scheduling_store_test {
namespace {

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
  EXPECT_EQ(store().FindRequest(ke_, "p", Request("r"))->id, first->id);
  EXPECT_EQ(store().FindRequest(ke_, "p", Request("other")).error().code, Code::kNotFound);
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

TEST_P(SchedulingStoreTest, AnEqualSpecLeavesNothingButItsRequestId) {
  const NewInstance asked = MakeInstance("a");
  ASSERT_TRUE(store().CreateInstance(asked, {}));
  const Instance instance = *store().GetInstance(ke_, asked.name);
  const std::int64_t version = store().LoadTenant(ke_)->version;
  for (const bool done : {false, true}) {
    for (const RequestId& request : {RequestId{}, Request(done ? "done" : "open")}) {
      const auto again =
          store().UpdateInstance({ke_, Uuid::V7(), instance.name, EtagOf(instance), MakeRevision()}, request);
      ASSERT_TRUE(again) << again.error().message;
      EXPECT_EQ(again->id, asked.operation);
      EXPECT_EQ(again->done, done);
    }
    EXPECT_EQ(CountOperations(), 1u);
    EXPECT_EQ(store().LoadTenant(ke_)->version, done ? version + 1 : version) << "nothing changed";
    if (!done) Apply({.operations = {{asked.operation, "ready", true}}});
  }
  EXPECT_EQ(store().FindRequest(ke_, "p", Request("done"))->id, asked.operation);
}

TEST_P(SchedulingStoreTest, AnEqualSpecIsAnsweredThoughItsOperationsAreForgotten) {
  const NewInstance asked = MakeInstance("a");
  ASSERT_TRUE(store().CreateInstance(asked, {}));
  const Instance instance = *store().GetInstance(ke_, asked.name);
  Apply({.operations = {{asked.operation, "ready", true}}});
  ASSERT_TRUE(store().ForgetOperations(ke_, std::chrono::system_clock::now() + std::chrono::hours(24 * 3650), 10));
  const Uuid operation = Uuid::V7();
  const auto first = store().UpdateInstance({ke_, operation, instance.name, EtagOf(instance), MakeRevision()}, {});
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->id, operation);
  EXPECT_EQ(store().UpdateInstance({ke_, Uuid::V7(), instance.name, EtagOf(instance), MakeRevision()}, {})->id,
            operation);
  EXPECT_EQ(store().CreateInstance(MakeInstance("a"), {})->id, operation);
  EXPECT_EQ(CountOperations(), 1u);
}

TEST_P(SchedulingStoreTest, ARequestIdIsItsProjects) {
  const auto first = store().CreateInstance(MakeInstance("a"), Request("r", "1"));
  ASSERT_TRUE(first);
  EXPECT_EQ(store().FindRequest(ke_, "q", Request("r", "2")).error().code, Code::kNotFound);
  const NewInstance asked = MakeInstance("a", "tenants/ke", "q");
  const auto other = store().CreateInstance(asked, Request("r", "2"));
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_EQ(store().FindRequest(ke_, "p", Request("r", "1"))->id, first->id);
  EXPECT_EQ(store().FindRequest(ke_, "q", Request("r", "2"))->id, other->id);
  const auto deletion = store().DeleteInstance(ke_, asked.name, Uuid::V7(), Request("r", "1"));
  EXPECT_EQ(deletion.error().reason, "REQUEST_ID_REUSED") << "in its own project it is";
}

TEST_P(SchedulingStoreTest, ABrokenInstanceTakesNoListWithIt) {
  const Instance broken = Created("a");
  const Instance good = Created("b");
  const auto ended = store().ListOperations(ke_, "", {"scope", 10, ""})->operations;
  for (const Operation& operation : ended) Apply({.operations = {{operation.id, "ready", true}}});
  backend_->Break(broken);
  EXPECT_EQ(store().ReadUse(ke_, "", "")->in_tenant.instances, 2);
  const auto listed = store().ListInstances(ke_, "tenants/ke/projects/", {"scope", 10, ""});
  ASSERT_TRUE(listed) << listed.error().message;
  ASSERT_EQ(listed->size(), 2u);
  EXPECT_EQ(CheckWhole(listed->at(0)).error().reason, "ROWS_BROKEN");
  EXPECT_TRUE(CheckWhole(listed->at(1)));
  const Error alone = store().GetInstance(ke_, broken.name).error();
  EXPECT_EQ(alone.code, Code::kInternal);
  EXPECT_EQ(alone.reason, "ROWS_BROKEN");
  const auto operations = store().ListOperations(ke_, "", {"scope", 10, ""});
  ASSERT_TRUE(operations) << operations.error().message;
  ASSERT_EQ(operations->operations.size(), 2u);
  EXPECT_TRUE(CheckWhole(operations->instances.at(good.id)));
  EXPECT_FALSE(CheckWhole(operations->instances.at(broken.id)));
  EXPECT_EQ(store().CreateInstance(MakeInstance("a"), {}).error().reason, "ROWS_BROKEN");
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
  const auto listed = store().ListOperations(ke_, "", {"scope", 10, ""});
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->operations.size(), 2u);
  EXPECT_EQ(listed->operations[0].id, deletion->id);
  EXPECT_TRUE(listed->instances.empty()) << "one failed, the other is open";
  EXPECT_EQ(store().ListOperations(ke_, "", {"scope", 10, deletion->id.ToString()})->operations.size(), 1u);
  EXPECT_EQ(store().ListOperations(ke_, "p", {"scope", 10, ""})->operations.size(), 2u);
  EXPECT_TRUE(store().ListOperations(ke_, "other", {"scope", 10, ""})->operations.empty());
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
  const Error deleting = store().CreateInstance(MakeInstance("a"), {}).error();
  EXPECT_EQ(deleting.reason, "INSTANCE_DELETING");
  EXPECT_EQ(deleting.code, Code::kAborted) << "a conflict that passes";
  EXPECT_EQ(deleting.message, asked.name + " is being deleted; try again later");
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

TEST_P(SchedulingStoreTest, RefusesANodeTooManyAloud) {
  for (int i = 0; i < kNodesMax; ++i) Join("n" + std::to_string(i), kMiB);
  const auto one_more = store().JoinNode({"more", "ke-1", scheduler::NodeState::kReady, {kMiB, 1000}, {}});
  ASSERT_FALSE(one_more);
  EXPECT_EQ(one_more.error().reason, "TOO_MANY_NODES");
  EXPECT_TRUE(store().JoinNode({"n7", "ke-1", scheduler::NodeState::kReady, {kMiB, 1000}, {}})) << "it is known";
  EXPECT_EQ(store().ListNodes()->size(), static_cast<std::size_t>(kNodesMax));
}

INSTANTIATE_TEST_SUITE_P(Stores, SchedulingStoreTest, EveryStore(), KindName);

}  // namespace
}  // namespace allod::scheduling::scheduling_store_test
