#include "gateway/federation/keys_with_roles.h"

#include <gtest/gtest.h>

namespace allod::gateway::federation::keys_with_roles_test {
namespace {

// One key, of tenants/ke, with the role "on-call" and one that there is not.
class OneKey final : public access::Authenticator {
 public:
  explicit OneKey(bool custom) {
    key_.tenant = "tenants/ke";
    key_.tenant_id = "ke";
    key_.project = "tenants/ke/projects/p";
    key_.kid = "k";
    key_.portal = true;
    key_.roles = {Role::ROLE_VIEWER};
    if (!custom) return;
    key_.custom_roles = std::make_shared<const std::vector<std::string>>(
        std::vector<std::string>{"tenants/ke/roles/on-call", "tenants/ke/roles/none"});
  }
  Result<access::Principal> Authenticate(std::string_view authorization,
                                         const std::optional<IpAddress>&) const override {
    if (authorization != "k") return Fail(Code::kUnauthenticated, "INVALID_API_KEY", "another");
    return key_;
  }

 private:
  access::Principal key_;
};

class KeysWithRolesTest : public testing::Test {
 protected:
  void Tell(std::vector<std::string> permissions) {
    tenancy::v1::WatchIdentitiesResponse state;
    auto& tenant = *state.add_tenants();
    tenant.set_tenant("tenants/ke");
    tenant.set_active(true);
    if (!permissions.empty()) {
      auto& role = *tenant.add_roles();
      role.set_name("tenants/ke/roles/on-call");
      for (std::string& permission : permissions) role.add_permissions(std::move(permission));
    }
    state.set_synced(true);
    trust_.Apply(state);
  }
  bool May(std::string_view permission) {
    const auto key = keys_.Authenticate("k", std::nullopt);
    return key && key->roles.Permit({}, Permission(permission));
  }

  TrustTable trust_;
  const OneKey custom_{true}, plain_{false};
  const KeysWithRoles keys_{custom_, trust_};
};

TEST_F(KeysWithRolesTest, ARolePermitsAKeyWhatItPermitsNow) {
  trust_.BeginSnapshot();
  Tell({"scheduling.instances.*"});
  EXPECT_TRUE(May("scheduling.instances.create"));
  const auto key = keys_.Authenticate("k", std::nullopt);
  EXPECT_EQ(key->caller().ToString(),
            "tenant:ke project:p key:k scopes:portal roles:viewer,roles/on-call custom:on-call=scheduling.instances.*");
  Tell({"scheduling.instances.get"});
  EXPECT_FALSE(May("scheduling.instances.create")) << "narrowed for every key that has it";
  EXPECT_TRUE(May("scheduling.instances.get"));
  Tell({});
  EXPECT_FALSE(May("scheduling.instances.get"));
  EXPECT_TRUE(keys_.Authenticate("k", std::nullopt)->roles.Has(Role::ROLE_VIEWER)) << "what it has beside stays";
}

TEST_F(KeysWithRolesTest, BeforeTheRolesAreKnownAKeyWithSomeIsToldToTryAgain) {
  EXPECT_EQ(keys_.Authenticate("k", std::nullopt).error().reason, "IDENTITIES_NOT_SYNCED");
  EXPECT_EQ(keys_.Authenticate("x", std::nullopt).error().reason, "INVALID_API_KEY");
  EXPECT_TRUE(KeysWithRoles(plain_, trust_).Authenticate("k", std::nullopt)) << "others do not wait for them";
}

}  // namespace
}  // namespace allod::gateway::federation::keys_with_roles_test
