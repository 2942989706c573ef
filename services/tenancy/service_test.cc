// Tenants and projects over RPC, and whom a crowd leaves answered.
#include "services/tenancy/testing/service_fixture.h"

namespace allod::tenancy::service_test {
namespace {

TEST_F(TenancyServiceTest, OperatorsCreateTenantsAndTenantsReadThemselves) {
  const auto created = CreateTenant("ke");
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_EQ(created->name(), "tenants/ke");
  EXPECT_EQ(created->uid(), Uuid::FromName("tenants/ke").ToString());
  EXPECT_EQ(created->state(), v1::Tenant::STATE_ACTIVE);
  v1::GetTenantRequest get;
  get.set_name("tenants/ke");
  EXPECT_TRUE(CallUnary(*tenant_stub_, &TenantStub::GetTenant, get, Caller::Tenant("ke"), 5s));
  const auto foreign = CallUnary(*tenant_stub_, &TenantStub::GetTenant, get, Caller::Tenant("ug"), 5s);
  EXPECT_EQ(foreign.error().code, Code::kNotFound);
}

TEST_F(TenancyServiceTest, TenantsMakeNoneAtTheTopAndListTheirOwn) {
  EXPECT_EQ(CreateTenant("ug", Caller::Tenant("ug")).error().code, Code::kNotFound) << "it names none of its own above";
  const auto list =
      CallUnary(*tenant_stub_, &TenantStub::ListTenants, v1::ListTenantsRequest(), Caller::Tenant("ug"), 5s);
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_TRUE(list->tenants().empty()) << "of others nothing";
}

TEST_F(TenancyServiceTest, RefusesAPageTokenOfAnotherList) {
  v1::ListTenantsRequest request;
  request.set_page_token(EncodePageToken("projects", "x"));
  const auto list = CallUnary(*tenant_stub_, &TenantStub::ListTenants, request, Caller::Operator(), 5s);
  EXPECT_EQ(list.error().reason, "INVALID_PAGE_TOKEN");
}

TEST_F(TenancyServiceTest, ATenantWorksOnlyInItsOwnName) {
  ASSERT_TRUE(CreateTenant("ke"));
  EXPECT_EQ(CreateProject("ke", Caller::Tenant("ug")).error().code, Code::kNotFound);
  EXPECT_TRUE(CreateProject("ke", Caller::Tenant("ke")));
  EXPECT_EQ(CreateKey(Caller::Tenant("ug")).error().code, Code::kNotFound);
  EXPECT_TRUE(CreateKey(Caller::Tenant("ke")));
}

TEST_F(TenancyServiceTest, RefusesARequestIdThatIsNoneAlsoWhereItOnlyJudges) {
  ASSERT_TRUE(CreateTenant("ke"));
  for (const bool validate_only : {false, true}) {
    v1::CreateTenantRequest tenant;
    tenant.set_tenant_id("ug");
    tenant.mutable_tenant()->set_display_name("Tenant ug");
    tenant.mutable_tenant()->set_currency_code("UGX");
    tenant.mutable_tenant()->add_residency("ug");
    tenant.set_request_id("x");
    tenant.set_validate_only(validate_only);
    EXPECT_EQ(CallUnary(*tenant_stub_, &TenantStub::CreateTenant, tenant, Caller::Operator(), 5s).error().reason,
              "INVALID_REQUEST_ID");
    v1::CreateProjectRequest project;
    project.set_parent("tenants/ke");
    project.set_project_id("desk");
    project.mutable_project()->set_display_name("Desk");
    project.set_request_id("x");
    project.set_validate_only(validate_only);
    EXPECT_EQ(CallUnary(*project_stub_, &ProjectStub::CreateProject, project, Caller::Operator(), 5s).error().reason,
              "INVALID_REQUEST_ID");
  }
}

TEST_F(TenancyServiceTest, OneTenantsCrowdLeavesServicesAndTheOthersAnswered) {
  for (const char* id : {"ke", "ug"}) {
    ASSERT_TRUE(CreateTenant(id));
    ASSERT_TRUE(CreateProject(id, Caller::Operator()));
  }
  const Caller key = Caller::Key("ke", "desk", {"portal"});
  std::vector<CallGate::Pass> crowd;
  for (int i = 0; i < 20; ++i) crowd.push_back(gates_.mutations.Enter(key).value());
  for (int i = 0; i < 2; ++i) crowd.push_back(gates_.reads.Enter(key).value());
  const auto refused = CreateKey(Caller::Key("ke", "desk", {"inference"}, {Role::ROLE_ADMIN}, "akeysownkid2"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_EQ(refused.error().reason, "TOO_MANY_CALLS");
  EXPECT_TRUE(refused.error().retry_after.has_value());
  v1::GetTenantRequest get;
  get.set_name("tenants/ke");
  const auto get_as = [&](const Caller& caller) {
    return CallUnary(*tenant_stub_, &TenantStub::GetTenant, get, caller, 5s);
  };
  EXPECT_EQ(get_as(Caller::Tenant("ke")).error().reason, "TOO_MANY_CALLS") << "when its wait is over";
  EXPECT_TRUE(get_as(Caller::Operator()));
  for (const char* id : {"ug", "rw", "tz"}) {
    for (int i = 0; i < 2; ++i) crowd.push_back(gates_.reads.Enter(Caller::Tenant(id)).value());
  }
  EXPECT_TRUE(get_as(Caller::Operator())) << "has places of its own";
  EXPECT_TRUE(get_as(Caller::Service("scheduling"))) << "also when every place is taken";
  v1::CreateApiKeyRequest request;
  request.set_parent("tenants/ug/projects/desk");
  EXPECT_TRUE(CallUnary(*key_stub_, &KeyStub::CreateApiKey, request, Caller::Tenant("ug"), 5s));
}

TEST_F(TenancyServiceTest, SaysWhenTheDatabaseIsAway) {
  store_.FailWith(Error{Code::kUnavailable, "DATABASE_UNAVAILABLE", "away"});
  EXPECT_EQ(CreateTenant("ke").error().reason, "DATABASE_UNAVAILABLE");
}

}  // namespace
}  // namespace allod::tenancy::service_test
