// The RPCs over a real server and channel, on the fake store.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "services/common/rpc/timestamp.h"
#include "services/tenancy/api_key_service.h"
#include "services/tenancy/project_service.h"
#include "services/tenancy/tenant_service.h"
#include "services/tenancy/testing/fake_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace allod::tenancy::service_test {
namespace {

using namespace std::chrono_literals;
using TenantStub = v1::TenantService::Stub;
using ProjectStub = v1::ProjectService::Stub;
using KeyStub = v1::ApiKeyService::Stub;

constexpr char kPepper[] = "a pepper of some length";

class TenancyServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    auto server = Server::Start({.listen = address_}, {&tenants_, &projects_, &keys_});
    ASSERT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
    const auto channel = MakeChannel(address_);
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
  TenantServiceImpl tenants_{store_, tenant_feed_, clock_, gates_, [](const auto&...) {}};
  ProjectServiceImpl projects_{store_, clock_, gates_};
  ApiKeyServiceImpl keys_{store_, feed_, clock_, gates_, kPepper};
  const TempDir sockets_;
  const std::string address_ = "unix:" + (sockets_ / "s.sock").string();
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
  EXPECT_TRUE(CallUnary(*tenant_stub_, &TenantStub::GetTenant, get, Caller::Tenant("ke"), 5s));
  const auto foreign = CallUnary(*tenant_stub_, &TenantStub::GetTenant, get, Caller::Tenant("ug"), 5s);
  EXPECT_EQ(foreign.error().code, Code::kNotFound);
}

TEST_F(TenancyServiceTest, TenantsNeitherCreateNorListTenants) {
  EXPECT_EQ(CreateTenant("ug", Caller::Tenant("ug")).error().code, Code::kPermissionDenied);
  const auto list =
      CallUnary(*tenant_stub_, &TenantStub::ListTenants, v1::ListTenantsRequest(), Caller::Tenant("ug"), 5s);
  EXPECT_EQ(list.error().code, Code::kPermissionDenied);
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

TEST_F(TenancyServiceTest, ShowsAKeysSecretOnceAndStoresOnlyItsDigest) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject("ke", Caller::Operator()));
  const std::string request_id = Uuid::V7().ToString();
  const auto created = CreateKey(Caller::Operator(), request_id);
  ASSERT_TRUE(created) << created.error().message;
  const auto text = ParseApiKey(created->secret());
  ASSERT_TRUE(text);
  EXPECT_EQ(created->api_key().name(), "tenants/ke/projects/desk/apiKeys/" + text->kid);
  EXPECT_TRUE(
      SameDigest(store_.ValidKeys("ke", clock_.Now())->at(0).digest, DigestApiKeySecret(kPepper, text->secret)));
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
  ASSERT_TRUE(CallUnary(*key_stub_, &KeyStub::RevokeApiKey, revoke, Caller::Tenant("ke"), 5s));
  while (seen.size() < 3) ASSERT_TRUE(read());
  EXPECT_EQ(seen[2].name(), second->api_key().name());
  EXPECT_TRUE(seen[2].revoked());
  feed_.Stop();
  while (stream->Read(&message)) continue;
  EXPECT_EQ(FromGrpc(stream->Finish()).reason, "SHUTTING_DOWN");
}

// A gateway that applies what it is sent, and acknowledges it when it is let.
class Gateway {
 public:
  explicit Gateway(KeyStub& stub, bool acknowledges = true)
      : stub_(stub), acknowledges_(acknowledges), context_(MakeStreamContext(Caller::Service("gateway"))) {
    context_->set_wait_for_ready(true);
    thread_ = std::thread([this] { Run(); });
    while (!synced_) std::this_thread::sleep_for(1ms);
  }
  ~Gateway() {
    context_->TryCancel();
    thread_.join();
  }
  bool Knows(const std::string& name) const {
    const std::scoped_lock lock(mutex_);
    return keys_.contains(name);
  }
  bool Loses(const std::string& name) const {
    for (int i = 0; i < 5000 && Knows(name); ++i) std::this_thread::sleep_for(1ms);
    return !Knows(name);
  }
  void SetAcknowledges(bool acknowledges) {
    acknowledges_ = acknowledges;
    if (acknowledges) Acknowledge();
  }

