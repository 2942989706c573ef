// What an API key shows, may do and may hand on.
#include <gmock/gmock.h>

#include "services/tenancy/testing/service_fixture.h"

namespace allod::tenancy::api_key_service_test {
namespace {

class ApiKeyServiceTest : public TenancyServiceTest {};

TEST_F(ApiKeyServiceTest, ShowsAKeysSecretOnceAndStoresOnlyItsDigest) {
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

TEST_F(ApiKeyServiceTest, AKeyHandsOnWhatItHasItselfAndNoMore) {
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

TEST_F(ApiKeyServiceTest, APersonHandsOnTheRolesThatHoldAtTheProject) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject("ke", Caller::Operator()));
  ASSERT_TRUE(store_.CreateProject({"ke", "lab", "Lab", clock_.Now()}, {}));
  const std::string session = Uuid::V7().ToString();
  // The roles of the key that is made with `asked`, or why there is none.
  const auto make = [&](const Caller& caller, const std::string& project, std::vector<Role> asked) -> std::string {
    v1::CreateApiKeyRequest request;
    request.set_parent("tenants/ke/projects/" + project);
    for (const Role role : asked) request.mutable_api_key()->add_roles(role);
    const auto made = CallUnary(*key_stub_, &KeyStub::CreateApiKey, request, caller, 5s);
    if (!made) return made.error().reason;
    Roles roles;
    for (const int role : made->api_key().roles()) roles.Add(static_cast<Role>(role));
    EXPECT_EQ(made->api_key().scopes_size(), 2) << "both scopes";
    return roles.ToString();
  };
  const Caller owner = Caller::Person("ke", session, {Role::ROLE_OWNER});
  EXPECT_EQ(make(owner, "desk", {}), "admin") << "what keys can have";
  EXPECT_EQ(make(owner, "desk", {Role::ROLE_OWNER}), "INVALID_ROLE");
  EXPECT_EQ(make(owner, "desk", {Role::ROLE_DEVELOPER}), "developer");
  const Caller at_desk = Caller::Person("ke", session, {}, {{"desk", {Role::ROLE_DEVELOPER}}});
  EXPECT_EQ(make(at_desk, "desk", {}), "developer");
  EXPECT_EQ(make(at_desk, "desk", {Role::ROLE_ADMIN}), "ROLE_NOT_HELD");
  EXPECT_EQ(make(at_desk, "lab", {}), "NOT_FOUND") << "of other projects he knows nothing";
  const Caller mixed = Caller::Person("ke", session, {Role::ROLE_VIEWER}, {{"desk", {Role::ROLE_ADMIN}}});
  EXPECT_EQ(make(mixed, "desk", {}), "admin,viewer");
  EXPECT_EQ(make(mixed, "lab", {}), "PERMISSION_MISSING");
  EXPECT_EQ(make(Caller::Person("ug", session, {Role::ROLE_OWNER}), "desk", {}), "NOT_FOUND");
}

TEST_F(ApiKeyServiceTest, WhatAKeyMayDoFollowsItsRoles) {
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

TEST_F(ApiKeyServiceTest, AKeyHasCustomRolesAndHandsOnWhatTheyPermitNow) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject("ke", Caller::Operator()));
  TenantRole mints{.tenant = "ke", .id = "mints"}, looks{.tenant = "ke", .id = "looks"};
  mints.permissions = {"scheduling.instances.*", "tenancy.apiKeys.*"};
  looks.permissions = {"scheduling.instances.get"};
  store_.PutRole(mints);
  store_.PutRole(looks);
  const auto ask = [&](const Caller& caller, const std::string& role) -> Result<v1::CreateApiKeyResponse> {
    v1::CreateApiKeyRequest request;
    request.set_parent("tenants/ke/projects/desk");
    if (!role.empty()) request.mutable_api_key()->add_custom_roles(role);
    return CallUnary(*key_stub_, &KeyStub::CreateApiKey, request, caller, 5s);
  };
  const auto why = [](const auto& result) { return result ? "" : result.error().reason; };
  const auto made = ask(Caller::Operator(), "tenants/ke/roles/mints");
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_THAT(made->api_key().custom_roles(), testing::ElementsAre("tenants/ke/roles/mints"));
  EXPECT_TRUE(made->api_key().roles().empty()) << "what is named is all that it has";
  EXPECT_EQ(why(ask(Caller::Operator(), "tenants/ke/roles/none")), "NOT_FOUND");
  EXPECT_EQ(why(ask(Caller::Operator(), "tenants/ug/roles/mints")), "INVALID_NAME");

  const std::string& name = made->api_key().name();
  Rights rights;
  rights.Add(std::make_shared<const CustomRole>(CustomRole{"mints", Permissions(mints.permissions)}));
  const Caller key = Caller::Key("ke", "desk", {"inference", "portal"}, rights, name.substr(name.rfind('/') + 1));
  const auto handed_on = ask(key, "");
  ASSERT_TRUE(handed_on) << handed_on.error().message;
  EXPECT_THAT(handed_on->api_key().custom_roles(), testing::ElementsAre("tenants/ke/roles/mints"));
  EXPECT_EQ(why(ask(key, "tenants/ke/roles/looks")), "");
  // Narrowed: the gateway may not know yet, and the key hands on no more than it has now.
  mints.permissions = {"tenancy.apiKeys.*"};
  store_.PutRole(mints);
  EXPECT_EQ(why(ask(key, "tenants/ke/roles/looks")), "ROLE_NOT_HELD");
  EXPECT_EQ(why(ask(key, "tenants/ke/roles/mints")), "");
}

TEST_F(ApiKeyServiceTest, AKeyHasWhatNarrowsItAndHandsItOn) {
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

TEST_F(ApiKeyServiceTest, NamesWhatNarrowsAKeyWrongly) {
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

TEST_F(ApiKeyServiceTest, AKeyRotatesItselfAndNoneThatMayMore) {
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

}  // namespace
}  // namespace allod::tenancy::api_key_service_test
