// The audit log of tenancy over its RPCs and PostgreSQL: each change leaves one entry with who made it, and what failed
// or was only repeated leaves none; who was refused is in the log of the caller's own tenant.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "allod/tenancy/v1/audit.grpc.pb.h"
#include "services/common/audit/access_log.h"
#include "services/common/audit/convert.h"
#include "services/common/audit/reader.h"
#include "services/common/digest.h"
#include "services/common/rpc/client.h"
#include "services/tenancy/api_key_service.h"
#include "services/tenancy/pg_store.h"
#include "services/tenancy/pg_store_identity.h"
#include "services/tenancy/pg_store_members.h"
#include "services/tenancy/pg_store_roles.h"
#include "services/tenancy/pg_store_sessions.h"
#include "services/tenancy/project_service.h"
#include "services/tenancy/tenant_service.h"
#include "tests/support/fake_clock.h"
#include "tests/support/pg_fixture.h"
#include "tests/support/temp_dir.h"

namespace allod::tenancy::tenancy_audit_test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using TenantStub = v1::TenantService::Stub;
using ProjectStub = v1::ProjectService::Stub;
using KeyStub = v1::ApiKeyService::Stub;
using AuditStub = v1::AuditService::Stub;
using AuditServiceImpl = audit::AuditService<v1::AuditService, v1::ListAuditEntriesRequest, v1::GetAuditHeadRequest>;

const Caller kKey = Caller::Key("ke", "desk", {"portal"}, {Role::ROLE_ADMIN}, "kkkkkkkkkkkk");

class TenancyAudit : public testing::Test {
 protected:
  void SetUp() override {
    server_ = *Server::Start({.listen = address_}, {&tenants_, &projects_, &keys_, &audit_});
    const auto channel = MakeChannel(address_);
    tenant_stub_ = v1::TenantService::NewStub(channel);
    project_stub_ = v1::ProjectService::NewStub(channel);
    key_stub_ = v1::ApiKeyService::NewStub(channel);
    audit_stub_ = v1::AuditService::NewStub(channel);
    feed_.Start();
  }
  void TearDown() override {
    feed_.Stop();
    server_->Stop(1s);
  }

  Result<v1::Tenant> CreateTenant(const std::string& id, const std::string& request_id = "",
                                  const std::string& display_name = "Kenya") {
    v1::CreateTenantRequest request;
    request.set_tenant_id(id);
    request.mutable_tenant()->set_display_name(display_name);
    request.mutable_tenant()->set_currency_code("KES");
    request.mutable_tenant()->add_residency("ke");
    request.set_request_id(request_id);
    return CallUnary(*tenant_stub_, &TenantStub::CreateTenant, request, Caller::Operator(), 5s);
  }
  Result<v1::Project> CreateProject(const Caller& caller, const std::string& display_name = "Achieng's desk",
                                    bool validate_only = false) {
    v1::CreateProjectRequest request;
    request.set_parent("tenants/ke");
    request.set_project_id("desk");
    request.mutable_project()->set_display_name(display_name);
    request.set_validate_only(validate_only);
    return CallUnary(*project_stub_, &ProjectStub::CreateProject, request, caller, 5s);
  }
  Result<v1::CreateApiKeyResponse> CreateKey(const Caller& caller, const std::string& request_id = "",
                                             const std::string& project = "desk") {
    v1::CreateApiKeyRequest request;
    request.set_parent("tenants/ke/projects/" + project);
    request.mutable_api_key()->add_scopes(v1::ApiKey::SCOPE_PORTAL);
    request.mutable_api_key()->set_display_name("Njeri's laptop");
    request.set_request_id(request_id);
    return CallUnary(*key_stub_, &KeyStub::CreateApiKey, request, caller, 5s);
  }
  Result<google::protobuf::Empty> Revoke(const Caller& caller, const std::string& name) {
    v1::RevokeApiKeyRequest request;
    request.set_name(name);
    return CallUnary(*key_stub_, &KeyStub::RevokeApiKey, request, caller, 5s);
  }
  Result<audit::v1::AuditEntries> List(const Caller& caller, v1::ListAuditEntriesRequest request = {},
                                       const std::string& tenant = "tenants/ke") {
    request.set_parent(tenant);
    return CallUnary(*audit_stub_, &AuditStub::ListAuditEntries, request, caller, 5s);
  }
  // Read by the tenant itself, which leaves no trace.
  std::vector<audit::v1::AuditEntry> Entries(const std::string& tenant = "ke") {
    const auto listed = List(Caller::Tenant(tenant), {}, "tenants/" + tenant);
    EXPECT_TRUE(listed) << listed.error().message;
    return {listed->entries().begin(), listed->entries().end()};
  }
  std::vector<std::string> Actions(const std::string& tenant = "ke") {
    std::vector<std::string> out;
    for (const auto& entry : Entries(tenant)) out.push_back(entry.action());
    return out;
  }
  // Whether the whole log is sound and ends at its head.
  std::string Broken() {
    v1::GetAuditHeadRequest request;
    request.set_parent("tenants/ke");
    const auto head = CallUnary(*audit_stub_, &AuditStub::GetAuditHead, request, Caller::Tenant("ke"), 5s);
    audit::ChainVerifier verifier(audit::Genesis("tenancy", "tenants/ke"));
    verifier.Expect(*audit::FromProto(*head));
    for (const auto& entry : Entries()) {
      if (const auto broken = verifier.Add(*audit::FromProto(entry))) return broken->words;
    }
    const auto broken = verifier.Finish();
    return broken ? broken->words : "";
  }

