// The RPCs of members.
#include <gtest/gtest.h>

#include <thread>

#include "services/tenancy/testing/people_fixture.h"

namespace allod::tenancy::member_service_test {
namespace {

using namespace std::chrono_literals;

TEST_F(PeopleServiceTest, MembersAreMadeReadChangedAndDeleted) {
  EXPECT_EQ(Why(Create(NewMember("achieng", access::v1::ROLE_OWNER))), "NOT_FOUND") << "no provider";
  ASSERT_TRUE(Create(NewProvider()));
  const auto owner = Create(NewMember("owner", access::v1::ROLE_OWNER), Caller::Tenant("ke"));
  ASSERT_TRUE(owner) << owner.error().message;
  EXPECT_EQ(owner->name(), "tenants/ke/members/owner");
  const auto made = Create(NewMember("achieng", access::v1::ROLE_VIEWER, "tenants/ke/projects/desk"));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->grants(0).resource(), "tenants/ke/projects/desk");
  EXPECT_EQ(Create(NewMember("achieng", access::v1::ROLE_VIEWER, "tenants/ke/projects/desk"))->uid(), made->uid());
  EXPECT_EQ(Why(Create(NewMember("achieng", access::v1::ROLE_ADMIN))), "ALREADY_EXISTS");
  v1::Member wanted = *made;
  wanted.set_disabled(true);
  ASSERT_TRUE(Update(wanted, Caller::Operator(), true));
  EXPECT_FALSE(store_.GetMember("ke", "achieng")->disabled) << "it was judged only";
  const auto changed = Update(wanted);
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_TRUE(changed->disabled());
  EXPECT_EQ(changed->uid(), made->uid());
  EXPECT_EQ(Why(Update(wanted)), "ETAG_MISMATCH");
  v1::ListMembersRequest list;
  list.set_parent("tenants/ke");
  EXPECT_EQ(CallUnary(*member_stub_, &Members::ListMembers, list, Caller::Tenant("ke"), 5s)->members_size(), 2);
  v1::GetMemberRequest get;
  get.set_name("tenants/ke/members/achieng");
  EXPECT_EQ(CallUnary(*member_stub_, &Members::GetMember, get, Caller::Tenant("ke"), 5s)->uid(), made->uid());
  EXPECT_EQ(Why(CallUnary(*member_stub_, &Members::GetMember, get, Caller::Tenant("ug"), 5s)), "NOT_FOUND");
  EXPECT_TRUE(Delete("achieng"));
  EXPECT_EQ(Why(Delete("achieng")), "NOT_FOUND");
  EXPECT_EQ(Why(Delete("owner")), "LAST_OWNER") << "an operator as well";
  v1::Member demoted = *owner;
  demoted.mutable_grants(0)->set_roles(0, access::v1::ROLE_ADMIN);
  EXPECT_EQ(Why(Update(demoted, Caller::Operator(), true)), "LAST_OWNER");
  v1::IdentityProvider provider = *Create(NewProvider());
  provider.set_disabled(true);
  EXPECT_EQ(Why(Update(provider, true)), "LAST_OWNER");
  provider.set_disabled(false);
  provider.clear_sign_in();
  provider.add_audiences("allod");
  EXPECT_EQ(Why(Update(provider, true)), "IDENTITY_PROVIDER_IN_USE");
  EXPECT_EQ(Why(Update(provider)), "IDENTITY_PROVIDER_IN_USE");
}

TEST_F(PeopleServiceTest, ADryRunOfAMemberChangesNothing) {
  ASSERT_TRUE(Create(NewProvider()));
  auto request = NewMember("achieng", access::v1::ROLE_OWNER);
  request.set_validate_only(true);
  ASSERT_TRUE(Create(request));
  EXPECT_FALSE(store_.GetMember("ke", "achieng"));
  request = NewMember("achieng", access::v1::ROLE_VIEWER, "tenants/ke/projects/none");
  request.set_validate_only(true);
  EXPECT_EQ(Why(Create(request)), "NOT_FOUND");
}

TEST_F(PeopleServiceTest, HowOwnersSignInTheyChangeThemselves) {
  const auto provider = Create(NewProvider());
  ASSERT_TRUE(provider) << provider.error().message;
  ASSERT_TRUE(Create(NewMember("owner", access::v1::ROLE_OWNER)));
  const Caller admin = PersonWith({Role::ROLE_ADMIN});
  v1::IdentityProvider changed = *provider;
  changed.mutable_sign_in()->set_client_id("another");
  for (const bool validate_only : {true, false}) {
    EXPECT_EQ(Why(Update(changed, validate_only, admin)), "ROLE_NOT_HELD");
  }
  changed = *provider;
  changed.set_display_name("Corp");
  const auto named = Update(changed, false, admin);
  ASSERT_TRUE(named) << "that changes nothing of how they sign in: " << named.error().message;
  changed = *named;
  changed.mutable_sign_in()->set_client_id("another");
  const auto moved = Update(changed, false, PersonWith({Role::ROLE_OWNER}));
  EXPECT_TRUE(moved) << moved.error().message;
}

TEST_F(PeopleServiceTest, NobodyGivesOrTakesWhatHeDoesNotHold) {
  ASSERT_TRUE(Create(NewProvider()));
  const Caller admin = PersonWith({Role::ROLE_ADMIN});
  const Caller owner = PersonWith({Role::ROLE_OWNER});
  EXPECT_EQ(Why(Create(NewMember("a", access::v1::ROLE_OWNER), admin)), "ROLE_NOT_HELD");
  const auto made = Create(NewMember("a", access::v1::ROLE_OWNER), owner);
  ASSERT_TRUE(made) << made.error().message;
  ASSERT_TRUE(Create(NewMember("b", access::v1::ROLE_OWNER), owner));
  const auto viewer = Create(NewMember("c", access::v1::ROLE_VIEWER, "tenants/ke/projects/desk"), admin);
  ASSERT_TRUE(viewer) << "what holds at the tenant holds at its projects: " << viewer.error().message;
  // Neither the roles nor whom they are for.
  v1::Member demoted = *made;
  demoted.mutable_grants(0)->set_roles(0, access::v1::ROLE_VIEWER);
  EXPECT_EQ(Why(Update(demoted, admin)), "ROLE_NOT_HELD");
  EXPECT_EQ(Why(Update(demoted, admin, true)), "ROLE_NOT_HELD");
  v1::Member taken = *made;
  taken.mutable_claims(0)->set_equals("admin@ke.example");
  EXPECT_EQ(Why(Update(taken, admin)), "ROLE_NOT_HELD");
  EXPECT_EQ(Why(Delete("a", admin)), "ROLE_NOT_HELD");
  v1::Member promoted = *viewer;
  promoted.mutable_grants(0)->set_roles(0, access::v1::ROLE_ADMIN);
  EXPECT_EQ(Why(Update(promoted, admin)), "");
  EXPECT_EQ(Why(Delete("c", admin)), "");
  EXPECT_EQ(Why(Delete("a", owner)), "");
  // Others have no say.
  const auto request = NewMember("d", access::v1::ROLE_VIEWER);
  EXPECT_EQ(Why(Create(request, PersonWith({Role::ROLE_DEVELOPER}))), "PERMISSION_MISSING");
  EXPECT_EQ(Why(Create(request, PersonWith({}, {{"desk", {Role::ROLE_ADMIN}}}))), "PROJECT_KEY");
  EXPECT_EQ(Why(Create(request, Caller::Key("ke", "desk", {"portal"}))), "PROJECT_KEY");
  EXPECT_EQ(Why(Create(request, Caller::Workload("ke", "desk", "ci", {"portal"}, {Role::ROLE_ADMIN}))), "PROJECT_KEY");
  EXPECT_EQ(Why(Create(request, Caller::Tenant("ug"))), "NOT_FOUND");
  EXPECT_EQ(Why(Create(request, Caller::Person("ug", Uuid::V7().ToString(), {Role::ROLE_OWNER}))), "NOT_FOUND");
}

TEST_F(PeopleServiceTest, OfTwoOwnersWhoDemoteEachOtherOneIsRefused) {
  ASSERT_TRUE(Create(NewProvider()));
  auto first = *Create(NewMember("a", access::v1::ROLE_OWNER));
  auto second = *Create(NewMember("b", access::v1::ROLE_OWNER));
  for (v1::Member* member : {&first, &second}) member->mutable_grants(0)->set_roles(0, access::v1::ROLE_ADMIN);
  std::string why, other_why;
  std::thread other([&] { other_why = Why(Update(second, PersonWith({Role::ROLE_OWNER}))); });
  why = Why(Update(first, PersonWith({Role::ROLE_OWNER})));
  other.join();
  EXPECT_EQ(why + other_why, "LAST_OWNER");
}

TEST_F(PeopleServiceTest, RefusesMembersThatMakeNoSense) {
  ASSERT_TRUE(Create(NewProvider()));
  const auto refused = [&](const std::function<void(v1::Member&)>& spoil) {
    auto request = NewMember("a", access::v1::ROLE_VIEWER);
    spoil(*request.mutable_member());
    return Why(Create(request));
  };
  EXPECT_EQ(refused([](v1::Member& m) { m.clear_claims(); }), "MEMBER_TOO_WIDE");
  EXPECT_EQ(refused([](v1::Member& m) { m.mutable_claims(0)->clear_match(); }), "INVALID_CLAIM");
  EXPECT_EQ(refused([](v1::Member& m) { m.mutable_claims(0)->set_prefix("a"); }), "INVALID_CLAIM");
  EXPECT_EQ(refused([](v1::Member& m) { m.clear_grants(); }), "INVALID_GRANT");
  for (const char* place : {"", "tenants/ug", "tenants/ug/projects/desk", "tenants/ke/projects/-", "projects/desk",
                            "tenants/ke/projects/desk/instances/i"}) {
    EXPECT_EQ(refused([&](v1::Member& m) { m.mutable_grants(0)->set_resource(place); }), "INVALID_GRANT") << place;
  }
  EXPECT_EQ(refused([](v1::Member& m) { m.mutable_grants(0)->set_roles(0, static_cast<Role>(99)); }), "INVALID_ROLE");
  EXPECT_EQ(refused([](v1::Member& m) { m.mutable_grants(0)->set_roles(0, access::v1::ROLE_OPERATOR); }),
            "INVALID_ROLE");
  EXPECT_EQ(refused([](v1::Member& m) { m.set_identity_provider("tenants/ug/identityProviders/corp"); }),
            "INVALID_NAME");
  EXPECT_EQ(refused([](v1::Member& m) { m.clear_display_name(); }), "INVALID_TEXT");
  auto request = NewMember("No Id", access::v1::ROLE_VIEWER);
  EXPECT_EQ(Why(Create(request)), "INVALID_ID");
  request = NewMember("a", access::v1::ROLE_VIEWER);
  request.set_request_id("no uuid");
  EXPECT_EQ(Why(Create(request)), "INVALID_REQUEST_ID");
}

}  // namespace
}  // namespace allod::tenancy::member_service_test
