// Quotas over the RPCs: who sets them, and who is shown what.
#include <gmock/gmock.h>

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

}  // namespace
}  // namespace allod::tenancy::quota_service_test
