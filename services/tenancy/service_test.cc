// The RPCs over a real server and channel, on the fake store.
#include <gtest/gtest.h>

#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "services/tenancy/api_key_service.h"
#include "services/tenancy/fake_store.h"
#include "services/tenancy/project_service.h"
#include "services/tenancy/tenant_service.h"
#include "tests/support/fake_clock.h"

namespace allod::tenancy {
namespace {

using namespace std::chrono_literals;
using TenantStub = v1::TenantService::Stub;
using ProjectStub = v1::ProjectService::Stub;
using KeyStub = v1::ApiKeyService::Stub;

constexpr char kPepper[] = "a pepper of some length";

class TenancyServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    auto server = Server::Start({.listen = "127.0.0.1:0"}, {&tenants_, &projects_, &keys_});
    ASSERT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
    const auto channel = MakeChannel("127.0.0.1:" + std::to_string(server_->port()));
    tenant_stub_ = v1::TenantService::NewStub(channel);
    project_stub_ = v1::ProjectService::NewStub(channel);
    key_stub_ = v1::ApiKeyService::NewStub(channel);
    feed_.Start();
  }
  void TearDown() override {
    feed_.Stop();
    server_->Stop(1s);
  }

  Result<v1::Tenant> CreateTenant(const std::string& id, const Caller& caller = Caller::Operator()) {
    v1::CreateTenantRequest request;
    request.set_tenant_id(id);
    request.mutable_tenant()->set_display_name("Tenant " + id);
    request.mutable_tenant()->set_currency_code("KES");
    request.mutable_tenant()->add_residency("ke");
    return Call(*tenant_stub_, &TenantStub::CreateTenant, request, caller, 5s);
  }
  Result<v1::Project> CreateProject(const std::string& tenant, const Caller& caller) {
    v1::CreateProjectRequest request;
    request.set_parent("tenants/" + tenant);
    request.set_project_id("desk");
    request.mutable_project()->set_display_name("Desk");
    return Call(*project_stub_, &ProjectStub::CreateProject, request, caller, 5s);
  }
  Result<v1::CreateApiKeyResponse> CreateKey(const Caller& caller, const std::string& request_id = "") {
    v1::CreateApiKeyRequest request;
    request.set_parent("tenants/ke/projects/desk");
    request.mutable_api_key()->add_scopes(v1::ApiKey::SCOPE_INFERENCE);
    request.set_request_id(request_id);
    return Call(*key_stub_, &KeyStub::CreateApiKey, request, caller, 5s);
  }

  FakeClock clock_;
  FakeStore store_;
  KeyFeed feed_{store_};
  TenantServiceImpl tenants_{store_, clock_};
  ProjectServiceImpl projects_{store_, clock_};
  ApiKeyServiceImpl keys_{store_, feed_, clock_, kPepper};
  std::unique_ptr<Server> server_;
  std::unique_ptr<TenantStub> tenant_stub_;
  std::unique_ptr<ProjectStub> project_stub_;
  std::unique_ptr<KeyStub> key_stub_;
};

TEST_F(TenancyServiceTest, OperatorsCreateTenantsAndTenantsReadThemselves) {
  const auto created = CreateTenant("ke");
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_EQ(created->name(), "tenants/ke");
  EXPECT_EQ(created->uid(), Uuid::FromName("tenants/ke").ToString());
  EXPECT_EQ(created->state(), v1::Tenant::STATE_ACTIVE);
  v1::GetTenantRequest get;
  get.set_name("tenants/ke");
  EXPECT_TRUE(Call(*tenant_stub_, &TenantStub::GetTenant, get, Caller::Tenant("ke"), 5s));
  const auto foreign = Call(*tenant_stub_, &TenantStub::GetTenant, get, Caller::Tenant("ug"), 5s);
  EXPECT_EQ(foreign.error().code, Code::kNotFound);
}

TEST_F(TenancyServiceTest, TenantsNeitherCreateNorListTenants) {
  EXPECT_EQ(CreateTenant("ug", Caller::Tenant("ug")).error().code, Code::kPermissionDenied);
  const auto list = Call(*tenant_stub_, &TenantStub::ListTenants, v1::ListTenantsRequest(), Caller::Tenant("ug"), 5s);
  EXPECT_EQ(list.error().code, Code::kPermissionDenied);
}

TEST_F(TenancyServiceTest, RefusesAPageTokenOfAnotherList) {
  v1::ListTenantsRequest request;
  request.set_page_token(EncodePageToken("projects", "x"));
  const auto list = Call(*tenant_stub_, &TenantStub::ListTenants, request, Caller::Operator(), 5s);
  EXPECT_EQ(list.error().reason, "INVALID_PAGE_TOKEN");
}

