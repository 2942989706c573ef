// Quotas over the RPCs: who sets them, and who is shown what.
#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "services/tenancy/testing/service_fixture.h"

namespace allod::tenancy::quota_service_test {
namespace {

using testing::HasSubstr;

class QuotaServiceTest : public TenancyServiceTest {
 protected:
  void SetUp() override {
    TenancyServiceTest::SetUp();
    tenant_ = *CreateTenant("ke");
    project_ = *CreateProject("ke", Caller::Tenant("ke"));
  }
  Result<v1::Project> Update(const Caller& caller, bool validate_only = false) {
    v1::UpdateProjectRequest request;
    *request.mutable_project() = project_;
    request.set_validate_only(validate_only);
    return CallUnary(*project_stub_, &ProjectStub::UpdateProject, request, caller, 5s);
  }
  Result<v1::Tenant> UpdateTenant(const Caller& caller = Caller::Operator()) {
    v1::UpdateTenantRequest request;
    *request.mutable_tenant() = tenant_;
    return CallUnary(*tenant_stub_, &TenantStub::UpdateTenant, request, caller, 5s);
  }
  // "api_keys 1/50000, ..."
  std::string Use(const std::string& parent, const Caller& caller) {
    v1::GetQuotaUseRequest request;
    request.set_parent(parent);
    const auto answer = CallUnary(*quota_stub_, &v1::QuotaService::Stub::GetQuotaUse, request, caller, 5s);
    if (!answer) return answer.error().reason;
    std::string out;
    for (const v1::QuotaUse& use : answer->uses()) {
      out += (out.empty() ? "" : ", ") + use.resource() + " " + std::to_string(use.used()) + "/" +
             std::to_string(use.limit());
    }
    return out;
  }