  TestDatabase database_{"tenancy"};
  PgConfig config_ = [&] {
    PgConfig config = database_.app_config();
    config.connections_max = 8;
    return config;
  }();
  FakeClock clock_;
  PgPool pool_{config_};
  PgStore store_{pool_};
  KeyFeed feed_{store_, clock_};
  CallGates gates_;
  audit::AccessLog access_log_{pool_, "tenancy", clock_};
  const ObserveAccess observed_{access_log_};
  TenantFeed tenant_feed_{store_};
  TenantServiceImpl tenants_{store_, tenant_feed_, clock_, gates_, "ke", [](const auto&...) {}};
  ProjectServiceImpl projects_{store_, clock_, gates_, [](const auto&...) {}};
  ApiKeyServiceImpl keys_{store_, feed_, clock_, gates_, "a pepper of some length"};
  audit::Reader reader_{pool_, "tenancy", gates_.reads};
  AuditServiceImpl audit_{reader_};
  const TempDir sockets_;
  const std::string address_ = "unix:" + (sockets_ / "s.sock").string();
  std::unique_ptr<Server> server_;
  std::unique_ptr<TenantStub> tenant_stub_;
  std::unique_ptr<ProjectStub> project_stub_;
  std::unique_ptr<KeyStub> key_stub_;
  std::unique_ptr<AuditStub> audit_stub_;
};

TEST_F(TenancyAudit, EachChangeLeavesOneEntryWithWhoMadeIt) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject(Caller::Tenant("ke")));
  const auto maker = CreateKey(Caller::Tenant("ke"));
  ASSERT_TRUE(maker) << maker.error().message;
  const std::string& maker_name = maker->api_key().name();
  const std::string kid = maker_name.substr(maker_name.rfind('/') + 1);
  const auto key = CreateKey(Caller::Key("ke", "desk", {"portal"}, {Role::ROLE_ADMIN}, kid));
  ASSERT_TRUE(key) << key.error().message;
  ASSERT_TRUE(Revoke(Caller::Operator(), key->api_key().name()));

  auto entries = Entries();
  ASSERT_THAT(Actions(), ElementsAre("tenancy.tenants.create", "tenancy.projects.create", "tenancy.apiKeys.create",
                                     "tenancy.apiKeys.create", "tenancy.apiKeys.revoke"));
  entries.erase(entries.begin() + 2);
  EXPECT_EQ(entries[0].actor().kind(), "operator");
  EXPECT_EQ(entries[0].resource(), "tenants/ke");
  EXPECT_EQ(entries[1].actor().kind(), "tenant");
  EXPECT_EQ(entries[1].actor().id(), "tenants/ke");
  EXPECT_EQ(entries[1].resource(), "tenants/ke/projects/desk");
  EXPECT_EQ(entries[2].actor().kind(), "api_key");
  EXPECT_EQ(entries[2].actor().id(), maker_name);
  EXPECT_EQ(entries[2].actor().credential(), kid);
  EXPECT_EQ(entries[2].resource(), key->api_key().name());
  EXPECT_EQ(entries[3].actor().kind(), "operator") << "an operator's change stands in the tenant's own log";
  EXPECT_EQ(entries[3].resource(), key->api_key().name());
  for (const auto& entry : entries) {
    EXPECT_EQ(entry.outcome(), audit::v1::AuditEntry::OUTCOME_DONE);
    EXPECT_EQ(entry.trace_id().size(), 32u);
    EXPECT_EQ(entry.DebugString().find(key->secret()), std::string::npos);
  }
  // What people typed is personal.
  EXPECT_EQ(entries[2].details(2).name(), "display_name");
  EXPECT_EQ(entries[2].details(2).value(), "Njeri's laptop");
  EXPECT_EQ(entries[2].details(2).commitment().size(), 32u);
  EXPECT_EQ(Broken(), "");
}

