// What a session is worth: its seal, and what still stands of the members by which it was begun.
#include "gateway/sign_in/sessions.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace allod::gateway::sign_in::sessions_test {
namespace {

using namespace std::chrono_literals;

constexpr char kPepper[] = "a pepper of some length";
constexpr char kProvider[] = "tenants/ke/identityProviders/staff";

class SessionsTest : public testing::Test {
 protected:
  SessionsTest() {
    auto& tenant = *state_.add_tenants();
    tenant.set_tenant("tenants/ke");
    tenant.set_active(true);
    auto& provider = *tenant.add_identity_providers();
    provider.set_name(kProvider);
    provider.set_issuer("https://id.example");
    provider.mutable_sign_in()->set_client_id("allod");
    AddMember("clerks", {{"tenants/ke", Role::ROLE_VIEWER}, {"tenants/ke/projects/desk", Role::ROLE_DEVELOPER}});
    AddMember("heads", {{"tenants/ke", Role::ROLE_BILLING}, {"tenants/ke/projects/lab", Role::ROLE_ADMIN}});
    state_.set_synced(true);
    Sync();
  }
  void AddMember(const std::string& id, const std::vector<std::pair<const char*, Role>>& grants) {
    auto& member = *state_.mutable_tenants(0)->add_members();
    member.set_name("tenants/ke/members/" + id);
    member.set_uid("uid of " + id);
    member.set_identity_provider(kProvider);
    auto& claim = *member.add_claims();
    claim.set_claim("groups");
    claim.set_contains(id);
    for (const auto& [resource, role] : grants) {
      auto& grant = *member.add_grants();
      grant.set_resource(resource);
      grant.add_roles(role);
    }
  }
  tenancy::v1::WatchIdentitiesResponse::TenantIdentities& tenant() { return *state_.mutable_tenants(0); }
  tenancy::v1::Member& member(int i) { return *tenant().mutable_members(i); }
  void Sync() {
    table_.BeginSnapshot();
    table_.Apply(state_);
  }
  SessionToken Token(const std::vector<const char*>& ids = {"clerks", "heads"}) {
    SessionToken out{.id = id_, .provider = kProvider, .subject = "s", .display_name = "A \"B\" \xc3\xa9"};
    for (const char* id : ids) {
      out.members.push_back(
          {id, ShortGrounds(*(*table_.Find("tenants/ke"))->MemberNamed(std::string("tenants/ke/members/") + id))});
    }
    out.expire_time = clock_.Now() + 30min;
    out.end_time = clock_.Now() + 12h;
    return out;
  }
  // "roles project=roles ..."; or the reason of the refusal.
  std::string Try(const std::string& token) {
    const auto principal = sessions_.Authenticate("Bearer " + token, std::nullopt);
    if (!principal) return principal.error().reason;
    principal_ = *principal;
    std::string out = principal->roles.ToString();
    for (const auto& [project, roles] : principal->project_roles) out += " " + project + "=" + roles.ToString();
    return out;
  }