 private:
  void Run() {
    v1::WatchApiKeysRequest request;
    request.set_watcher_id(id_);
    const auto stream = stub_.WatchApiKeys(context_.get(), request);
    v1::WatchApiKeysResponse message;
    while (stream->Read(&message)) {
      // As slow as a gateway that has other things to do.
      std::this_thread::sleep_for(5ms);
      {
        const std::scoped_lock lock(mutex_);
        for (const auto& key : message.keys()) {
          if (key.revoked()) keys_.erase(key.name());
          if (!key.revoked()) keys_.insert(key.name());
        }
      }
      if (!message.synced()) continue;
      applied_ = message.version();
      if (acknowledges_) Acknowledge();
      synced_ = true;
    }
    (void)stream->Finish();
  }
  void Acknowledge() {
    v1::AcknowledgeApiKeysRequest request;
    request.set_watcher_id(id_);
    request.set_version(applied_);
    const auto done = CallUnary(stub_, &KeyStub::AcknowledgeApiKeys, request, Caller::Service("gateway"), 5s);
    EXPECT_TRUE(done) << done.error().message;
  }

  KeyStub& stub_;
  const std::string id_ = Uuid::V7().ToString();
  std::atomic<bool> acknowledges_;
  std::unique_ptr<grpc::ClientContext> context_;
  std::atomic<bool> synced_ = false;
  std::atomic<std::int64_t> applied_ = 0;
  mutable std::mutex mutex_;
  std::set<std::string> keys_;
  std::thread thread_;
};

TEST_F(TenancyServiceTest, AKeyIsAtEveryGatewayWhenItsCreationReturnsAndAtNoneAfterItsRevocation) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject("ke", Caller::Operator()));
  Gateway a(*key_stub_);
  Gateway b(*key_stub_);
  for (int i = 0; i < 20; ++i) {
    const auto created = CreateKey(Caller::Operator());
    ASSERT_TRUE(created) << created.error().message;
    const std::string& name = created->api_key().name();
    EXPECT_TRUE(a.Knows(name) && b.Knows(name));
    v1::RevokeApiKeyRequest revoke;
    revoke.set_name(name);
    ASSERT_TRUE(CallUnary(*key_stub_, &KeyStub::RevokeApiKey, revoke, Caller::Operator(), 5s));
    EXPECT_FALSE(a.Knows(name) || b.Knows(name));
  }
}

TEST_F(TenancyServiceTest, AGatewayThatLagsHoldsMutationsUpOnceAndUntilItHasCaughtUpNoMore) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject("ke", Caller::Operator()));
  Gateway slow(*key_stub_);
  Gateway good(*key_stub_);
  slow.SetAcknowledges(false);
  const auto timed = [&] {
    const auto start = std::chrono::steady_clock::now();
    const auto created = CreateKey(Caller::Operator());
    EXPECT_TRUE(created && good.Knows(created->api_key().name()));
    return std::chrono::steady_clock::now() - start;
  };
  const auto first = timed();
  EXPECT_GE(first, Watchers::kWaitMax - 10ms);
  EXPECT_LT(first, Watchers::kWaitMax + 1s);
  for (int i = 0; i < 5; ++i) EXPECT_LT(timed(), 1s) << "it is not waited for again";
  slow.SetAcknowledges(true);
  const auto created = CreateKey(Caller::Operator());
  EXPECT_TRUE(slow.Knows(created->api_key().name())) << "it keeps up again";
}