TEST_F(TenancyAudit, TheLifeOfATenantAndItsKeysStandInItsLog) {
  auto tenant = CreateTenant("ke");
  ASSERT_TRUE(tenant);
  v1::UpdateTenantRequest update;
  *update.mutable_tenant() = *tenant;
  update.mutable_tenant()->set_weight(7);
  tenant = CallUnary(*tenant_stub_, &TenantStub::UpdateTenant, update, Caller::Operator(), 5s);
  ASSERT_TRUE(tenant) << tenant.error().message;
  v1::SuspendTenantRequest suspend;
  suspend.set_name("tenants/ke");
  suspend.set_reason("unpaid since May");
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(CallUnary(*tenant_stub_, &TenantStub::SuspendTenant, suspend, Caller::Operator(), 5s));
  }
  v1::ResumeTenantRequest resume;
  resume.set_name("tenants/ke");
  ASSERT_TRUE(CallUnary(*tenant_stub_, &TenantStub::ResumeTenant, resume, Caller::Operator(), 5s));
  ASSERT_TRUE(CreateProject(Caller::Operator()));
  const auto key = CreateKey(Caller::Operator());
  ASSERT_TRUE(key);
  v1::RotateApiKeyRequest rotate;
  rotate.set_name(key->api_key().name());
  ASSERT_TRUE(CallUnary(*key_stub_, &KeyStub::RotateApiKey, rotate, Caller::Operator(), 5s));

  EXPECT_THAT(Actions(), ElementsAre("tenancy.tenants.create", "tenancy.tenants.update", "tenancy.tenants.suspend",
                                     "tenancy.tenants.resume", "tenancy.projects.create", "tenancy.apiKeys.create",
                                     "tenancy.apiKeys.rotate"));
  const auto entries = Entries();
  ASSERT_EQ(entries[1].details_size(), 2);
  EXPECT_EQ(entries[1].details(0).name() + "=" + entries[1].details(0).value(), "weight_before=1");
  EXPECT_EQ(entries[1].details(1).name() + "=" + entries[1].details(1).value(), "weight=7");
  EXPECT_EQ(entries[6].resource(), key->api_key().name());
  EXPECT_EQ(Broken(), "");
}

