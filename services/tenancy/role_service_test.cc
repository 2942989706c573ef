// The RPCs of custom roles, and of what names them, over a real server and channel, on the fake stores.
#include "services/tenancy/role_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "allod/tenancy/v1/api_key.grpc.pb.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "services/tenancy/api_key_service.h"
#include "services/tenancy/identity_provider_service.h"
#include "services/tenancy/member_service.h"
#include "services/tenancy/testing/fake_identity_store.h"
#include "services/tenancy/testing/fake_store.h"
#include "services/tenancy/workload_rule_service.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace allod::tenancy::role_service_test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using RoleStub = v1::RoleService::Stub;

constexpr char kName[] = "tenants/ke/roles/on-call";

class RoleServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* id : {"ke", "ug"}) {
      ASSERT_TRUE(tenants_.CreateTenant({id, id, "KES", {id}, TenantState::kActive, Time()}, {}));
      ASSERT_TRUE(tenants_.CreateProject({id, "desk", "Desk", Time()}, {}));
    }
    IdentityProvider corp{.tenant = "ke", .id = "corp", .display_name = "Corp", .issuer = "https://corp.example"};
    corp.audiences = {"allod"};
    corp.sign_in = SignIn{.client_id = "allod"};
    ASSERT_TRUE(store_.CreateProvider(corp, {}));
    auto server = Server::Start({.listen = address_}, {&identities_, &roles_, &members_, &rules_, &keys_});
    ASSERT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
    const auto channel = MakeChannel(address_);
    role_stub_ = v1::RoleService::NewStub(channel);
    member_stub_ = v1::MemberService::NewStub(channel);
    rule_stub_ = v1::WorkloadRuleService::NewStub(channel);
    key_stub_ = v1::ApiKeyService::NewStub(channel);
  }
  void TearDown() override { server_->Stop(1s); }

  static Caller PersonWith(Rights roles) { return Caller::Person("ke", Uuid::V7().ToString(), std::move(roles)); }
  // What the custom roles of the tenant permit, as a gateway would have it.
  Rights Custom(const std::string& id) {
    return *StandingRoles(*store_.ReadRoles("ke")).RightsOf({}, std::vector<std::string>{id});
  }
  template <typename T>
  static std::string Why(const Result<T>& result) {
    return result ? "" : result.error().reason;
  }
  Result<v1::Role> Create(const std::vector<std::string>& permissions, const Caller& caller = Caller::Operator(),
                          const std::string& id = "on-call", bool validate_only = false) {
    v1::CreateRoleRequest request;
    request.set_parent("tenants/ke");
    request.set_role_id(id);
    request.mutable_role()->set_display_name("On call");
    request.mutable_role()->mutable_permissions()->Add(permissions.begin(), permissions.end());
    request.set_validate_only(validate_only);
    return CallUnary(*role_stub_, &RoleStub::CreateRole, request, caller, 5s);
  }
  Result<v1::Role> Update(v1::Role role, const std::vector<std::string>& permissions,
                          const Caller& caller = Caller::Operator(), bool validate_only = false) {
    role.clear_permissions();
    role.mutable_permissions()->Add(permissions.begin(), permissions.end());
    v1::UpdateRoleRequest request;
    *request.mutable_role() = role;
    request.set_validate_only(validate_only);
    return CallUnary(*role_stub_, &RoleStub::UpdateRole, request, caller, 5s);
  }
  Result<google::protobuf::Empty> Delete(const Caller& caller = Caller::Operator()) {
    v1::DeleteRoleRequest request;
    request.set_name(kName);
    return CallUnary(*role_stub_, &RoleStub::DeleteRole, request, caller, 5s);
  }
  Result<v1::Role> Get(const Caller& caller) {
    v1::GetRoleRequest request;
    request.set_name(kName);
    return CallUnary(*role_stub_, &RoleStub::GetRole, request, caller, 5s);
  }
  Result<v1::Member> Grant(const Caller& caller, const std::string& role = kName, bool validate_only = false) {
    v1::CreateMemberRequest request;
    request.set_parent("tenants/ke");
    request.set_member_id("m" + std::to_string(++members_made_));
    v1::Member& member = *request.mutable_member();
    member.set_display_name("Achieng");
    member.set_identity_provider("tenants/ke/identityProviders/corp");
    auto& claim = *member.add_claims();
    claim.set_claim("sub");
    claim.set_equals("4711");
    auto& grant = *member.add_grants();
    grant.set_resource("tenants/ke");
    grant.add_custom_roles(role);
    request.set_validate_only(validate_only);
    return CallUnary(*member_stub_, &v1::MemberService::Stub::CreateMember, request, caller, 5s);
  }
  Result<v1::WorkloadRule> GrantToPipelines(const Caller& caller) {
    v1::CreateWorkloadRuleRequest request;
    request.set_parent("tenants/ke/projects/desk");
    request.set_workload_rule_id("deploy");
    v1::WorkloadRule& rule = *request.mutable_workload_rule();
    rule.set_display_name("Deployments");
    rule.set_identity_provider("tenants/ke/identityProviders/corp");
    auto& claim = *rule.add_claims();
    claim.set_claim("sub");
    claim.set_equals("main");
    rule.add_scopes(v1::ApiKey::SCOPE_PORTAL);
    rule.add_custom_roles(kName);
    return CallUnary(*rule_stub_, &v1::WorkloadRuleService::Stub::CreateWorkloadRule, request, caller, 5s);
  }
  Result<v1::CreateApiKeyResponse> MakeKey(const Caller& caller, std::optional<access::v1::Role> role = {}) {
    v1::CreateApiKeyRequest request;
    request.set_parent("tenants/ke/projects/desk");
    if (role) request.mutable_api_key()->add_roles(*role);
    return CallUnary(*key_stub_, &v1::ApiKeyService::Stub::CreateApiKey, request, caller, 5s);
  }

  FakeClock clock_;
  FakeStore tenants_;
  FakeIdentityStore store_{tenants_};
  IdentityFeed feed_{store_, clock_};
  const ClientSecrets secrets_{"a pepper of some length"};
  CallGates gates_;
  IdentityServiceImpl identities_{feed_, secrets_};
  RoleServiceImpl roles_{store_, identities_, clock_, gates_};
  MemberServiceImpl members_{store_, store_, tenants_, identities_, clock_, gates_};
  WorkloadRuleServiceImpl rules_{store_, tenants_, identities_, clock_, gates_};
  KeyFeed key_feed_{tenants_, clock_};
  ApiKeyServiceImpl keys_{tenants_, key_feed_, clock_, gates_, "a pepper of some length"};
  const TempDir sockets_;
  const std::string address_ = "unix:" + (sockets_ / "s.sock").string();
  std::unique_ptr<Server> server_;
  std::unique_ptr<RoleStub> role_stub_;
  std::unique_ptr<v1::MemberService::Stub> member_stub_;
  std::unique_ptr<v1::WorkloadRuleService::Stub> rule_stub_;
  std::unique_ptr<v1::ApiKeyService::Stub> key_stub_;
  int members_made_ = 0;
};