TEST_F(TenancyServiceTest, ARevocationThatGatewaysCannotBeToldOfIsNotSaidToBeInForceAtOnce) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject("ke", Caller::Operator()));
  Gateway good(*key_stub_);
  const std::string name = CreateKey(Caller::Operator())->api_key().name();
  store_.FailKeysOf("ke", Error{Code::kInternal, "INTERNAL", "a row makes no sense"});
  v1::RevokeApiKeyRequest revoke;
  revoke.set_name(name);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(CallUnary(*key_stub_, &KeyStub::RevokeApiKey, revoke, Caller::Operator(), 500ms));
  EXPECT_GE(std::chrono::steady_clock::now() - start, 300ms) << "what its deadline leaves";
  EXPECT_TRUE(good.Knows(name));
  store_.FailKeysOf("ke", std::nullopt);
  clock_.Advance(1s);
  ASSERT_TRUE(CallUnary(*key_stub_, &KeyStub::RevokeApiKey, revoke, Caller::Operator(), 5s));
  EXPECT_TRUE(good.Loses(name)) << "it is tried again";
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

TEST_F(TenancyServiceTest, AGatewayThatIsGoneHoldsNobodyUp) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject("ke", Caller::Operator()));
  { Gateway gone(*key_stub_, false); }
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(CreateKey(Caller::Operator()));
  EXPECT_LT(std::chrono::steady_clock::now() - start, 1s);
}

TEST_F(TenancyServiceTest, AShortDeadlineIsAnsweredInTimeThoughAGatewayLags) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject("ke", Caller::Operator()));
  Gateway slow(*key_stub_);
  slow.SetAcknowledges(false);
  v1::CreateApiKeyRequest request;
  request.set_parent("tenants/ke/projects/desk");
  const auto created = CallUnary(*key_stub_, &KeyStub::CreateApiKey, request, Caller::Operator(), 500ms);
  EXPECT_TRUE(created) << created.error().message << ": a mutation whose wait ran out still succeeds";
}

TEST_F(TenancyServiceTest, AKeyHandsOnWhatItHasItselfAndNoMore) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject("ke", Caller::Operator()));
  using Scopes = std::vector<v1::ApiKey::Scope>;
  constexpr auto kInference = v1::ApiKey::SCOPE_INFERENCE;
  constexpr auto kPortal = v1::ApiKey::SCOPE_PORTAL;
  struct Case {
    Caller caller;
    std::string parent;
    Scopes asked;
    std::string refused;  // the reason; empty: made
    Scopes made;
  };
  const std::string desk = "tenants/ke/projects/desk";
  v1::ApiKey portal_only;
  portal_only.add_scopes(kPortal);
  const Caller both = KeyOf(v1::ApiKey());
  const Caller portal = KeyOf(portal_only);
  Caller newer = portal;
  newer.scopes.emplace_back("a_scope_of_the_future");
  for (const Case& c :
       {Case{Caller::Operator(), desk, {}, "", {kInference, kPortal}}, Case{both, desk, {}, "", {kInference, kPortal}},
        Case{both, desk, {kInference}, "", {kInference}}, Case{portal, desk, {}, "", {kPortal}},
        Case{portal, desk, {kPortal}, "", {kPortal}}, Case{portal, desk, {kInference}, "SCOPE_NOT_HELD", {}},
        Case{portal, desk, {kInference, kPortal}, "SCOPE_NOT_HELD", {}}, Case{newer, desk, {}, "", {kPortal}},
        Case{both, "tenants/ke/projects/other", {kPortal}, "NOT_FOUND", {}},
        Case{both, "tenants/ug/projects/desk", {kPortal}, "NOT_FOUND", {}}}) {
    v1::CreateApiKeyRequest request;
    request.set_parent(c.parent);
    for (const auto scope : c.asked) request.mutable_api_key()->add_scopes(scope);
    const auto created = CallUnary(*key_stub_, &KeyStub::CreateApiKey, request, c.caller, 5s);
    EXPECT_EQ(created ? "" : created.error().reason, c.refused) << c.caller.ToString();
    Scopes made;
    if (created) {
      for (const int scope : created->api_key().scopes()) made.push_back(static_cast<v1::ApiKey::Scope>(scope));
    }
    EXPECT_EQ(made, c.made) << c.caller.ToString();
  }
}