TEST_F(TenancyAudit, TheLifeOfProvidersAndRulesStandsInItsLog) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject(Caller::Operator()));
  PgIdentityStore identities{pool_};
  IdentityProvider provider{.tenant = "ke",
                            .id = "ci",
                            .display_name = "CI",
                            .issuer = "https://ci.example",
                            .audiences = {"njeri@example.ke"},
                            .create_time = clock_.Now()};
  WorkloadRule rule{.tenant = "ke",
                    .project = "desk",
                    .id = "deploy",
                    .uid = Uuid::V7(),
                    .display_name = "Deployments",
                    .provider = "ci",
                    .claims = {{"sub", "achieng@example.ke"}},
                    .scopes = {Scope::kInference},
                    .token_minutes = 10,
                    .create_time = clock_.Now()};
  const auto made_provider = identities.CreateProvider(provider, {});
  ASSERT_TRUE(made_provider) << made_provider.error().message;
  ASSERT_TRUE(identities.CreateProvider(provider, {}));
  const auto made_rule = identities.CreateRule(rule, {});
  ASSERT_TRUE(made_rule) << made_rule.error().message;
  ASSERT_TRUE(identities.CreateRule(rule, {}));
  provider.disabled = true;
  const auto changed_provider = identities.UpdateProvider(provider, EtagOf(*made_provider), {Role::ROLE_OWNER}, {});
  ASSERT_TRUE(changed_provider) << changed_provider.error().message;
  ASSERT_TRUE(identities.UpdateProvider(provider, EtagOf(*changed_provider), {Role::ROLE_OWNER}, {}))
      << "changes nothing";
  rule.token_minutes = 20;
  const auto changed_rule = identities.UpdateRule(rule, EtagOf(*made_rule), {});
  ASSERT_TRUE(changed_rule) << changed_rule.error().message;
  ASSERT_TRUE(identities.UpdateRule(rule, EtagOf(*changed_rule), {})) << "changes nothing";
  EXPECT_FALSE(identities.DeleteProvider("ke", "ci", {})) << "a rule names it";
  const RequestId request = *MakeRequestId(Uuid::V7().ToString(), "test", "delete");
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(identities.DeleteRule("ke", "desk", "deploy", request));
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(identities.DeleteProvider("ke", "ci", request));

  ASSERT_THAT(Actions(), ElementsAre("tenancy.tenants.create", "tenancy.projects.create",
                                     "tenancy.identityProviders.create", "tenancy.workloadRules.create",
                                     "tenancy.identityProviders.update", "tenancy.workloadRules.update",
                                     "tenancy.workloadRules.delete", "tenancy.identityProviders.delete"));
  const auto entries = Entries();
  EXPECT_EQ(entries[2].resource(), "tenants/ke/identityProviders/ci");
  EXPECT_EQ(entries[3].resource(), "tenants/ke/projects/desk/workloadRules/deploy");
  // What may name people is personal.
  int personal = 0;
  for (const auto& entry : entries) {
    for (const auto& detail : entry.details()) {
      if (detail.name() != "claims" && detail.name() != "audiences") continue;
      ++personal;
      EXPECT_EQ(detail.value(), detail.name() == "claims" ? "sub=achieng@example.ke" : "njeri@example.ke");
      EXPECT_EQ(detail.commitment().size(), 32U) << entry.action();
    }
  }
  EXPECT_EQ(personal, 4);
  EXPECT_EQ(Broken(), "");
}