TEST_F(RoleServiceTest, AreMadeReadChangedAndDeleted) {
  const auto judged = Create({"scheduling.instances.get"}, Caller::Operator(), "on-call", true);
  ASSERT_TRUE(judged) << judged.error().message;
  EXPECT_EQ(Why(Get(Caller::Tenant("ke"))), "NOT_FOUND") << "it was judged only";
  const auto made = Create({"scheduling.instances.list", "scheduling.instances.get"});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->name(), kName);
  EXPECT_THAT(made->permissions(), ElementsAre("scheduling.instances.get", "scheduling.instances.list"));
  EXPECT_EQ(Get(Caller::Tenant("ke"))->uid(), made->uid());
  EXPECT_EQ(Why(Get(Caller::Tenant("ug"))), "NOT_FOUND");
  EXPECT_TRUE(Update(*made, {"scheduling.*.get"}, Caller::Operator(), true));
  const auto changed = Update(*made, {"scheduling.*.get"});
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(changed->uid(), made->uid());
  EXPECT_EQ(Why(Update(*made, {"scheduling.*.list"})), "ETAG_MISMATCH");
  v1::ListRolesRequest list;
  list.set_parent("tenants/ke");
  EXPECT_EQ(CallUnary(*role_stub_, &RoleStub::ListRoles, list, Caller::Tenant("ke"), 5s)->roles_size(), 1);
  EXPECT_TRUE(Delete());
  EXPECT_EQ(Why(Delete()), "NOT_FOUND");
}

TEST_F(RoleServiceTest, KnowsThePermissionsOfEveryService) {
  for (const char* known : {"billing.invoices.get", "catalog.listings.list", "scheduling.operations.wait",
                            "tenancy.roles.create", "tenancy.tenants.suspend", "*.auditEntries.read"}) {
    EXPECT_TRUE(Create({known}, Caller::Operator(), "r", true)) << known;
  }
  EXPECT_EQ(Why(Create({"billing.budgets.set"})), "UNKNOWN_PERMISSION");
  EXPECT_THAT(Create({"tenancy.apikeys.create"}).error().message, HasSubstr("tenancy.apiKeys.create"));
  for (const char* not_theirs : {"tenancy.apiKeys.watch", "scheduling.nodes.list", "catalog.models.create",
                                 "billing.ledgerAccounts.check", "tenancy.identities.watch"}) {
    EXPECT_EQ(Why(Create({not_theirs})), "PERMISSION_OF_OPERATORS") << not_theirs;
  }
}