  FakeClock clock_;
  const SessionSealer sealer_{kPepper};
  federation::TrustTable table_;
  const Sessions sessions_{table_, sealer_, clock_, 30min};
  tenancy::v1::WatchIdentitiesResponse state_;
  const Uuid id_ = Uuid::V7();
  access::Principal principal_;
};

TEST_F(SessionsTest, HasTheRolesOfAllItsMembers) {
  const std::string token = sealer_.Seal(Token()).value();
  EXPECT_EQ(Try(token), "billing,viewer desk=developer lab=admin");
  EXPECT_EQ(principal_.name, "tenants/ke/sessions/" + id_.ToString());
  EXPECT_EQ(principal_.tenant_id, "ke");
  EXPECT_EQ(principal_.project, "");
  EXPECT_TRUE(principal_.portal);
  EXPECT_FALSE(principal_.inference);
  EXPECT_EQ(principal_.display_name, "A \"B\" \xc3\xa9");
  EXPECT_EQ(principal_.caller().ToString(),
            "tenant:ke session:" + id_.ToString() + " roles:billing,viewer projects:desk=developer,lab=admin");
  EXPECT_EQ(Try(sealer_.Seal(Token({"clerks"})).value()), "viewer desk=developer");
  EXPECT_EQ(principal_.id, PersonId(kProvider, "s")) << "its limits are those of the person, however many sessions";
}

TEST_F(SessionsTest, HasTheCustomRolesOfItsMembers) {
  auto& role = *tenant().add_roles();
  role.set_name("tenants/ke/roles/on-call");
  role.add_permissions("scheduling.*.get");
  member(0).mutable_grants(1)->add_custom_roles(role.name());
  Sync();
  const std::string token = sealer_.Seal(Token()).value();
  EXPECT_EQ(Try(token), "billing,viewer desk=developer,roles/on-call lab=admin");
  EXPECT_EQ(principal_.caller().ToString(), "tenant:ke session:" + id_.ToString() +
                                                " roles:billing,viewer projects:desk=developer+roles/on-call,lab=admin "
                                                "custom:on-call=scheduling.*.get");
  member(0).mutable_grants(0)->add_roles(Role::ROLE_OWNER);
  Sync();
  EXPECT_EQ(Try(token), "owner,billing,viewer desk=developer,roles/on-call lab=admin");
  EXPECT_EQ(principal_.caller().ToString(),
            "tenant:ke session:" + id_.ToString() + " roles:owner,billing,viewer projects:desk=developer,lab=admin")
      << "an owner has it all";
  tenant().clear_roles();
  Sync();
  EXPECT_EQ(Try(token), "owner,billing,viewer desk=developer lab=admin");
}

TEST_F(SessionsTest, KeepsWhatStillStands) {
  const std::string token = sealer_.Seal(Token()).value();
  const auto original = state_;
  const auto with = [&](const std::function<void()>& change) {
    state_ = original;
    change();
    Sync();
    return Try(token);
  };
  EXPECT_EQ(with([&] { member(0).set_disabled(true); }), "billing lab=admin");
  EXPECT_EQ(with([&] { member(0).mutable_claims(0)->set_contains("others"); }), "billing lab=admin");
  EXPECT_EQ(with([&] { member(0).set_uid("made again"); }), "billing lab=admin");
  EXPECT_EQ(with([&] { member(0).set_identity_provider("tenants/ke/identityProviders/other"); }), "billing lab=admin");
  EXPECT_EQ(with([&] { member(0).mutable_grants(0)->set_roles(0, Role::ROLE_AUDITOR); }),
            "billing,auditor desk=developer lab=admin");
  EXPECT_EQ(with([&] { tenant().mutable_members()->DeleteSubrange(0, 1); }), "billing lab=admin");
  EXPECT_EQ(with([&] { tenant().clear_members(); }), "SESSION_ENDED");
  EXPECT_EQ(with([&] { tenant().mutable_identity_providers(0)->set_disabled(true); }), "SESSION_ENDED");
  EXPECT_EQ(with([&] { tenant().mutable_identity_providers(0)->clear_sign_in(); }), "SESSION_ENDED");
  EXPECT_EQ(with([&] { tenant().clear_identity_providers(); }), "SESSION_ENDED");
  EXPECT_EQ(with([&] { tenant().set_active(false); }), "SESSION_ENDED");
  EXPECT_EQ(with([&] {
              tenant().add_ended_sessions({reinterpret_cast<const char*>(id_.bytes().data()), 16});
            }),
            "SESSION_ENDED");
  EXPECT_EQ(with([&] { tenant().add_ended_sessions("too short"); }), "billing,viewer desk=developer lab=admin");
  EXPECT_EQ(with([] {}), "billing,viewer desk=developer lab=admin");
}

TEST_F(SessionsTest, OfASuspendedTenantItCanBeEndedAndNothingElse) {
  const std::string token = sealer_.Seal(Token()).value();
  const SessionsToEnd to_end(sessions_);
  const auto authenticate = [&](const std::string& text) {
    return to_end.Authenticate("Bearer " + text, std::nullopt);
  };
  EXPECT_EQ(authenticate(token)->subject, "s") << "while the tenant is active it is as for everything else";
  tenant().set_active(false);
  Sync();
  EXPECT_EQ(Try(token), "SESSION_ENDED");
  const auto principal = authenticate(token);
  ASSERT_TRUE(principal) << principal.error().message;
  EXPECT_EQ(principal->name, "tenants/ke/sessions/" + id_.ToString());
  EXPECT_EQ(principal->tenant, "tenants/ke");
  EXPECT_EQ(principal->subject, "") << "so that one that was stolen and ended ends no other";
  EXPECT_TRUE(principal->roles.empty());
  EXPECT_FALSE(principal->portal || principal->inference);
  EXPECT_EQ(authenticate(token.substr(1)).error().reason, "INVALID_TOKEN");
  tenant().set_active(true);
  tenant().add_ended_sessions({reinterpret_cast<const char*>(id_.bytes().data()), 16});
  Sync();
  EXPECT_EQ(authenticate(token).error().reason, "SESSION_ENDED");
  clock_.Advance(31min);
  tenant().set_active(false);
  Sync();
  EXPECT_EQ(authenticate(token).error().reason, "SESSION_EXPIRED");
}

TEST_F(SessionsTest, IsNotCalledEndedWhileThatCannotBeKnown) {
  const std::string token = sealer_.Seal(Token()).value();
  SessionToken unknown = Token();
  unknown.members = {{"new", "g"}};
  const std::string newer = sealer_.Seal(unknown).value();
  EXPECT_EQ(Try(newer), "SESSION_ENDED");
  table_.EndStream();
  EXPECT_EQ(Try(newer), "IDENTITIES_NOT_SYNCED");
  EXPECT_EQ(Try(token), "billing,viewer desk=developer lab=admin");
  const federation::TrustTable empty;
  EXPECT_EQ(Sessions(empty, sealer_, clock_, 30min).Authenticate("Bearer " + token, std::nullopt).error().reason,
            "IDENTITIES_NOT_SYNCED");
}

TEST_F(SessionsTest, EndsWhenItIsIdleAndIsRenewedWhenItIsNot) {
  const Time end = clock_.Now() + 12h;
  std::string token = sealer_.Seal(Token()).value();
  clock_.Advance(14min);
  Try(token);
  EXPECT_EQ(principal_.renewed_credential, "");
  clock_.Advance(2min);
  Try(token);
  ASSERT_NE(principal_.renewed_credential, "");
  const auto renewed = sealer_.Open(principal_.renewed_credential, clock_.Now());
  ASSERT_TRUE(renewed);
  EXPECT_EQ(renewed->id, id_);
  EXPECT_EQ(renewed->expire_time, clock_.Now() + 30min);
  EXPECT_EQ(renewed->end_time, end);
  EXPECT_EQ(renewed->members, Token().members);
  clock_.Advance(14min);
  EXPECT_EQ(Try(token), "SESSION_EXPIRED");
  // Used all the time it goes on, and not beyond its end.
  token = principal_.renewed_credential;
  while (clock_.Now() + 10min < end) {
    ASSERT_EQ(Try(token), "billing,viewer desk=developer lab=admin");
    if (!principal_.renewed_credential.empty()) token = principal_.renewed_credential;
    clock_.Advance(10min);
  }
  clock_.Advance(10min);
  EXPECT_EQ(Try(token), "SESSION_EXPIRED");
}

TEST_F(SessionsTest, OneThatWasNotSealedHereIsNone) {
  const std::string token = sealer_.Seal(Token()).value();
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_EQ(Try(changed), "INVALID_TOKEN") << i;
    EXPECT_EQ(Try(token.substr(0, i)), "INVALID_TOKEN") << i;
  }
  EXPECT_EQ(Try(SessionSealer("another pepper of some length").Seal(Token()).value()), "INVALID_TOKEN");
  // What is sealed with the same pepper for another purpose.
  EXPECT_EQ(Try(federation::SealedJson(kPepper, "allod attempts to sign in", kSessionTokenPrefix, 4000)
                    .Seal({{"id", id_.ToString()}})),
            "INVALID_TOKEN");
}

TEST_F(SessionsTest, OneThatNoBrowserWouldKeepIsNotMade) {
  SessionToken token = Token();
  token.members.assign(60, {std::string(32, 'm'), "0123456789abcdef"});
  EXPECT_EQ(sealer_.Seal(token).error().reason, "TOO_MANY_MEMBERSHIPS");
}

}  // namespace
}  // namespace allod::gateway::sign_in::sessions_test
