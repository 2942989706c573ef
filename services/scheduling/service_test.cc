// What tenants do with instances: create, update, list and delete them, and who may.
#include "services/scheduling/testing/service_fixture.h"

namespace allod::scheduling::service_test {
namespace {

TEST_F(SchedulingServiceTest, ProvisionsRoutesAndDeletesAnInstance) {
  Agent agent(*agent_stub_, "n");
  const auto created = Create(CreateRequest());
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_TRUE(created->name().starts_with("tenants/ke/operations/"));
  const auto done = Wait(created->name());
  ASSERT_TRUE(done) << done.error().message;
  ASSERT_TRUE(done->done());
  v1::Instance instance;
  ASSERT_TRUE(done->response().UnpackTo(&instance));
  EXPECT_EQ(instance.status().state(), v1::InstanceStatus::STATE_READY);
  EXPECT_EQ(instance.spec().context_tokens(), 1024);
  EXPECT_EQ(instance.status().price_book(), "priceBooks/b");

  const auto context = MakeStreamContext(Caller::Service("gateway"));
  const auto watch = route_stub_->WatchRoutes(context.get(), {});
  v1::WatchRoutesResponse table;
  ASSERT_TRUE(watch->Read(&table));
  ASSERT_EQ(table.routes_size(), 1);
  EXPECT_EQ(table.routes(0).instance(), "tenants/ke/projects/p/instances/a");
  EXPECT_EQ(table.routes(0).targets_size(), 1);

  v1::DeleteInstanceRequest deletion;
  deletion.set_name(instance.name());
  const auto deleting =
      CallUnary(*instance_stub_, &v1::InstanceService::Stub::DeleteInstance, deletion, kTenant, kTimeout);
  ASSERT_TRUE(deleting) << deleting.error().message;
  ASSERT_TRUE(watch->Read(&table));
  EXPECT_EQ(table.routes_size(), 0) << "the table is sent again when it changes";
  EXPECT_TRUE(Wait(deleting->name())->done());
  EXPECT_EQ(Get("a").error().code, Code::kNotFound);
  context->TryCancel();
}

TEST_F(SchedulingServiceTest, AnswersTheSameContentWithAFinishedOperation) {
  Agent agent(*agent_stub_, "n");
  ASSERT_TRUE(Wait(Create(CreateRequest())->name())->done());
  peers_.Stop();
  const auto again = Create(CreateRequest());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(again->done()) << "what was accepted is not judged again";
  auto other = CreateRequest();
  other.mutable_instance()->mutable_spec()->set_replicas(2);
  EXPECT_EQ(Create(other).error().code, Code::kUnavailable);
}

TEST_F(SchedulingServiceTest, RefusesARegionOutsideTheResidencyAndWritesNothing) {
  auto request = CreateRequest();
  request.mutable_instance()->mutable_spec()->set_region("regions/tz-1");
  const auto refused = Create(request);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "REGION_OUTSIDE_RESIDENCY");
  EXPECT_EQ(refused.error().message,
            "spec.region tz-1 lies in jurisdiction tz, outside the tenant's residency (ke), which holds for WEIGHTS; "
            "tenants/ke must name another region");
  EXPECT_TRUE(store_.ListChanged("", std::nullopt, 10)->tenants.empty());
}

TEST_F(SchedulingServiceTest, RefusesWhatThePeersDoNotKnow) {
  auto request = CreateRequest();
  request.set_parent("tenants/ke/projects/other");
  EXPECT_EQ(Create(request).error().code, Code::kNotFound);
  request = CreateRequest();
  request.mutable_instance()->mutable_spec()->set_listing("listings/other");
  EXPECT_EQ(Create(request).error().reason, "LISTING_NOT_AVAILABLE");
  request = CreateRequest();
  request.mutable_instance()->mutable_spec()->set_variant("models/m/versions/1/variants/other");
  EXPECT_EQ(Create(request).error().reason, "VARIANT_NOT_IN_LISTING");
  peers_.account.clear_currency_code();
  EXPECT_EQ(Create(CreateRequest()).error().reason, "NO_BILLING_ACCOUNT");
}

TEST_F(SchedulingServiceTest, JudgesACreationAsItWouldAndMakesNothing) {
  auto request = CreateRequest();
  request.set_validate_only(true);
  const auto judged = Create(request);
  ASSERT_TRUE(judged) << judged.error().message;
  EXPECT_TRUE(judged->done());
  v1::Instance would;
  ASSERT_TRUE(judged->response().UnpackTo(&would));
  EXPECT_EQ(would.spec().replicas(), 1);
  EXPECT_EQ(would.spec().max_concurrency(), kConcurrencyDefault);
  EXPECT_EQ(Get("a").error().code, Code::kNotFound);
  EXPECT_TRUE(store_.ListChanged("", std::nullopt, 10)->tenants.empty());
  const auto both_refuse = [&](v1::CreateInstanceRequest asked, const Caller& caller = kTenant) {
    asked.set_validate_only(true);
    const auto planned = Create(asked, caller);
    asked.set_validate_only(false);
    const auto done = Create(asked, caller);
    if (planned || done) return std::string("accepted");
    EXPECT_EQ(planned.error().message, done.error().message);
    EXPECT_EQ(planned.error().reason, done.error().reason);
    return done.error().reason;
  };
  auto bad = CreateRequest();
  bad.mutable_instance()->mutable_spec()->set_replicas(-1);
  EXPECT_EQ(both_refuse(bad), "INVALID_SPEC");
  bad = CreateRequest();
  bad.mutable_instance()->mutable_spec()->set_variant("models/m/versions/1/variants/other");
  EXPECT_EQ(both_refuse(bad), "VARIANT_NOT_IN_LISTING");
  EXPECT_EQ(both_refuse(CreateRequest(), Caller::Tenant("tz")), "NOT_FOUND");
  for (const char* id : {"x", "00000000-0000-0000-0000-000000000000"}) {
    bad = CreateRequest();
    bad.set_request_id(id);
    EXPECT_EQ(both_refuse(bad), "INVALID_REQUEST_ID");
  }
  request = CreateRequest();
  request.set_request_id(Uuid::V7().ToString());
  ASSERT_TRUE(Create(request));
  bad = CreateRequest();
  bad.mutable_instance()->mutable_spec()->set_replicas(2);
  EXPECT_EQ(both_refuse(bad), "ALREADY_EXISTS");
  bad = CreateRequest("b");
  bad.set_request_id(request.request_id());
  EXPECT_EQ(both_refuse(bad), "REQUEST_ID_REUSED");
  request.set_validate_only(true);
  EXPECT_TRUE(Create(request)) << "the real one would be answered like the first";
}

TEST_F(SchedulingServiceTest, NamesTheParentThatWasSent) {
  for (const char* parent : {"tenants/-/projects/-", "/projects/-", "tenants/ke/x/projects/-"}) {
    v1::ListInstancesRequest request;
    request.set_parent(parent);
    const auto listed =
        CallUnary(*instance_stub_, &v1::InstanceService::Stub::ListInstances, request, Caller::Operator(), kTimeout);
    ASSERT_FALSE(listed) << parent;
    EXPECT_EQ(listed.error().reason, "INVALID_NAME");
    EXPECT_NE(listed.error().message.find(std::string("\"") + parent + "\""), std::string::npos)
        << listed.error().message;
  }
}

TEST_F(SchedulingServiceTest, KeepsTenantsApart) {
  ASSERT_TRUE(Create(CreateRequest()));
  EXPECT_EQ(Get("a", Caller::Tenant("tz")).error().code, Code::kNotFound);
  EXPECT_EQ(Create(CreateRequest(), Caller::Tenant("tz")).error().code, Code::kNotFound);
  EXPECT_TRUE(Get("a", Caller::Operator()));
}

TEST_F(SchedulingServiceTest, MakesARetriedCreateSafe) {
  auto request = CreateRequest();
  request.set_request_id(Uuid::V7().ToString());
  const auto first = Create(request);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(Create(request)->name(), first->name());
  auto other = CreateRequest("b");
  other.set_request_id(request.request_id());
  EXPECT_EQ(Create(other).error().reason, "REQUEST_ID_REUSED");
}

TEST_F(SchedulingServiceTest, UpdatesWithTheNewestEtagOnly) {
  ASSERT_TRUE(Create(CreateRequest()));
  v1::UpdateInstanceRequest update;
  *update.mutable_instance() = *Get("a");
  update.mutable_instance()->mutable_spec()->set_context_tokens(512);
  const auto update_with = [&](const v1::UpdateInstanceRequest& request) {
    return CallUnary(*instance_stub_, &v1::InstanceService::Stub::UpdateInstance, request, kTenant, kTimeout);
  };
  const auto changed = update_with(update);
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(Get("a")->generation(), 2);
  EXPECT_EQ(update_with(update).error().reason, "ETAG_MISMATCH");
  update.mutable_instance()->clear_etag();
  EXPECT_EQ(update_with(update).error().reason, "ETAG_REQUIRED");
}

TEST_F(SchedulingServiceTest, ShowsWhatAnUpdateWouldLeaveAndChangesNothing) {
  auto request = CreateRequest();
  request.mutable_instance()->mutable_spec()->set_isolation_class(v1::ISOLATION_CLASS_POOLED);
  request.mutable_instance()->mutable_spec()->set_sleep_after_seconds(100);
  ASSERT_TRUE(Create(request));
  const v1::Instance before = *Get("a");
  v1::UpdateInstanceRequest update;
  update.set_validate_only(true);
  *update.mutable_instance() = before;
  update.mutable_instance()->mutable_spec()->clear_isolation_class();
  update.mutable_instance()->mutable_spec()->clear_sleep_after_seconds();
  update.mutable_instance()->mutable_spec()->set_max_concurrency(0);
  const auto update_with = [&](const v1::UpdateInstanceRequest& asked) {
    return CallUnary(*instance_stub_, &v1::InstanceService::Stub::UpdateInstance, asked, kTenant, kTimeout);
  };
  const auto answer = update_with(update);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_TRUE(answer->done());
  v1::Instance would;
  ASSERT_TRUE(answer->response().UnpackTo(&would));
  EXPECT_EQ(would.spec().isolation_class(), v1::ISOLATION_CLASS_ISOLATED);
  EXPECT_EQ(would.spec().sleep_after_seconds(), 0);
  EXPECT_EQ(would.spec().max_concurrency(), kConcurrencyDefault);
  EXPECT_EQ(would.spec().context_tokens(), before.spec().context_tokens()) << "the default, as the server fills it in";
  EXPECT_EQ(Get("a")->generation(), 1);
  EXPECT_EQ(Get("a")->spec().isolation_class(), v1::ISOLATION_CLASS_POOLED);
  // Judged like the update itself.
  update.set_request_id("x");
  EXPECT_EQ(update_with(update).error().reason, "INVALID_REQUEST_ID");
  update.clear_request_id();
  update.mutable_instance()->mutable_spec()->set_listing("listings/none");
  EXPECT_EQ(update_with(update).error().reason, "LISTING_NOT_AVAILABLE");
  update.mutable_instance()->set_etag("old");
  EXPECT_EQ(update_with(update).error().reason, "ETAG_MISMATCH");
  const Caller other = Caller::Tenant("ug");
  EXPECT_EQ(
      CallUnary(*instance_stub_, &v1::InstanceService::Stub::UpdateInstance, update, other, kTimeout).error().code,
      Code::kNotFound);
}

TEST_F(SchedulingServiceTest, AnUpdateThatChangesNothingIsJudgedAsItIsDone) {
  ASSERT_TRUE(Create(CreateRequest()));
  peers_.account.clear_currency_code();
  v1::UpdateInstanceRequest update;
  *update.mutable_instance() = *Get("a");
  for (const int replicas : {1, 2}) {
    update.mutable_instance()->mutable_spec()->set_replicas(replicas);
    for (const bool validate_only : {true, false}) {
      update.set_validate_only(validate_only);
      const auto done =
          CallUnary(*instance_stub_, &v1::InstanceService::Stub::UpdateInstance, update, kTenant, kTimeout);
      EXPECT_EQ(done ? "" : done.error().reason, replicas == 1 ? "" : "NO_BILLING_ACCOUNT") << validate_only;
    }
  }
  EXPECT_EQ(Get("a")->generation(), 1);
}

TEST_F(SchedulingServiceTest, PutsOfAnUnchangedSpecLeaveNoOperations) {
  Agent agent(*agent_stub_, "n");
  const auto created = Create(CreateRequest());
  ASSERT_TRUE(Wait(created->name())->done());
  v1::UpdateInstanceRequest update;
  *update.mutable_instance() = *Get("a");
  for (int i = 0; i < 20; ++i) {
    if (i == 10) update.set_request_id(Uuid::V7().ToString());
    const auto answer =
        CallUnary(*instance_stub_, &v1::InstanceService::Stub::UpdateInstance, update, kTenant, kTimeout);
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_TRUE(answer->done());
    v1::Instance instance;
    EXPECT_TRUE(answer->response().UnpackTo(&instance));
  }
  google::longrunning::ListOperationsRequest request;
  request.set_name("tenants/ke");
  EXPECT_EQ(
      CallUnary(*operation_stub_, &Operations::Stub::ListOperations, request, kTenant, kTimeout)->operations_size(), 1);
}

TEST_F(SchedulingServiceTest, APageTokenOfAllProjectsIsItsKeys) {
  for (const char* id : {"a", "b"}) ASSERT_TRUE(Create(CreateRequest(id)));
  v1::ListInstancesRequest request;
  request.set_parent("tenants/ke/projects/-");
  request.set_page_size(1);
  const auto list = [&](const Caller& caller) {
    return CallUnary(*instance_stub_, &v1::InstanceService::Stub::ListInstances, request, caller, kTimeout);
  };
  const Caller own = Caller::Key("ke", "p", {"portal"});
  request.set_page_token(list(own)->next_page_token());
  ASSERT_FALSE(request.page_token().empty());
  EXPECT_EQ(list(Caller::Key("ke", "other", {"portal"})).error().reason, "INVALID_PAGE_TOKEN");
  EXPECT_EQ(list(own)->instances_size(), 1);
}

TEST_F(SchedulingServiceTest, ABrokenInstanceIsLeftOutAndTheOthersAreListed) {
  for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(Create(CreateRequest(id)));
  store_.Break(*TenantId::FromName("tenants/ke"), "tenants/ke/projects/p/instances/b");
  v1::ListInstancesRequest request;
  request.set_parent("tenants/ke/projects/p");
  request.set_page_size(2);
  std::vector<std::string> names;
  do {
    const auto page = CallUnary(*instance_stub_, &v1::InstanceService::Stub::ListInstances, request, kTenant, kTimeout);
    ASSERT_TRUE(page) << page.error().message;
    for (const auto& instance : page->instances()) names.push_back(instance.name());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(names,
            (std::vector<std::string>{"tenants/ke/projects/p/instances/a", "tenants/ke/projects/p/instances/c"}));
  EXPECT_EQ(Get("b").error().code, Code::kInternal);
  EXPECT_TRUE(Get("c"));
}

TEST_F(SchedulingServiceTest, APageOfManyLongInstancesFitsIntoAMessage) {
  constexpr int kInstances = 300;
  const TenantId ke = *TenantId::FromName("tenants/ke");
  reconciler_.Stop();  // what is written here stays
  ASSERT_TRUE(store_.JoinNode(
      {"n", "ke-1", scheduler::NodeState::kReady, {std::int64_t{1} << 40, 1'000'000}, {}, false, "ke"}));
  for (int i = 0; i < kInstances; ++i) {
    NewInstance asked;
    asked.tenant = ke;
    asked.tenant_name = "tenants/ke";
    asked.id = Uuid::V7();
    asked.operation = Uuid::V7();
    asked.name = "tenants/ke/projects/p/instances/i" + std::to_string(i);
    ASSERT_TRUE(store_.CreateInstance(asked, {}));
    const NewReplica replica{Uuid::V7(), {asked.id, 1, 1, "n", {}}};
    const auto placed = store_.Apply(ke, {.creates = {replica}});
    ASSERT_EQ(placed->created, 1);
    ASSERT_TRUE(store_.Apply(ke, {.observations = {{replica.id, placed->epochs.at(replica.id),
                                                    scheduler::ReplicaState::kFailed, "", std::string(20'000, 'x'), 1}},
                                  .operations = {{asked.operation, "ready", true}}}));
  }
  v1::ListInstancesRequest request;
  request.set_parent("tenants/ke/projects/p");
  request.set_page_size(1000);
  int instances = 0;
  int pages = 0;
  do {
    const auto page = CallUnary(*instance_stub_, &v1::InstanceService::Stub::ListInstances, request, kTenant, kTimeout);
    ASSERT_TRUE(page) << page.error().message;
    instances += page->instances_size();
    ++pages;
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(instances, kInstances);
  EXPECT_GT(pages, 1);
  google::longrunning::ListOperationsRequest operations;
  operations.set_name("tenants/ke");
  operations.set_page_size(1000);
  const auto page = CallUnary(*operation_stub_, &Operations::Stub::ListOperations, operations, kTenant, kTimeout);
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_FALSE(page->next_page_token().empty());
}

TEST_F(SchedulingServiceTest, ListsInstancesOfOneProjectAndOfAll) {
  for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(Create(CreateRequest(id)));
  v1::ListInstancesRequest request;
  request.set_parent("tenants/ke/projects/-");
  request.set_page_size(2);
  const auto list = [&] {
    return CallUnary(*instance_stub_, &v1::InstanceService::Stub::ListInstances, request, kTenant, kTimeout);
  };
  const auto first = list();
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->instances_size(), 2);
  request.set_page_token(first->next_page_token());
  EXPECT_EQ(list()->instances_size(), 1);
  request.set_parent("tenants/ke/projects/p");
  EXPECT_EQ(list().error().reason, "INVALID_PAGE_TOKEN") << "a token belongs to its list";
}

TEST_F(SchedulingServiceTest, SaysInTheOperationWhyNothingIsPlaced) {
  const auto created = Create(CreateRequest());
  ASSERT_TRUE(created);
  std::string phase;
  for (int i = 0; i < 100 && !phase.starts_with("placing: "); ++i) {
    google::longrunning::WaitOperationRequest request;
    request.set_name(created->name());
    request.mutable_timeout()->set_nanos(100'000'000);
    const auto operation = CallUnary(*operation_stub_, &Operations::Stub::WaitOperation, request, kTenant, kTimeout);
    ASSERT_TRUE(operation) << operation.error().message;
    EXPECT_FALSE(operation->done());
    v1::InstanceOperationMetadata metadata;
    ASSERT_TRUE(operation->metadata().UnpackTo(&metadata));
    phase = metadata.phase();
  }
  EXPECT_EQ(phase, "placing: region ke-1 has no node");
}

TEST_F(SchedulingServiceTest, AKeySeesAndChangesWhatIsInItsProject) {
  ASSERT_TRUE(Create(CreateRequest("a")));
  const Caller own = Caller::Key("ke", "p", {"portal"});
  const Caller other = Caller::Key("ke", "other", {"portal"});
  EXPECT_TRUE(Create(CreateRequest("b"), own));
  EXPECT_EQ(Create(CreateRequest("c"), other).error().code, Code::kNotFound);
  EXPECT_TRUE(Get("a", own));
  EXPECT_EQ(Get("a", other).error().code, Code::kNotFound);
  const auto list = [&](const std::string& parent, const Caller& caller) {
    v1::ListInstancesRequest request;
    request.set_parent(parent);
    return CallUnary(*instance_stub_, &v1::InstanceService::Stub::ListInstances, request, caller, kTimeout);
  };
  EXPECT_EQ(list("tenants/ke/projects/p", own)->instances_size(), 2);
  EXPECT_EQ(list("tenants/ke/projects/-", own)->instances_size(), 2);
  EXPECT_EQ(list("tenants/ke/projects/-", other)->instances_size(), 0) << "all that it may see";
  EXPECT_EQ(list("tenants/ke/projects/p", other).error().code, Code::kNotFound);
  EXPECT_EQ(list("tenants/tz/projects/-", own).error().code, Code::kNotFound);
  v1::DeleteInstanceRequest deletion;
  deletion.set_name("tenants/ke/projects/p/instances/a");
  const auto remove = [&](const Caller& caller) {
    return CallUnary(*instance_stub_, &v1::InstanceService::Stub::DeleteInstance, deletion, caller, kTimeout);
  };
  EXPECT_EQ(remove(other).error().code, Code::kNotFound);
  const auto operation = remove(own);
  ASSERT_TRUE(operation) << operation.error().message;
  google::longrunning::GetOperationRequest get;
  get.set_name(operation->name());
  EXPECT_TRUE(CallUnary(*operation_stub_, &Operations::Stub::GetOperation, get, own, kTimeout));
  EXPECT_EQ(CallUnary(*operation_stub_, &Operations::Stub::GetOperation, get, other, kTimeout).error().code,
            Code::kNotFound);
  google::longrunning::WaitOperationRequest wait;
  wait.set_name(operation->name());
  EXPECT_EQ(CallUnary(*operation_stub_, &Operations::Stub::WaitOperation, wait, other, kTimeout).error().code,
            Code::kNotFound);
  google::longrunning::ListOperationsRequest operations;
  operations.set_name("tenants/ke");
  EXPECT_EQ(
      CallUnary(*operation_stub_, &Operations::Stub::ListOperations, operations, own, kTimeout)->operations_size(), 3);
  operations.set_page_size(1);
  const auto nothing = CallUnary(*operation_stub_, &Operations::Stub::ListOperations, operations, other, kTimeout);
  EXPECT_EQ(nothing->operations_size(), 0);
  EXPECT_EQ(nothing->next_page_token(), "") << "a token would tell of another project's operation";
  operations.set_page_token(
      CallUnary(*operation_stub_, &Operations::Stub::ListOperations, operations, own, kTimeout)->next_page_token());
  EXPECT_FALSE(operations.page_token().empty());
  EXPECT_EQ(CallUnary(*operation_stub_, &Operations::Stub::ListOperations, operations, other, kTimeout).error().reason,
            "INVALID_PAGE_TOKEN");
}

}  // namespace
}  // namespace allod::scheduling::service_test