TEST_F(TenancyServiceTest, WhatAKeyMayDoFollowsItsRoles) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject("ke", Caller::Operator()));
  v1::CreateApiKeyRequest request;
  request.set_parent("tenants/ke/projects/desk");
  request.mutable_api_key()->add_roles(access::v1::ROLE_VIEWER);
  const auto ask = [&](const Caller& caller) {
    const auto created = CallUnary(*key_stub_, &KeyStub::CreateApiKey, request, caller, 5s);
    return created ? std::string() : created.error().reason;
  };
  const auto key = [this](Roles roles) { return KeyOf(roles); };
  EXPECT_EQ(ask(Caller::Operator()), "");
  EXPECT_EQ(ask(key({Role::ROLE_ADMIN})), "");
  EXPECT_EQ(ask(key({Role::ROLE_DEVELOPER})), "ROLE_NOT_HELD");
  EXPECT_EQ(ask(key({Role::ROLE_VIEWER})), "PERMISSION_MISSING");
  Caller boasting = key({Role::ROLE_DEVELOPER});
  boasting.roles = {Role::ROLE_ADMIN};
  EXPECT_EQ(ask(boasting), "ROLE_NOT_HELD") << "what it holds says its row, not who speaks for it";
  request.mutable_api_key()->clear_roles();
  request.mutable_api_key()->add_roles(static_cast<access::v1::Role>(99));
  EXPECT_EQ(ask(Caller::Operator()), "INVALID_ROLE");

  v1::ListApiKeysRequest list;
  list.set_parent("tenants/ke/projects/desk");
  const auto listed = CallUnary(*key_stub_, &KeyStub::ListApiKeys, list, key({Role::ROLE_AUDITOR}), 5s);
  ASSERT_TRUE(listed) << listed.error().message;
  EXPECT_GT(listed->api_keys_size(), 2);
  EXPECT_EQ(CallUnary(*key_stub_, &KeyStub::ListApiKeys, list, key({Role::ROLE_VIEWER}), 5s).error().reason,
            "PERMISSION_MISSING");
}

TEST_F(TenancyServiceTest, AKeyHasWhatNarrowsItAndHandsItOn) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject("ke", Caller::Operator()));
  v1::ApiKey asked;
  *asked.mutable_expire_time() = ToTimestamp(clock_.Now() + 24h);
  asked.add_allowed_ip_ranges("2001:DB8::/32");
  asked.add_allowed_ip_ranges("192.0.2.0/24");
  asked.add_allowed_instances("tenants/ke/projects/desk/instances/b");
  asked.add_allowed_instances("tenants/ke/projects/desk/instances/a");
  const Caller maker = KeyOf(asked);
  const v1::ApiKey made = Listed("tenants/ke/projects/desk/apiKeys/" + maker.kid);
  EXPECT_EQ(TimeFrom("t", made.expire_time()), clock_.Now() + 24h);
  EXPECT_THAT(made.allowed_ip_ranges(), testing::ElementsAre("192.0.2.0/24", "2001:db8::/32"));
  EXPECT_THAT(made.allowed_instances(),
              testing::ElementsAre("tenants/ke/projects/desk/instances/a", "tenants/ke/projects/desk/instances/b"));
  EXPECT_FALSE(made.has_last_used_time());

  v1::CreateApiKeyRequest request;
  request.set_parent("tenants/ke/projects/desk");
  const auto ask = [&](const Caller& caller) {
    const auto created = CallUnary(*key_stub_, &KeyStub::CreateApiKey, request, caller, 5s);
    if (created) {
      EXPECT_EQ(created->api_key().allowed_ip_ranges_size(), 2);
      EXPECT_EQ(created->api_key().allowed_instances_size(), 2);
      EXPECT_TRUE(created->api_key().has_expire_time());
    }
    return created ? std::string() : created.error().reason;
  };
  EXPECT_EQ(ask(maker), "");
  *request.mutable_api_key()->mutable_expire_time() = ToTimestamp(clock_.Now() + 25h);
  EXPECT_EQ(ask(maker), "EXPIRY_NOT_HELD");
  request.mutable_api_key()->clear_expire_time();
  request.mutable_api_key()->add_allowed_ip_ranges("192.0.0.0/16");
  EXPECT_EQ(ask(maker), "IP_RANGE_NOT_HELD");
  request.mutable_api_key()->clear_allowed_ip_ranges();
  request.mutable_api_key()->add_allowed_instances("tenants/ke/projects/desk/instances/c");
  EXPECT_EQ(ask(maker), "INSTANCE_NOT_HELD");
  request.mutable_api_key()->clear_allowed_instances();
  Caller nameless = maker;
  nameless.kid.clear();
  EXPECT_EQ(ask(nameless), "NO_CALLER") << "without its row nobody knows what it holds";
  clock_.Advance(24h);
  EXPECT_EQ(ask(maker), "MAKER_NOT_VALID");
}