TEST_F(TenancyAudit, WhoOfThePeopleMayWhatAndWhoWasInStandsInItsLog) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject(Caller::Operator()));
  PgIdentityStore identities{pool_};
  PgMemberStore members{pool_};
  PgSessionStore sessions{pool_};
  IdentityProvider provider{.tenant = "ke",
                            .id = "corp",
                            .display_name = "Corp",
                            .issuer = "https://corp.example",
                            .create_time = clock_.Now()};
  provider.sign_in = SignIn{.client_id = "allod", .scopes = {"email"}, .sealed_secret = "sealed-text"};
  const auto made = identities.CreateProvider(provider, {});
  ASSERT_TRUE(made) << made.error().message;
  provider.sign_in->sealed_secret = "";
  ASSERT_TRUE(identities.UpdateProvider(provider, EtagOf(*made), {Role::ROLE_OWNER}, {}));
  Member member{.tenant = "ke",
                .id = "achieng",
                .uid = Uuid::V7(),
                .display_name = "Achieng Otieno",
                .provider = "corp",
                .claims = {{"email", "achieng@example.ke"}, {"groups", "ops", ClaimComparison::kContains}},
                .grants = {{"", {Role::ROLE_VIEWER, Role::ROLE_BILLING}}, {"desk", {Role::ROLE_ADMIN}}},
                .create_time = clock_.Now()};
  const auto made_member = members.CreateMember(member, {});
  ASSERT_TRUE(made_member) << made_member.error().message;
  ASSERT_TRUE(members.CreateMember(member, {}));
  const auto session = [&](int minute) {
    const Time begin = clock_.Now() + std::chrono::minutes(minute);
    return Session{.tenant = "ke",
                   .id = Uuid::V7(begin),
                   .person = {"corp", "sub-of-achieng"},
                   .display_name = "Achieng O.",
                   .members = {"achieng"},
                   .client_address = "192.0.2.7",
                   .user_agent = "Mozilla",
                   .create_time = begin,
                   .expire_time = begin + 1h};
  };
  const auto begun = sessions.BeginSession(session(0), Sha256Hex("a"));
  ASSERT_TRUE(begun) << begun.error().message;
  EXPECT_FALSE(sessions.BeginSession(session(1), Sha256Hex("a"))) << "a replay";
  ASSERT_TRUE(sessions.BeginSession(session(2), Sha256Hex("b")));
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(sessions.EndSession("ke", begun->session.id, session(3).create_time));
  for (int i = 0; i < 2; ++i)
    ASSERT_TRUE(sessions.EndSessions("ke", {"corp", "sub-of-achieng"}, session(3).create_time));
  member.disabled = true;
  ASSERT_TRUE(members.UpdateMember(member, EtagOf(*made_member), {Role::ROLE_OWNER}, {}));
  EXPECT_FALSE(members.DeleteMember("ke", "achieng", {Role::ROLE_VIEWER}, {})) << "it has more";
  ASSERT_TRUE(members.DeleteMember("ke", "achieng", {Role::ROLE_OWNER}, {}));

  ASSERT_THAT(Actions(),
              ElementsAre("tenancy.tenants.create", "tenancy.projects.create", "tenancy.identityProviders.create",
                          "tenancy.identityProviders.update", "tenancy.members.create", "tenancy.sessions.begin",
                          "tenancy.sessions.begin", "tenancy.sessions.end", "tenancy.sessions.end",
                          "tenancy.members.update", "tenancy.members.delete"));
  const auto entries = Entries();
  // Each as "name=value", what is personal in brackets.
  const auto details = [&](std::size_t i) {
    std::vector<std::string> out;
    for (const auto& detail : entries[i].details()) {
      const bool is_personal = !detail.commitment().empty();
      out.push_back(detail.name() + (is_personal ? "=[" + detail.value() + "]" : "=" + detail.value()));
    }
    return out;
  };
  EXPECT_THAT(details(2), testing::IsSupersetOf({"client_id=[allod]", "sign_in_scopes=email", "client_secret=set"}));
  EXPECT_THAT(details(3), testing::Contains("client_secret=cleared"));
  EXPECT_EQ(entries[4].resource(), "tenants/ke/members/achieng");
  EXPECT_THAT(details(4), ElementsAre("identity_provider=corp", "claims=[email=achieng@example.ke,groups has ops]",
                                      "grants=tenant=billing+viewer,projects/desk=admin", "disabled=false",
                                      "display_name=[Achieng Otieno]"));
  EXPECT_EQ(entries[5].resource(), begun->session.name());
  EXPECT_THAT(details(5),
              ElementsAre("identity_provider=corp", "members=achieng", "client=browser", "subject=[sub-of-achieng]",
                          "display_name=[Achieng O.]", "client_address=[192.0.2.7]"));
  EXPECT_EQ(entries[7].resource(), begun->session.name());
  EXPECT_THAT(details(7), ElementsAre("ended=1"));
  EXPECT_EQ(entries[8].resource(), "tenants/ke/sessions");
  EXPECT_THAT(details(8), ElementsAre("identity_provider=corp", "subject=[sub-of-achieng]", "ended=1"));
  for (const auto& entry : entries) EXPECT_EQ(entry.DebugString().find("sealed-text"), std::string::npos);
  EXPECT_EQ(Broken(), "");
}

