// The RPCs of tenants, projects and keys over a real server and channel, on the fake store.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "services/common/rpc/timestamp.h"
#include "services/tenancy/api_key_service.h"
#include "services/tenancy/project_service.h"
#include "services/tenancy/quota_service.h"
#include "services/tenancy/tenant_service.h"
#include "services/tenancy/testing/fake_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace allod::tenancy {

using namespace std::chrono_literals;
using TenantStub = v1::TenantService::Stub;
using ProjectStub = v1::ProjectService::Stub;
using KeyStub = v1::ApiKeyService::Stub;

inline constexpr char kPepper[] = "a pepper of some length";

class TenancyServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    auto server = Server::Start({.listen = address_}, {&tenants_, &projects_, &quotas_, &keys_});
    ASSERT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
    const auto channel = MakeChannel(address_);
    tenant_stub_ = v1::TenantService::NewStub(channel);
    quota_stub_ = v1::QuotaService::NewStub(channel);
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
    return CallUnary(*tenant_stub_, &TenantStub::CreateTenant, request, caller, 5s);
  }
  Result<v1::Project> CreateProject(const std::string& tenant, const Caller& caller) {
    v1::CreateProjectRequest request;
    request.set_parent("tenants/" + tenant);
    request.set_project_id("desk");
    request.mutable_project()->set_display_name("Desk");
    return CallUnary(*project_stub_, &ProjectStub::CreateProject, request, caller, 5s);
  }
  Result<v1::CreateApiKeyResponse> CreateKey(const Caller& caller, const std::string& request_id = "") {
    v1::CreateApiKeyRequest request;
    request.set_parent("tenants/ke/projects/desk");
    request.mutable_api_key()->add_scopes(v1::ApiKey::SCOPE_INFERENCE);
    request.set_request_id(request_id);
    return CallUnary(*key_stub_, &KeyStub::CreateApiKey, request, caller, 5s);
  }

  // A key that ke's project desk has, as it calls.
  Caller KeyOf(const v1::ApiKey& properties) {
    v1::CreateApiKeyRequest request;
    request.set_parent("tenants/ke/projects/desk");
    *request.mutable_api_key() = properties;
    const auto created = CallUnary(*key_stub_, &KeyStub::CreateApiKey, request, Caller::Operator(), 5s);
    EXPECT_TRUE(created) << created.error().message;
    std::vector<std::string> scopes;
    for (const int scope : created->api_key().scopes()) {
      scopes.emplace_back(scope == v1::ApiKey::SCOPE_PORTAL ? "portal" : "inference");
    }
    Roles roles;
    for (const int role : created->api_key().roles()) roles.Add(static_cast<Role>(role));
    const std::string& name = created->api_key().name();
    return Caller::Key("ke", "desk", scopes, roles, name.substr(name.rfind('/') + 1));
  }
  Caller KeyOf(Roles roles) {
    v1::ApiKey properties;
    for (const Role role : roles.List()) properties.add_roles(role);
    return KeyOf(properties);
  }
  Result<v1::RotateApiKeyResponse> Rotate(const std::string& name, std::chrono::seconds overlap, const Caller& caller,
                                          const std::string& request_id = "") {
    v1::RotateApiKeyRequest request;
    request.set_name(name);
    request.mutable_overlap()->set_seconds(overlap.count());
    request.set_request_id(request_id);
    return CallUnary(*key_stub_, &KeyStub::RotateApiKey, request, caller, 5s);
  }
  v1::ApiKey Listed(const std::string& name) {
    v1::ListApiKeysRequest request;
    request.set_parent("tenants/ke/projects/desk");
    const auto listed = CallUnary(*key_stub_, &KeyStub::ListApiKeys, request, Caller::Operator(), 5s);
    for (const v1::ApiKey& key : listed.value().api_keys()) {
      if (key.name() == name) return key;
    }
    ADD_FAILURE() << name;
    return {};
  }

  FakeClock clock_;
  FakeStore store_;
  KeyFeed feed_{store_, clock_};
  CallGates gates_;
  TenantFeed tenant_feed_{store_};
  TenantServiceImpl tenants_{store_, tenant_feed_, clock_, gates_, "ke", [](const auto&...) {}};
  ProjectServiceImpl projects_{store_, clock_, gates_,
                               [this](const std::string& tenant, std::int64_t version, SteadyTime until) {
                                 keys_.AwaitInForce(until, tenant, version);
                               }};
  QuotaServiceImpl quotas_{store_, clock_, gates_};
  ApiKeyServiceImpl keys_{store_, feed_, clock_, gates_, kPepper};
  const TempDir sockets_;
  const std::string address_ = "unix:" + (sockets_ / "s.sock").string();
  std::unique_ptr<Server> server_;
  std::unique_ptr<TenantStub> tenant_stub_;
  std::unique_ptr<ProjectStub> project_stub_;
  std::unique_ptr<v1::QuotaService::Stub> quota_stub_;
  std::unique_ptr<KeyStub> key_stub_;
};

}  // namespace allod::tenancy