  v1::Tenant tenant_;
  v1::Project project_;
};

TEST_F(QuotaServiceTest, AChangeThatWasMadeSucceedsAlsoWhereItCannotBeWaitedFor) {
  store_.FailLimitsVersions(Error{Code::kUnavailable, "DATABASE_UNAVAILABLE", "it is away"});
  project_.mutable_limits()->set_concurrency(2);
  const auto project = Update(Caller::Tenant("ke"));
  ASSERT_TRUE(project) << project.error().message;
  EXPECT_EQ(store_.GetProject("ke", "desk")->limits.concurrency, 2);
  tenant_.mutable_limits()->set_concurrency(4);
  const auto tenant = UpdateTenant();
  ASSERT_TRUE(tenant) << tenant.error().message;
  EXPECT_EQ(store_.GetTenant("ke")->limits.concurrency, 4);
  v1::CreateProjectRequest lab;
  lab.set_parent("tenants/ke");
  lab.set_project_id("lab");
  lab.mutable_project()->set_display_name("Lab");
  lab.mutable_project()->mutable_limits()->set_concurrency(1);
  const auto made = CallUnary(*project_stub_, &ProjectStub::CreateProject, lab, Caller::Tenant("ke"), 5s);
  EXPECT_TRUE(made) << made.error().message;
}

TEST_F(QuotaServiceTest, TheTenantSetsItsProjectsAndNoKeyDoes) {
  project_.mutable_quota()->set_replicas(3);
  EXPECT_EQ(Update(Caller::Tenant("ke"), true)->quota().replicas(), 3);
  EXPECT_EQ(store_.GetProject("ke", "desk")->quota.replicas, 0) << "it was only judged";
  EXPECT_EQ(Update(KeyOf(Roles{Role::ROLE_ADMIN})).error().reason, "PROJECT_KEY");
  EXPECT_EQ(Update(Caller::Tenant("tz")).error().code, Code::kNotFound);
  const auto updated = Update(Caller::Tenant("ke"));
  ASSERT_TRUE(updated) << updated.error().message;
  EXPECT_EQ(updated->quota().replicas(), 3);
  EXPECT_EQ(Update(Caller::Tenant("ke")).error().reason, "ETAG_MISMATCH");
  project_ = *updated;
  project_.mutable_quota()->set_replicas(-1);
  EXPECT_EQ(Update(Caller::Tenant("ke")).error().reason, "INVALID_QUOTA");
}

TEST_F(QuotaServiceTest, OnlyTheOperatorSetsTheTenants) {
  tenant_.mutable_quota()->set_projects(1);
  EXPECT_EQ(UpdateTenant(Caller::Tenant("ke")).error().reason, "NOT_ALLOWED");
  ASSERT_TRUE(UpdateTenant());
  v1::CreateProjectRequest request;
  request.set_parent("tenants/ke");
  request.set_project_id("more");
  request.mutable_project()->set_display_name("More");
  for (const bool validate_only : {true, false}) {
    request.set_validate_only(validate_only);
    const auto refused = CallUnary(*project_stub_, &ProjectStub::CreateProject, request, Caller::Tenant("ke"), 5s);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, "QUOTA_EXCEEDED");
    EXPECT_THAT(refused.error().message, HasSubstr("an operator"));
  }
}

TEST_F(QuotaServiceTest, UseIsShownBesideTheLimit) {
  EXPECT_EQ(Use("tenants/ke", Caller::Tenant("ke")), "projects 1/1000, api_keys 0/50000");
  const Caller key = KeyOf(Roles{Role::ROLE_VIEWER});
  EXPECT_EQ(Use("tenants/ke/projects/desk", key), "api_keys 1/10000");
  EXPECT_EQ(Use("tenants/ke", key), "PROJECT_KEY");
  EXPECT_EQ(Use("tenants/ke", Caller::Tenant("tz")), "NOT_FOUND");
  tenant_.mutable_quota()->set_api_keys(40);
  ASSERT_TRUE(UpdateTenant());
  project_.mutable_quota()->set_api_keys(20);
  ASSERT_TRUE(Update(Caller::Operator()));
  EXPECT_EQ(Use("tenants/ke", Caller::Operator()), "projects 1/1000, api_keys 1/40");
  EXPECT_EQ(Use("tenants/ke/projects/desk", Caller::Operator()), "api_keys 1/20");
  EXPECT_EQ(Use("tenants", Caller::Operator()), "INVALID_NAME");
}

TEST_F(QuotaServiceTest, ALimitIsInForceAtTheGatewaysWhenItsChangeReturns) {
  v1::WatchApiKeysRequest watch;
  watch.set_watcher_id(Uuid::V7().ToString());
  const auto context = MakeStreamContext(Caller::Service("gateway"));
  std::atomic<std::int64_t> requests = 0;
  std::atomic<bool> synced = false;
  std::thread gateway([&] {
    const auto stream = key_stub_->WatchApiKeys(context.get(), watch);
    v1::WatchApiKeysResponse message;
    while (stream->Read(&message)) {
      std::this_thread::sleep_for(50ms);
      for (const auto& limits : message.tenant_limits()) requests = limits.projects(0).limits().requests_per_minute();
      if (!message.synced()) continue;
      synced = true;
      v1::AcknowledgeApiKeysRequest acknowledgement;
      acknowledgement.set_watcher_id(watch.watcher_id());
      acknowledgement.set_version(message.version());
      (void)CallUnary(*key_stub_, &KeyStub::AcknowledgeApiKeys, acknowledgement, Caller::Service("gateway"), 5s);
    }
    (void)stream->Finish();
  });
  while (!synced) std::this_thread::sleep_for(1ms);
  for (const int limit : {60, 600}) {
    project_.mutable_limits()->set_requests_per_minute(limit);
    const auto begin = std::chrono::steady_clock::now();
    const auto updated = Update(Caller::Tenant("ke"));
    EXPECT_EQ(requests, limit);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 1900ms) << "it did not wait in vain";
    ASSERT_TRUE(updated) << updated.error().message;
    project_ = *updated;
  }
  context->TryCancel();
  gateway.join();
}

TEST_F(QuotaServiceTest, ALimitThatCanMatchNothingIsRefused) {
  const auto reason = [&] { return Update(Caller::Tenant("ke"), true).error().reason; };
  project_.mutable_limits()->set_requests_per_minute(-1);
  EXPECT_EQ(reason(), "INVALID_LIMITS");
  project_.mutable_limits()->set_requests_per_minute(10);
  auto& model = *project_.add_instance_limits();
  model.set_instance("tenants/ke/projects/other/instances/a");
  model.mutable_limits()->set_requests_per_minute(5);
  EXPECT_EQ(reason(), "INVALID_INSTANCE");
  model.set_instance("tenants/ke/projects/desk/instances/a");
  EXPECT_TRUE(Update(Caller::Tenant("ke"), true));
  model.mutable_limits()->set_requests_per_minute(11);
  EXPECT_EQ(reason(), "INVALID_LIMITS") << "more than the project's";
  model.clear_limits();
  EXPECT_EQ(reason(), "INVALID_LIMITS") << "it limits nothing";
  project_.clear_instance_limits();
  tenant_.mutable_limits()->set_requests_per_minute(9);
  ASSERT_TRUE(UpdateTenant());
  EXPECT_EQ(reason(), "INVALID_LIMITS") << "more than the tenant's";
}

}  // namespace
}  // namespace allod::tenancy::quota_service_test