TEST_F(TenancyAudit, WhatIsRepeatedJudgedOrFailsLeavesNone) {
  const std::string id = Uuid::V7().ToString();
  ASSERT_TRUE(CreateTenant("ke", id));
  ASSERT_TRUE(CreateTenant("ke", id));
  ASSERT_TRUE(CreateTenant("ke"));
  EXPECT_FALSE(CreateTenant("ke", "", "Another"));
  ASSERT_TRUE(CreateProject(Caller::Operator(), "Desk", true));
  EXPECT_EQ(Entries().size(), 1u);
  ASSERT_TRUE(CreateProject(Caller::Operator()));
  ASSERT_TRUE(CreateProject(Caller::Operator()));
  EXPECT_FALSE(CreateProject(Caller::Operator(), "Another"));
  EXPECT_FALSE(CreateKey(Caller::Operator(), "", "nowhere"));
  const std::string key_id = Uuid::V7().ToString();
  const auto key = CreateKey(Caller::Operator(), key_id);
  ASSERT_TRUE(key);
  ASSERT_TRUE(CreateKey(Caller::Operator(), key_id));
  ASSERT_TRUE(Revoke(Caller::Operator(), key->api_key().name()));
  ASSERT_TRUE(Revoke(Caller::Operator(), key->api_key().name()));
  EXPECT_FALSE(Revoke(Caller::Operator(), "tenants/ke/projects/desk/apiKeys/zzzzzzzzzzzz"));
  EXPECT_THAT(Actions(), ElementsAre("tenancy.tenants.create", "tenancy.projects.create", "tenancy.apiKeys.create",
                                     "tenancy.apiKeys.revoke"));
  EXPECT_EQ(Broken(), "");
}

TEST_F(TenancyAudit, ConcurrentChangesOfOneTenantAreOneChain) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject(Caller::Operator()));
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 5; ++i) {
          const auto made = CreateKey(Caller::Tenant("ke"));
          EXPECT_TRUE(made) << made.error().message;
        }
      });
    }
  }
  EXPECT_EQ(Entries().size(), 42u);
  EXPECT_EQ(Broken(), "");
}

TEST_F(TenancyAudit, WhoWasRefusedIsInTheLogOfTheCallersTenantOnly) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateTenant("ug"));
  ASSERT_TRUE(CreateProject(Caller::Operator()));
  const Caller stranger = Caller::Key("ug", "p", {"portal"}, {Role::ROLE_ADMIN}, "uuuuuuuuuuuu");
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(CreateKey(stranger));
  // One that the method itself refuses.
  const Caller viewer = Caller::Key("ke", "desk", {"inference"}, {Role::ROLE_DEVELOPER}, "vvvvvvvvvvvv");
  EXPECT_EQ(CreateKey(viewer).error().reason, "SCOPE_NOT_HELD");
  ASSERT_TRUE(access_log_.WriteDue());
  auto entries = Entries("ug");
  ASSERT_THAT(Actions("ug"), ElementsAre("tenancy.tenants.create", "tenancy.apiKeys.create"));
  EXPECT_EQ(entries[1].outcome(), audit::v1::AuditEntry::OUTCOME_REFUSED);
  EXPECT_EQ(entries[1].reason(), "NOT_FOUND");
  EXPECT_EQ(entries[1].actor().id(), "tenants/ug/projects/p/apiKeys/uuuuuuuuuuuu");
  EXPECT_EQ(entries[1].resource(), "tenants/ke/projects/desk");
  entries = Entries();
  ASSERT_THAT(Actions(), ElementsAre("tenancy.tenants.create", "tenancy.projects.create", "tenancy.apiKeys.create"));
  EXPECT_EQ(entries[2].outcome(), audit::v1::AuditEntry::OUTCOME_REFUSED);
  EXPECT_EQ(entries[2].reason(), "SCOPE_NOT_HELD");
  EXPECT_EQ(entries[2].actor().credential(), "vvvvvvvvvvvv");
  // However many there are, a minute is one more entry.
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(CreateKey(stranger));
  ASSERT_TRUE(access_log_.WriteDue());
  EXPECT_EQ(Entries("ug").size(), 2u);
  clock_.Advance(60s);
  ASSERT_TRUE(access_log_.WriteDue());
  EXPECT_EQ(Entries("ug").size(), 3u);
  EXPECT_EQ(Broken(), "");
}

