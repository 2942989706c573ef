// The RPCs of identity providers and workload rules over a real server and channel, on the fake stores.
#include <gtest/gtest.h>

#include <thread>

#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "services/tenancy/identity_provider_service.h"
#include "services/tenancy/testing/fake_identity_store.h"
#include "services/tenancy/testing/fake_store.h"
#include "services/tenancy/workload_rule_service.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace allod::tenancy::identity_service_test {
namespace {

using namespace std::chrono_literals;
using Providers = v1::IdentityProviderService::Stub;
using Rules = v1::WorkloadRuleService::Stub;
using Identities = v1::IdentityService::Stub;

constexpr char kProvider[] = "tenants/ke/identityProviders/ci";
constexpr char kRule[] = "tenants/ke/projects/desk/workloadRules/deploy";

class IdentityServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* id : {"ke", "ug"}) {
      ASSERT_TRUE(tenants_.CreateTenant({id, id, "KES", {id}, TenantState::kActive, Time()}, {}));
      ASSERT_TRUE(tenants_.CreateProject({id, "desk", "Desk", Time()}, {}));
    }
    auto server = Server::Start({.listen = address_}, {&identities_, &providers_, &rules_});
    ASSERT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
    const auto channel = MakeChannel(address_);
    provider_stub_ = v1::IdentityProviderService::NewStub(channel);
    rule_stub_ = v1::WorkloadRuleService::NewStub(channel);
    identity_stub_ = v1::IdentityService::NewStub(channel);
    feed_.Start();
  }
  void TearDown() override {
    feed_.Stop();
    server_->Stop(1s);
  }

  static v1::CreateIdentityProviderRequest NewProvider(const std::string& id = "ci") {
    v1::CreateIdentityProviderRequest request;
    request.set_parent("tenants/ke");
    request.set_identity_provider_id(id);
    request.mutable_identity_provider()->set_display_name("CI");
    request.mutable_identity_provider()->set_issuer("https://" + id + ".example");
    request.mutable_identity_provider()->add_audiences("allod");
    return request;
  }
  static v1::CreateWorkloadRuleRequest NewRule(const std::string& id = "deploy") {
    v1::CreateWorkloadRuleRequest request;
    request.set_parent("tenants/ke/projects/desk");
    request.set_workload_rule_id(id);
    v1::WorkloadRule& rule = *request.mutable_workload_rule();
    rule.set_display_name("Deployments");
    rule.set_identity_provider(kProvider);
    auto& claim = *rule.add_claims();
    claim.set_claim("sub");
    claim.set_prefix("repo:ke/");
    rule.add_scopes(v1::ApiKey::SCOPE_PORTAL);
    rule.add_roles(access::v1::ROLE_DEVELOPER);
    return request;
  }
  Result<v1::IdentityProvider> Create(const v1::CreateIdentityProviderRequest& request,
                                      const Caller& caller = Caller::Operator()) {
    return CallUnary(*provider_stub_, &Providers::CreateIdentityProvider, request, caller, 5s);
  }
  Result<v1::WorkloadRule> Create(const v1::CreateWorkloadRuleRequest& request,
                                  const Caller& caller = Caller::Operator()) {
    return CallUnary(*rule_stub_, &Rules::CreateWorkloadRule, request, caller, 5s);
  }
  Result<v1::WorkloadRule> Update(const v1::WorkloadRule& rule, const Caller& caller = Caller::Operator()) {
    v1::UpdateWorkloadRuleRequest request;
    *request.mutable_workload_rule() = rule;
    return CallUnary(*rule_stub_, &Rules::UpdateWorkloadRule, request, caller, 5s);
  }
  // Of a key that is there, with what `narrow` makes of it.
  Caller KeyOfDesk(const std::string& kid, const std::set<Scope>& scopes, Roles roles,
                   const std::function<void(ApiKey&)>& narrow = {}) {
    ApiKey key{.tenant = "ke", .project = "desk", .kid = kid, .scopes = scopes, .roles = roles};
    if (narrow) narrow(key);
    EXPECT_TRUE(tenants_.CreateApiKey(key, {}, std::nullopt));
    std::vector<std::string> words;
    for (const Scope scope : scopes) words.emplace_back(WordOf(scope));
    return Caller::Key("ke", "desk", words, roles, kid);
  }
  template <typename T>
  static std::string Why(const Result<T>& result) {
    return result ? "" : result.error().reason;
  }

  FakeClock clock_;
  FakeStore tenants_;
  FakeIdentityStore store_{tenants_};
  IdentityFeed feed_{store_, clock_};
  CallGates gates_;
  const ClientSecrets secrets_{"a pepper of some length"};
  IdentityServiceImpl identities_{feed_, secrets_};
  IdentityProviderServiceImpl providers_{store_, identities_, secrets_, clock_, gates_};
  WorkloadRuleServiceImpl rules_{store_, tenants_, identities_, clock_, gates_};
  const TempDir sockets_;
  const std::string address_ = "unix:" + (sockets_ / "s.sock").string();
  std::unique_ptr<Server> server_;
  std::unique_ptr<Providers> provider_stub_;
  std::unique_ptr<Rules> rule_stub_;
  std::unique_ptr<Identities> identity_stub_;
};