TEST_F(TenancyServiceTest, NamesWhatNarrowsAKeyWrongly) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject("ke", Caller::Operator()));
  const auto reason = [&](const std::function<void(v1::ApiKey&)>& change) {
    v1::CreateApiKeyRequest request;
    request.set_parent("tenants/ke/projects/desk");
    change(*request.mutable_api_key());
    const auto created = CallUnary(*key_stub_, &KeyStub::CreateApiKey, request, Caller::Operator(), 5s);
    return created ? std::string() : created.error().reason;
  };
  EXPECT_EQ(reason([&](auto& key) { *key.mutable_expire_time() = ToTimestamp(clock_.Now()); }), "INVALID_EXPIRE_TIME");
  EXPECT_EQ(reason([&](auto& key) { *key.mutable_expire_time() = ToTimestamp(clock_.Now() + 24h * 3661); }),
            "INVALID_EXPIRE_TIME");
  EXPECT_EQ(reason([](auto& key) { key.mutable_expire_time()->set_seconds(1LL << 40); }), "INVALID_TIME");
  EXPECT_EQ(reason([](auto& key) { key.add_allowed_ip_ranges("192.0.2.7/24"); }), "INVALID_IP_RANGE");
  EXPECT_EQ(reason([](auto& key) {
              for (int i = 0; i < 33; ++i) key.add_allowed_ip_ranges("10.0.0." + std::to_string(i));
            }),
            "TOO_MANY_IP_RANGES");
  EXPECT_EQ(reason([](auto& key) { key.add_allowed_instances("tenants/ke/projects/other/instances/a"); }),
            "INVALID_INSTANCE");
  EXPECT_EQ(reason([](auto& key) {
              for (int i = 0; i < 65; ++i) {
                key.add_allowed_instances("tenants/ke/projects/desk/instances/i" + std::to_string(i));
              }
            }),
            "TOO_MANY_INSTANCES");
}

TEST_F(TenancyServiceTest, ARotatedKeysSuccessorIsAtEveryGatewayAndItsSecretIsShownOnce) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject("ke", Caller::Operator()));
  Gateway gateway(*key_stub_);
  const std::string name = CreateKey(Caller::Operator())->api_key().name();
  const std::string request_id = Uuid::V7().ToString();
  const auto rotated = Rotate(name, 1h, Caller::Operator(), request_id);
  ASSERT_TRUE(rotated) << rotated.error().message;
  const std::string successor = rotated->api_key().name();
  EXPECT_NE(successor, name);
  EXPECT_TRUE(gateway.Knows(successor) && gateway.Knows(name));
  const auto text = ParseApiKey(rotated->secret());
  ASSERT_TRUE(text);
  EXPECT_TRUE(successor.ends_with("/" + text->kid));
  EXPECT_EQ(rotated->api_key().scopes(0), v1::ApiKey::SCOPE_INFERENCE);
  EXPECT_EQ(TimeFrom("t", Listed(name).expire_time()), clock_.Now() + 1h);

  const auto again = Rotate(name, 1h, Caller::Operator(), request_id);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->api_key().name(), successor);
  EXPECT_EQ(again->secret(), "");
  EXPECT_EQ(Rotate(name, 2h, Caller::Operator(), request_id).error().reason, "REQUEST_ID_REUSED");
  EXPECT_EQ(Rotate(name, 24h * 31, Caller::Operator()).error().reason, "INVALID_OVERLAP");
  EXPECT_EQ(Rotate(name, -1s, Caller::Operator()).error().reason, "INVALID_OVERLAP");
  EXPECT_EQ(Rotate(name, 1h, Caller::Tenant("ug")).error().code, Code::kNotFound);

  ASSERT_TRUE(Rotate(successor, 0s, Caller::Operator()));
  EXPECT_FALSE(gateway.Knows(successor)) << "without overlap it is refused when the call returns";
  EXPECT_EQ(Rotate(successor, 0s, Caller::Operator()).error().reason, "API_KEY_NOT_VALID");
}