TEST_F(TenancyAudit, WhatAnOperatorReadsIsInTheTenantsLog) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject(Caller::Operator()));
  v1::ListApiKeysRequest request;
  request.set_parent("tenants/ke/projects/desk");
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(CallUnary(*key_stub_, &KeyStub::ListApiKeys, request, Caller::Operator(), 5s));
    EXPECT_TRUE(CallUnary(*key_stub_, &KeyStub::ListApiKeys, request, kKey, 5s)) << "a tenant's own reads are not";
  }
  v1::GetTenantRequest none;
  none.set_name("tenants/tz");
  EXPECT_FALSE(CallUnary(*tenant_stub_, &TenantStub::GetTenant, none, Caller::Operator(), 5s));
  access_log_.Stop();
  const auto entries = Entries();
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[2].action(), "tenancy.apiKeys.list");
  EXPECT_EQ(entries[2].actor().kind(), "operator");
  EXPECT_EQ(entries[2].resource(), "tenants/ke/projects/desk");
  EXPECT_EQ(entries[2].details(0).name(), "count");
  EXPECT_EQ(entries[2].details(0).value(), "50");
  EXPECT_TRUE(Entries("tz").empty());
  EXPECT_EQ(Broken(), "");
}

TEST_F(TenancyAudit, AnOperatorsReadBeginsNoLogOfATenantThatIsNone) {
  ASSERT_TRUE(CreateTenant("ke"));
  v1::GetAuditHeadRequest head;
  v1::ListAuditEntriesRequest list;
  for (const char* tenant : {"tenants/nope", "tenants/ke"}) {
    head.set_parent(tenant);
    list.set_parent(tenant);
    EXPECT_TRUE(CallUnary(*audit_stub_, &AuditStub::GetAuditHead, head, Caller::Operator(), 5s));
    EXPECT_TRUE(CallUnary(*audit_stub_, &AuditStub::ListAuditEntries, list, Caller::Operator(), 5s));
  }
  access_log_.Stop();
  EXPECT_TRUE(Entries("nope").empty());
  EXPECT_EQ(Entries("ke").size(), 2u) << "made, and read";
  EXPECT_EQ(Broken(), "");
}

TEST_F(TenancyAudit, SaysByWhichRoleAnOperatorActs) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject(Caller::Operator()));
  v1::ListApiKeysRequest request;
  request.set_parent("tenants/ke/projects/desk");
  for (const Roles roles :
       {Roles{Role::ROLE_OPERATOR}, Roles{Role::ROLE_SUPPORT}, Roles{Role::ROLE_OPERATOR_AUDITOR}}) {
    EXPECT_TRUE(CallUnary(*key_stub_, &KeyStub::ListApiKeys, request, Caller::Operator(roles), 5s));
  }
  access_log_.Stop();
  const auto entries = Entries();
  ASSERT_EQ(entries.size(), 5u);
  EXPECT_EQ(entries[0].actor().id(), "operator") << "a change";
  std::set<std::string> readers;
  for (std::size_t i = 2; i < entries.size(); ++i) {
    EXPECT_EQ(entries[i].actor().kind(), "operator");
    readers.insert(entries[i].actor().id());
  }
  EXPECT_EQ(readers, (std::set<std::string>{"operator", "operator_auditor", "support"}));
  EXPECT_EQ(Broken(), "");
}