TEST_F(IdentityServiceTest, ProvidersAndRulesAreMadeReadChangedAndDeleted) {
  const auto provider = Create(NewProvider(), Caller::Tenant("ke"));
  ASSERT_TRUE(provider) << provider.error().message;
  EXPECT_EQ(provider->name(), kProvider);
  EXPECT_EQ(Create(NewProvider())->etag(), provider->etag()) << "the same again";
  const auto rule = Create(NewRule(), Caller::Tenant("ke"));
  ASSERT_TRUE(rule) << rule.error().message;
  EXPECT_EQ(rule->name(), kRule);
  EXPECT_EQ(rule->token_minutes(), 15);
  EXPECT_FALSE(rule->uid().empty());

  v1::WorkloadRule wanted = *rule;
  wanted.set_disabled(true);
  const auto changed = Update(wanted);
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_TRUE(changed->disabled());
  EXPECT_EQ(changed->uid(), rule->uid());
  EXPECT_EQ(Why(Update(wanted)), "ETAG_MISMATCH");
  wanted.clear_etag();
  EXPECT_EQ(Why(Update(wanted)), "ETAG_REQUIRED");

  v1::DeleteIdentityProviderRequest remove;
  remove.set_name(kProvider);
  const auto remove_provider = [&] {
    return CallUnary(*provider_stub_, &Providers::DeleteIdentityProvider, remove, Caller::Operator(), 5s);
  };
  EXPECT_EQ(Why(remove_provider()), "IDENTITY_PROVIDER_IN_USE");
  v1::DeleteWorkloadRuleRequest remove_rule;
  remove_rule.set_name(kRule);
  EXPECT_TRUE(CallUnary(*rule_stub_, &Rules::DeleteWorkloadRule, remove_rule, Caller::Operator(), 5s));
  EXPECT_TRUE(remove_provider());
  EXPECT_EQ(Why(remove_provider()), "NOT_FOUND");
}

TEST_F(IdentityServiceTest, ADryRunChangesNothing) {
  auto provider = NewProvider();
  provider.set_validate_only(true);
  ASSERT_TRUE(Create(provider));
  EXPECT_FALSE(store_.GetProvider("ke", "ci"));
  ASSERT_TRUE(Create(NewProvider()));
  auto rule = NewRule();
  rule.set_validate_only(true);
  ASSERT_TRUE(Create(rule));
  EXPECT_FALSE(store_.GetRule("ke", "desk", "deploy"));
  rule.mutable_workload_rule()->clear_claims();
  EXPECT_EQ(Why(Create(rule)), "RULE_TOO_WIDE");
  auto taken = NewProvider("other");
  taken.mutable_identity_provider()->set_issuer("https://ci.example");
  taken.set_validate_only(true);
  EXPECT_EQ(Why(Create(taken)), "ISSUER_TAKEN");
}

TEST_F(IdentityServiceTest, AKeyMakesRulesOfItsProjectWithinItsRolesAndNoProviders) {
  EXPECT_EQ(Why(Create(NewProvider(), Caller::Key("ke", "desk", {"portal"}))), "PROJECT_KEY");
  ASSERT_TRUE(Create(NewProvider()));
  EXPECT_EQ(Why(Create(NewRule(), Caller::Key("ke", "desk", {"portal"}, {Role::ROLE_VIEWER}))), "PERMISSION_MISSING");
  EXPECT_EQ(Why(Create(NewRule(), KeyOfDesk("inference", {Scope::kInference}, {Role::ROLE_DEVELOPER}))),
            "SCOPE_NOT_HELD");
  EXPECT_EQ(Why(Create(NewRule(), Caller::Key("ke", "other", {"portal"}))), "NOT_FOUND");
  EXPECT_EQ(Why(Create(NewRule(), Caller::Tenant("ug"))), "NOT_FOUND");
  const Caller developer = KeyOfDesk("developer", {Scope::kPortal}, {Role::ROLE_DEVELOPER});
  const auto rule = Create(NewRule(), developer);
  ASSERT_TRUE(rule) << rule.error().message;
  v1::WorkloadRule wider = *rule;
  wider.add_roles(access::v1::ROLE_ADMIN);
  EXPECT_EQ(Why(Update(wider, developer)), "ROLE_NOT_HELD");
  const auto widened = Update(wider);
  ASSERT_TRUE(widened);
  v1::WorkloadRule elsewhere = *widened;
  elsewhere.mutable_claims(0)->set_prefix("repo:evil/");
  EXPECT_EQ(Why(Update(elsewhere, developer)), "ROLE_NOT_HELD") << "nobody points the roles of others at his pipeline";
}