TEST_F(TenancyServiceTest, AKeyRotatesItselfAndNoneThatMayMore) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject("ke", Caller::Operator()));
  v1::ApiKey narrowed;
  narrowed.add_allowed_instances("tenants/ke/projects/desk/instances/a");
  const Caller narrow = KeyOf(narrowed);
  const Caller wide = KeyOf(v1::ApiKey());
  const std::string prefix = "tenants/ke/projects/desk/apiKeys/";
  EXPECT_EQ(Rotate(prefix + wide.kid, 1h, narrow).error().reason, "INSTANCE_NOT_HELD");
  EXPECT_FALSE(Listed(prefix + wide.kid).has_expire_time()) << "nor is anything changed";
  EXPECT_TRUE(Rotate(prefix + narrow.kid, 1h, wide));
  const auto itself = Rotate(prefix + narrow.kid, 0s, narrow);
  ASSERT_TRUE(itself) << itself.error().message;
  EXPECT_EQ(itself->api_key().allowed_instances_size(), 1);
  EXPECT_EQ(Rotate(itself->api_key().name(), 0s, narrow).error().reason, "MAKER_NOT_VALID");
}

TEST_F(TenancyServiceTest, GatewaysSayWhenKeysWereUsed) {
  for (const char* id : {"ke", "ug"}) {
    ASSERT_TRUE(CreateTenant(id));
    ASSERT_TRUE(CreateProject(id, Caller::Operator()));
  }
  const std::string name = CreateKey(Caller::Operator())->api_key().name();
  v1::CreateApiKeyRequest create;
  create.set_parent("tenants/ug/projects/desk");
  const auto foreign = CallUnary(*key_stub_, &KeyStub::CreateApiKey, create, Caller::Operator(), 5s);
  ASSERT_TRUE(foreign);
  v1::ReportApiKeyUseRequest request;
  const auto add = [&](const std::string& key, Time time) {
    request.add_uses()->set_name(key);
    *request.mutable_uses(request.uses_size() - 1)->mutable_use_time() = ToTimestamp(time);
  };
  const auto report = [&](const Caller& caller) {
    const auto done = CallUnary(*key_stub_, &KeyStub::ReportApiKeyUse, request, caller, 5s);
    return done ? std::string() : done.error().reason;
  };
  clock_.Advance(90s);
  add(foreign->api_key().name(), clock_.Now());
  add(name, clock_.Now() + 1h);
  for (const Caller& caller : {Caller::Operator(), Caller::Tenant("ke"), Caller::Node("n")}) {
    EXPECT_EQ(report(caller), "NOT_ALLOWED");
  }
  // One tenant's trouble is not the others'.
  store_.FailKeysOf("ke", Error{Code::kInternal, "INTERNAL", "a row makes no sense"});
  EXPECT_EQ(report(Caller::Service("gateway")), "");
  store_.FailKeysOf("ke", std::nullopt);
  EXPECT_TRUE(store_.ValidKeys("ug", clock_.Now())->at(0).last_used_time);
  EXPECT_FALSE(Listed(name).has_last_used_time());
  EXPECT_EQ(report(Caller::Service("gateway")), "");
  EXPECT_EQ(TimeFrom("t", Listed(name).last_used_time()), std::chrono::floor<std::chrono::minutes>(clock_.Now()))
      << "a minute, and none that is still to come";
  add("tenants/ke/projects/desk", clock_.Now());
  EXPECT_EQ(report(Caller::Service("gateway")), "INVALID_NAME");
  request.clear_uses();
  for (int i = 0; i < 1001; ++i) add(name, clock_.Now());
  EXPECT_EQ(report(Caller::Service("gateway")), "TOO_MANY_USES");
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
}  // namespace allod::tenancy::service_test