TEST_F(RoleServiceTest, NobodyMakesChangesOrGrantsMoreThanHeHas) {
  const Caller admin = PersonWith({Role::ROLE_ADMIN});
  const Caller owner = PersonWith({Role::ROLE_OWNER});
  EXPECT_EQ(Why(Create({"tenancy.projects.*"}, PersonWith({Role::ROLE_DEVELOPER}))), "PERMISSION_MISSING");
  EXPECT_EQ(Why(Create({"*.*.get"}, admin)), "ROLE_NOT_HELD");
  EXPECT_EQ(Why(Create({"*.*.get"}, admin, "on-call", true)), "ROLE_NOT_HELD");
  const auto made = Create({"*.*.get"}, owner);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(Why(Update(*made, {"catalog.*.get"}, admin)), "ROLE_NOT_HELD") << "he takes away what he has not";
  EXPECT_EQ(Why(Delete(admin)), "ROLE_NOT_HELD");
  for (const bool validate_only : {true, false}) {
    EXPECT_EQ(Why(Grant(admin, kName, validate_only)), "ROLE_NOT_HELD");
  }
  EXPECT_EQ(Why(GrantToPipelines(admin)), "ROLE_NOT_HELD");
  EXPECT_EQ(Why(Grant(owner)), "");
  EXPECT_EQ(Why(Grant(owner, "tenants/ug/roles/on-call")), "INVALID_NAME");
  EXPECT_EQ(Why(Grant(owner, "tenants/ke/roles/none")), "NOT_FOUND");
  EXPECT_EQ(Why(GrantToPipelines(owner)), "");
  EXPECT_EQ(Why(Delete(owner)), "ROLE_IN_USE");
  EXPECT_EQ(Why(Create({"tenancy.projects.get"}, Caller::Key("ke", "desk", {"portal"}))), "PROJECT_KEY");
}

TEST_F(RoleServiceTest, WhoActsByOneHandsOnWhatItPermitsAndNoMore) {
  ASSERT_TRUE(Create({"tenancy.members.*", "tenancy.roles.*", "catalog.*.get", "catalog.*.list", "tenancy.apiKeys.*",
                      "scheduling.*.get", "scheduling.*.list", "scheduling.operations.wait", "tenancy.tenants.get",
                      "tenancy.tenants.list", "tenancy.projects.get", "tenancy.projects.list", "tenancy.quotas.get"}));
  const Caller person = PersonWith(Custom("on-call"));
  EXPECT_EQ(Why(Grant(person)), "") << "all of it is his";
  EXPECT_EQ(Why(Create({"catalog.listings.get"}, person, "narrower")), "");
  EXPECT_EQ(Why(Create({"billing.invoices.get"}, person, "wider")), "ROLE_NOT_HELD");
  EXPECT_EQ(Why(Create({"*.*.get"}, person, "wider")), "ROLE_NOT_HELD");
  EXPECT_EQ(Why(Grant(person, "tenants/ke/roles/narrower")), "");
  // Of keys, what a role of the platform has must be his whole.
  EXPECT_EQ(Why(MakeKey(person, access::v1::ROLE_VIEWER)), "");
  EXPECT_EQ(Why(MakeKey(person, access::v1::ROLE_DEVELOPER)), "ROLE_NOT_HELD");
  EXPECT_EQ(Why(MakeKey(person)), "INVALID_ROLE") << "there is none that is usual for him";
}

TEST_F(RoleServiceTest, ARefusalNamesTheRole) {
  ASSERT_TRUE(Create({"catalog.*.get"}));
  const auto refused = Get(PersonWith(Custom("on-call")));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "PERMISSION_MISSING");
  EXPECT_THAT(refused.error().message, HasSubstr("tenancy.roles.get, which your roles (roles/on-call) do not have"));
}

TEST_F(RoleServiceTest, OperatorsWhoOnlyLookChangeNothing) {
  const Caller support = Caller::Operator({Role::ROLE_SUPPORT});
  ASSERT_TRUE(Create({"catalog.*.get"}));
  EXPECT_TRUE(Get(support));
  EXPECT_TRUE(Get(Caller::Operator({Role::ROLE_OPERATOR_AUDITOR})));
  for (const Role role : {Role::ROLE_SUPPORT, Role::ROLE_OPERATOR_AUDITOR}) {
    const Caller caller = Caller::Operator({role});
    for (const auto& why : {Why(Create({"catalog.*.get"}, caller, "x")), Why(Delete(caller)), Why(Grant(caller)),
                            Why(GrantToPipelines(caller)), Why(MakeKey(caller))}) {
      EXPECT_EQ(why, "PERMISSION_MISSING");
    }
  }
  EXPECT_THAT(Delete(support).error().message, HasSubstr("which your roles (support) do not have"));
}

}  // namespace
}  // namespace allod::tenancy::role_service_test