TEST_F(TenancyAudit, EachChangeOfACustomRoleStandsInItsLog) {
  ASSERT_TRUE(CreateTenant("ke"));
  PgRoleStore roles{pool_};
  TenantRole role{.tenant = "ke",
                  .id = "on-call",
                  .uid = Uuid::V7(),
                  .display_name = "Njeri's role",
                  .summary = "for Njeri",
                  .permissions = {"scheduling.instances.get"},
                  .create_time = clock_.Now()};
  const auto made = roles.CreateRole(role, {});
  ASSERT_TRUE(made) << made.error().message;
  ASSERT_TRUE(roles.CreateRole(role, {})) << "changes nothing";
  role.permissions = {"scheduling.instances.list"};
  ASSERT_TRUE(roles.UpdateRole(role, EtagOf(*made), {Role::ROLE_OWNER}, {}));
  ASSERT_TRUE(roles.DeleteRole("ke", "on-call", {Role::ROLE_OWNER}, {}));
  ASSERT_THAT(Actions(), ElementsAre("tenancy.tenants.create", "tenancy.roles.create", "tenancy.roles.update",
                                     "tenancy.roles.delete"));
  const auto entries = Entries();
  EXPECT_EQ(entries[1].resource(), "tenants/ke/roles/on-call");
  EXPECT_EQ(entries[1].details(0).value(), "scheduling.instances.get");
  EXPECT_EQ(entries[2].details(0).value(), "scheduling.instances.list");
  EXPECT_EQ(entries[2].details(3).name(), "permissions_before");
  EXPECT_EQ(entries[2].details(3).value(), "scheduling.instances.get");
  EXPECT_EQ(entries[2].details(1).commitment().size(), 32U) << "what people typed is personal";
  EXPECT_EQ(Broken(), "");
}

TEST_F(TenancyAudit, IsReadByThoseWhoMayOnly) {
  ASSERT_TRUE(CreateTenant("ke"));
  EXPECT_TRUE(List(Caller::Operator()));
  EXPECT_EQ(List(Caller::Tenant("ug")).error().code, Code::kNotFound);
  EXPECT_EQ(List(kKey).error().reason, "PROJECT_KEY");
  for (const Role role : {Role::ROLE_DEVELOPER, Role::ROLE_BILLING, Role::ROLE_VIEWER}) {
    Caller member = Caller::Tenant("ke");
    member.roles = {role};
    EXPECT_EQ(CheckAccess(MethodOf<v1::ListAuditEntriesRequest>(), member, "tenants/ke").error().reason,
              "PERMISSION_MISSING");
  }
  for (const Role role : {Role::ROLE_OWNER, Role::ROLE_AUDITOR, Role::ROLE_ADMIN}) {
    Caller member = Caller::Tenant("ke");
    member.roles = {role};
    EXPECT_TRUE(CheckAccess(MethodOf<v1::ListAuditEntriesRequest>(), member, "tenants/ke"));
  }
  v1::ListAuditEntriesRequest request;
  request.set_page_token("nonsense");
  EXPECT_EQ(List(Caller::Tenant("ke"), request).error().reason, "INVALID_PAGE_TOKEN");
  request.set_page_token("");
  request.set_action_prefix(std::string(1000, 'x'));
  EXPECT_EQ(List(Caller::Tenant("ke"), request).error().reason, "INVALID_TEXT");
  EXPECT_EQ(List(Caller::Operator(), {}, "tenants/ke/projects/p").error().reason, "INVALID_NAME");
}

TEST_F(TenancyAudit, IsReadPageByPage) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject(Caller::Operator()));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(CreateKey(Caller::Operator()));
  v1::ListAuditEntriesRequest request;
  request.set_page_size(2);
  request.set_action_prefix("tenancy.apiKeys.");
  int seen = 0;
  int pages = 0;
  do {
    const auto page = List(Caller::Tenant("ke"), request);
    ASSERT_TRUE(page) << page.error().message;
    seen += page->entries_size();
    ++pages;
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty() && pages < 10);
  EXPECT_EQ(seen, 5);
  EXPECT_EQ(pages, 3);
  v1::ListAuditEntriesRequest other;
  other.set_page_size(2);
  other.set_page_token(List(Caller::Tenant("ke"), request)->next_page_token());
  const auto first = List(Caller::Tenant("ke"), [&] {
    v1::ListAuditEntriesRequest page = request;
    page.set_page_token("");
    return page;
  }());
  other.set_page_token(first->next_page_token());
  EXPECT_EQ(List(Caller::Tenant("ke"), other).error().reason, "INVALID_PAGE_TOKEN") << "of another filter";
}

}  // namespace
}  // namespace allod::tenancy::tenancy_audit_test