TEST_F(TenancyServiceTest, ATenantWorksOnlyInItsOwnName) {
  ASSERT_TRUE(CreateTenant("ke"));
  EXPECT_EQ(CreateProject("ke", Caller::Tenant("ug")).error().code, Code::kNotFound);
  EXPECT_TRUE(CreateProject("ke", Caller::Tenant("ke")));
  EXPECT_EQ(CreateKey(Caller::Tenant("ug")).error().code, Code::kNotFound);
  EXPECT_TRUE(CreateKey(Caller::Tenant("ke")));
}

TEST_F(TenancyServiceTest, ShowsAKeysSecretOnceAndStoresOnlyItsDigest) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject("ke", Caller::Operator()));
  const std::string request_id = Uuid::V7().ToString();
  const auto created = CreateKey(Caller::Operator(), request_id);
  ASSERT_TRUE(created) << created.error().message;
  const auto text = ParseApiKey(created->secret());
  ASSERT_TRUE(text);
  EXPECT_EQ(created->api_key().name(), "tenants/ke/projects/desk/apiKeys/" + text->kid);
  EXPECT_TRUE(SameDigest(store_.ValidKeys("ke")->at(0).digest, DigestApiKeySecret(kPepper, text->secret)));
  const auto retried = CreateKey(Caller::Operator(), request_id);
  ASSERT_TRUE(retried);
  EXPECT_EQ(retried->secret(), "");
  EXPECT_EQ(retried->api_key().name(), created->api_key().name());
}

TEST_F(TenancyServiceTest, WatchersGetASnapshotThenCreationsAndRevocations) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject("ke", Caller::Operator()));
  ASSERT_TRUE(CreateKey(Caller::Operator()));
  const auto context = MakeStreamContext(Caller::Service("gateway"));
  context->set_wait_for_ready(true);
  const auto stream = key_stub_->WatchApiKeys(context.get(), v1::WatchApiKeysRequest());
  v1::WatchApiKeysResponse message;
  std::vector<v1::WatchApiKeysResponse::Key> seen;
  const auto read = [&] {
    const bool more = stream->Read(&message);
    if (more) seen.insert(seen.end(), message.keys().begin(), message.keys().end());
    return more;
  };
  while (seen.empty()) ASSERT_TRUE(read());
  EXPECT_TRUE(message.synced());
  EXPECT_EQ(seen[0].tenant_uid(), Uuid::FromName("tenants/ke").ToString());
  EXPECT_EQ(seen[0].currency_code(), "KES");
  EXPECT_EQ(seen[0].digest().size(), 32u);

  const auto second = CreateKey(Caller::Operator());
  ASSERT_TRUE(second);
  while (seen.size() < 2) ASSERT_TRUE(read());
  EXPECT_EQ(seen[1].name(), second->api_key().name());

  v1::RevokeApiKeyRequest revoke;
  revoke.set_name(second->api_key().name());
  ASSERT_TRUE(Call(*key_stub_, &KeyStub::RevokeApiKey, revoke, Caller::Tenant("ke"), 5s));
  while (seen.size() < 3) ASSERT_TRUE(read());
  EXPECT_EQ(seen[2].name(), second->api_key().name());
  EXPECT_TRUE(seen[2].revoked());
  feed_.Stop();
  while (stream->Read(&message)) continue;
  EXPECT_EQ(FromGrpc(stream->Finish()).reason, "SHUTTING_DOWN");
}

TEST_F(TenancyServiceTest, OnlyServicesWatchKeys) {
  for (const Caller& caller : {Caller::Tenant("ke"), Caller::Node("n1")}) {
    const auto context = MakeStreamContext(caller);
    context->set_wait_for_ready(true);
    const auto stream = key_stub_->WatchApiKeys(context.get(), v1::WatchApiKeysRequest());
    v1::WatchApiKeysResponse message;
    EXPECT_FALSE(stream->Read(&message));
    EXPECT_EQ(FromGrpc(stream->Finish()).code, Code::kPermissionDenied);
  }
}

TEST_F(TenancyServiceTest, SaysWhenTheDatabaseIsAway) {
  store_.FailWith(Error{Code::kUnavailable, "DATABASE_UNAVAILABLE", "away"});
  EXPECT_EQ(CreateTenant("ke").error().reason, "DATABASE_UNAVAILABLE");
}

}  // namespace
}  // namespace allod::tenancy
