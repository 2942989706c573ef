#include "gateway/portal/acting.h"

#include <gtest/gtest.h>

namespace allod::gateway::portal::acting_test {
namespace {

constexpr char kSession[] = "0199f0c2-7b1e-7c3a-9d4e-5f6a7b8c9d0e";

class ActingCallerTest : public testing::Test {
 protected:
  void SetUp() override {
    tenancy::v1::WatchApiKeysResponse message;
    auto& child = *message.add_tenant_limits();
    child.set_tenant("tenants/ke-a-x");
    child.add_above("tenants/ke");
    child.add_above("tenants/ke-a");
    message.set_synced(true);
    tenants_.BeginSnapshot();
    tenants_.Apply(message);
  }
  static access::Principal Person(const std::string& tenant, Roles roles, std::vector<ProjectRoles> at = {}) {
    access::Principal out;
    out.tenant_id = tenant;
    out.tenant = "tenants/" + tenant;
    out.session = kSession;
    out.roles = roles;
    out.project_roles = std::move(at);
    return out;
  }
  // As services read it; the reason of a refusal.
  std::string As(const access::Principal& principal, const std::string& path, const std::string& project = "") const {
    const auto match = transcoder_.Find("GET", path);
    EXPECT_TRUE(match) << path;
    const auto caller = ActingCaller(principal, *match, project, tenants_);
    return caller ? caller->ToString() : caller.error().reason;
  }
  static std::string Said(const std::string& who, const std::string& roles, const std::string& projects = "") {
    return "tenant:" + who + " session:" + kSession + " roles:" + roles + " projects:" + projects;
  }

  access::LimitTable tenants_;
  const Transcoder transcoder_ = *Transcoder::Build(PortalServices());
};

TEST_F(ActingCallerTest, APersonActsBelowHisTenantAndSaysWhereHeIsFrom) {
  const auto owner = Person("ke", {Role::ROLE_OWNER}, {{"p", {Role::ROLE_VIEWER}}});
  EXPECT_EQ(As(owner, "/v1/tenants/ke-a-x/projects"), Said("ke-a-x from:ke", "owner"));
  EXPECT_EQ(As(owner, "/v1/tenants/ke-a-x/projects/p/instances"), Said("ke-a-x from:ke", "owner"))
      << "a role at a project of his own is none at one below that is called alike";
  EXPECT_EQ(As(owner, "/v1/tenants/ke-a-x"), Said("ke-a-x from:ke", "owner"));
  EXPECT_EQ(As(Person("ke-a", {Role::ROLE_BILLING}), "/v1/tenants/ke-a-x/invoices/current"),
            Said("ke-a-x from:ke-a", "billing"));
  const auto parsed = Caller::Parse(As(owner, "/v1/tenants/ke-a-x"));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->own_tenant(), "ke");
}

TEST_F(ActingCallerTest, WhoIsGivenManyCustomRolesIsNotShutOut) {
  auto person = Person("ke", {Role::ROLE_BILLING});
  for (char id = 'a'; id <= 'z'; ++id) {
    std::vector<std::string> patterns;
    for (char c = 'a'; c <= 'z'; ++c) patterns.push_back("scheduling.collection" + std::string(1, c) + ".anything");
    person.roles.Add(std::make_shared<const CustomRole>(CustomRole{std::string(1, id), Permissions(patterns)}));
  }
  const auto heard = Caller::Parse(As(person, "/v1/tenants/ke"));
  ASSERT_TRUE(heard) << heard.error().message;
  EXPECT_TRUE(heard->roles.Has(Role::ROLE_BILLING));
  EXPECT_GE(heard->roles.custom().size(), 4U);
  EXPECT_LT(heard->roles.custom().size(), 26U);
  const auto below = Caller::Parse(As(person, "/v1/tenants/ke-a-x"));
  ASSERT_TRUE(below) << below.error().message;
  EXPECT_EQ(below->own_tenant(), "ke");
  EXPECT_TRUE(below->roles.Has(Role::ROLE_BILLING));
}

TEST_F(ActingCallerTest, NobodyActsAboveOrBesideHisTenant) {
  for (const char* path : {"/v1/tenants/ke", "/v1/tenants/ke-a", "/v1/tenants/ke-b/projects", "/v1/tenants/none"}) {
    EXPECT_EQ(As(Person("ke-a-x", {Role::ROLE_OWNER}), path), Said("ke-a-x", "owner")) << path;
  }
  EXPECT_EQ(As(Person("ug", {Role::ROLE_OWNER}), "/v1/tenants/ke-a-x"), Said("ug", "owner"));
}

TEST_F(ActingCallerTest, RolesAtProjectsAndKeysReachNothingBelow) {
  const auto person = Person("ke", {}, {{"p", {Role::ROLE_ADMIN}}});
  EXPECT_EQ(As(person, "/v1/tenants/ke-a-x/projects/p/instances"), Said("ke", "", "p=admin"));
  access::Principal key;
  key.tenant_id = "ke";
  key.tenant = "tenants/ke";
  key.project = "tenants/ke/projects/p";
  key.kid = "k";
  key.portal = true;
  key.roles = {Role::ROLE_ADMIN};
  EXPECT_EQ(As(key, "/v1/tenants/ke-a-x/projects"), "tenant:ke project:p key:k scopes:portal roles:admin");
}

TEST_F(ActingCallerTest, TellsOfTheRolesAtTheProjectThatIsAskedAbout) {
  const auto person = Person("ke", {}, {{"p", {Role::ROLE_ADMIN}}, {"q", {Role::ROLE_VIEWER}}});
  EXPECT_EQ(As(person, "/v1/tenants/ke/projects/q/instances"), Said("ke", "", "q=viewer"));
  EXPECT_EQ(As(person, "/v1/tenants/ke/projects/-/instances"), Said("ke", "", "p=admin,q=viewer"));
  EXPECT_EQ(As(person, "/v1/tenants/ke/projects", "p"), Said("ke", "", "p=admin"));
  EXPECT_EQ(As(person, "/v1/tenants/ke/projects", "tenants/ke/projects/q"), Said("ke", "", "q=viewer"));
  EXPECT_EQ(As(person, "/v1/tenants"), Said("ke", "", "p=admin,q=viewer"));
  std::vector<ProjectRoles> many;
  for (std::size_t i = 0; i <= Caller::kProjectsMax; ++i) {
    many.push_back({"p" + std::to_string(100 + i), {Role::ROLE_VIEWER}});
  }
  EXPECT_EQ(As(Person("ke", {}, many), "/v1/tenants/ke/projects"), "PROJECT_NEEDED");
}

TEST_F(ActingCallerTest, UntilItIsKnownWhatIsBelowNothingIsSaidOfIt) {
  const access::LimitTable fresh;
  const auto match = transcoder_.Find("GET", "/v1/tenants/ke-a-x");
  ASSERT_TRUE(match);
  EXPECT_EQ(ActingCaller(Person("ke", {Role::ROLE_OWNER}), *match, "", fresh).error().code, Code::kUnavailable);
  const auto own = transcoder_.Find("GET", "/v1/tenants/ke");
  EXPECT_TRUE(ActingCaller(Person("ke", {Role::ROLE_OWNER}), *own, "", fresh));
}

}  // namespace
}  // namespace allod::gateway::portal::acting_test