// A rule is bound by none of what narrows a key, and outlives it.
TEST_F(IdentityServiceTest, WhatIsNarrowedOrShortLivedMakesNoRules) {
  ASSERT_TRUE(Create(NewProvider()));
  const auto narrowed = [&](const std::string& kid, const std::function<void(ApiKey&)>& narrow) {
    return Why(Create(NewRule(), KeyOfDesk(kid, {Scope::kPortal}, {Role::ROLE_ADMIN}, narrow)));
  };
  EXPECT_EQ(narrowed("expires", [&](ApiKey& key) { key.expire_time = clock_.Now() + 1h; }), "MAKER_IS_NARROWED");
  EXPECT_EQ(narrowed("here", [](ApiKey& key) { key.allowed_ip_ranges = {*IpRange::Parse("r", "192.0.2.0/24")}; }),
            "MAKER_IS_NARROWED");
  EXPECT_EQ(narrowed("one", [](ApiKey& key) { key.allowed_instances = {"assistant"}; }), "MAKER_IS_NARROWED");
  EXPECT_EQ(Why(Create(NewRule(), Caller::Key("ke", "desk", {"portal"}, {Role::ROLE_ADMIN}, "unknown"))),
            "MAKER_NOT_VALID");
  EXPECT_EQ(Why(Create(NewRule(), Caller::Key("ke", "desk", {"portal"}, {Role::ROLE_ADMIN}))), "NO_CALLER");
  EXPECT_EQ(Why(Create(NewRule(), Caller::Workload("ke", "desk", "deploy", {"portal"}, {Role::ROLE_ADMIN}))),
            "WORKLOAD_GRANTS_NOTHING");
  EXPECT_EQ(narrowed("free", {}), "");
}

TEST_F(IdentityServiceTest, RefusesWhatMakesNoSense) {
  ASSERT_TRUE(Create(NewProvider()));
  auto request = NewRule();
  request.mutable_workload_rule()->mutable_claims(0)->clear_match();
  EXPECT_EQ(Why(Create(request)), "INVALID_CLAIM");
  request = NewRule();
  request.mutable_workload_rule()->set_identity_provider("tenants/ug/identityProviders/ci");
  EXPECT_EQ(Why(Create(request)), "INVALID_NAME");
  request.mutable_workload_rule()->set_identity_provider("tenants/ke/identityProviders/none");
  EXPECT_EQ(Why(Create(request)), "NOT_FOUND");
  request = NewRule();
  request.mutable_workload_rule()->add_scopes(static_cast<v1::ApiKey::Scope>(7));
  EXPECT_EQ(Why(Create(request)), "INVALID_SCOPE");
  request = NewRule();
  request.mutable_workload_rule()->add_roles(static_cast<Role>(99));
  EXPECT_EQ(Why(Create(request)), "INVALID_ROLE");
  request = NewRule();
  request.set_request_id("no uuid");
  EXPECT_EQ(Why(Create(request)), "INVALID_REQUEST_ID");
}

TEST_F(IdentityServiceTest, WatchersHearOfChangesBeforeTheChangeReturns) {
  ASSERT_TRUE(Create(NewProvider()));
  ASSERT_TRUE(Create(NewRule()));
  grpc::ClientContext context;
  Caller::Service("gateway").AttachTo(context);
  v1::WatchIdentitiesRequest watch;
  watch.set_watcher_id(Uuid::V7().ToString());
  const auto reader = identity_stub_->WatchIdentities(&context, watch);
  v1::WatchIdentitiesResponse message;
  ASSERT_TRUE(reader->Read(&message));
  EXPECT_TRUE(message.synced());
  ASSERT_EQ(message.tenants_size(), 1);
  EXPECT_EQ(message.tenants(0).identity_providers_size(), 1);
  ASSERT_EQ(message.tenants(0).workload_rules_size(), 1);
  const auto acknowledge = [&] {
    v1::AcknowledgeIdentitiesRequest request;
    request.set_watcher_id(watch.watcher_id());
    request.set_version(message.version());
    EXPECT_TRUE(
        CallUnary(*identity_stub_, &Identities::AcknowledgeIdentities, request, Caller::Service("gateway"), 5s));
  };
  acknowledge();
  v1::WorkloadRule wanted = message.tenants(0).workload_rules(0);
  wanted.set_disabled(true);
  std::atomic<bool> returned = false;
  std::thread changer([&] {
    EXPECT_TRUE(Update(wanted));
    returned = true;
  });
  ASSERT_TRUE(reader->Read(&message));
  ASSERT_EQ(message.tenants_size(), 1);
  EXPECT_TRUE(message.tenants(0).workload_rules(0).disabled());
  EXPECT_FALSE(returned) << "before it is acknowledged";
  acknowledge();
  changer.join();
  context.TryCancel();
  reader->Finish();
}

}  // namespace
}  // namespace allod::tenancy::identity_service_test
