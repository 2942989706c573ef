// The RPCs of sessions, and what gateways hear of their ends.
#include <gtest/gtest.h>

#include <thread>

#include "services/tenancy/testing/people_fixture.h"

namespace allod::tenancy::session_service_test {
namespace {

using namespace std::chrono_literals;

TEST_F(PeopleServiceTest, SessionsBeginAreListedAndEnd) {
  ASSERT_TRUE(Create(NewProvider()));
  ASSERT_TRUE(Create(NewMember("achieng", access::v1::ROLE_OWNER)));
  const auto begun = Begin(NewSession("t1", {"achieng", "gone"}));
  ASSERT_TRUE(begun) << begun.error().message;
  ASSERT_EQ(begun->members_size(), 1);
  EXPECT_EQ(begun->members(0), "tenants/ke/members/achieng");
  EXPECT_EQ(begun->client(), v1::Session::CLIENT_BROWSER);
  EXPECT_EQ(Why(Begin(NewSession("t1", {"achieng"}))), "TOKEN_REPLAYED");
  EXPECT_EQ(Why(Begin(NewSession("t2", {"gone"}))), "NO_SUCH_MEMBER");
  const auto second = Begin(NewSession("t3", {"achieng"}));
  ASSERT_TRUE(second) << second.error().message;
  const Caller owner = PersonWith({Role::ROLE_OWNER});
  const auto listed = List(owner);
  ASSERT_EQ(listed->sessions_size(), 2);
  EXPECT_EQ(listed->sessions(0).name(), second->name()) << "the newest first";
  EXPECT_EQ(List(owner, "4711")->sessions_size(), 2);
  EXPECT_EQ(List(owner, "4712")->sessions_size(), 0);

  EXPECT_EQ(End(Ending(begun->name()), owner)->ended(), 1);
  EXPECT_EQ(End(Ending(begun->name()), owner)->ended(), 0);
  EXPECT_EQ(Why(End(Ending("tenants/ke/sessions/" + Uuid::V7().ToString()), owner)), "NOT_FOUND");
  v1::EndSessionsRequest all;
  all.set_parent("tenants/ke");
  all.mutable_person()->set_identity_provider(kProvider);
  all.mutable_person()->set_subject("4711");
  EXPECT_EQ(End(all, kGateway)->ended(), 1) << "who signs out is the gateway's to say";
  EXPECT_EQ(List(owner)->sessions_size(), 0);
}

TEST_F(PeopleServiceTest, SessionsAreBegunByGatewaysAndEndedByThoseWhoMay) {
  ASSERT_TRUE(Create(NewProvider()));
  ASSERT_TRUE(Create(NewMember("achieng", access::v1::ROLE_OWNER)));
  for (const Caller& caller : {Caller::Operator(), Caller::Tenant("ke"), PersonWith({Role::ROLE_OWNER})}) {
    EXPECT_EQ(Why(Begin(NewSession("t", {"achieng"}), caller)), "NOT_ALLOWED") << caller.ToString();
  }
  const auto begun = Begin(NewSession("t", {"achieng"}));
  ASSERT_TRUE(begun) << begun.error().message;
  EXPECT_EQ(Why(List(PersonWith({Role::ROLE_DEVELOPER}))), "PERMISSION_MISSING");
  EXPECT_EQ(Why(List(PersonWith({Role::ROLE_AUDITOR}))), "");
  const auto ending = Ending(begun->name());
  EXPECT_EQ(Why(End(ending, PersonWith({Role::ROLE_AUDITOR}))), "PERMISSION_MISSING");
  EXPECT_EQ(Why(End(ending, Caller::Key("ke", "desk", {"portal"}))), "PROJECT_KEY");
  EXPECT_EQ(Why(End(ending, Caller::Tenant("ug"))), "NOT_FOUND");
  EXPECT_EQ(Why(End(ending, PersonWith({Role::ROLE_ADMIN}))), "");
}

TEST_F(PeopleServiceTest, RefusesSessionsThatMakeNoSense) {
  ASSERT_TRUE(Create(NewProvider()));
  ASSERT_TRUE(Create(NewMember("achieng", access::v1::ROLE_OWNER)));
  const auto refused = [&](const std::function<void(v1::BeginSessionRequest&)>& spoil) {
    auto request = NewSession("t", {"achieng"});
    spoil(request);
    return Why(Begin(request));
  };
  EXPECT_EQ(refused([](auto& r) { r.set_id_token_sha256("short"); }), "INVALID_DIGEST");
  EXPECT_EQ(refused([](auto& r) { r.mutable_session()->clear_members(); }), "INVALID_MEMBER");
  EXPECT_EQ(refused([](auto& r) { r.mutable_session()->set_members(0, "tenants/ug/members/achieng"); }),
            "INVALID_NAME");
  EXPECT_EQ(refused([](auto& r) { r.mutable_session()->clear_subject(); }), "INVALID_SUBJECT");
  EXPECT_EQ(refused([](auto& r) { r.mutable_session()->clear_client(); }), "INVALID_CLIENT");
  EXPECT_EQ(refused([](auto& r) { r.mutable_session()->clear_expire_time(); }), "INVALID_EXPIRE_TIME");
  EXPECT_EQ(refused([&](auto& r) { *r.mutable_session()->mutable_expire_time() = ToTimestamp(clock_.Now() + 25h); }),
            "INVALID_EXPIRE_TIME");
  v1::EndSessionsRequest end;
  end.set_parent("tenants/ke");
  EXPECT_EQ(Why(End(end, kGateway)), "INVALID_SESSION");
  end.set_session("tenants/ug/sessions/" + Uuid::V7().ToString());
  EXPECT_EQ(Why(End(end, kGateway)), "INVALID_NAME");
  end.mutable_person()->set_identity_provider(kProvider);
  EXPECT_EQ(Why(End(end, kGateway)), "INVALID_SESSION") << "one of the two";
  end.clear_session();
  EXPECT_EQ(Why(End(end, kGateway)), "INVALID_SUBJECT");
  end.mutable_person()->set_subject(std::string(256, 's'));
  EXPECT_EQ(Why(End(end, kGateway)), "INVALID_SUBJECT");
  v1::ListSessionsRequest list;
  list.set_parent("tenants/ke");
  list.set_page_token(EncodePageToken("tenants/ke/sessions  ", "no uuid"));
  EXPECT_EQ(Why(CallUnary(*session_stub_, &Sessions::ListSessions, list, kGateway, 5s)), "INVALID_PAGE_TOKEN");
  list.clear_page_token();
  list.set_subject("4711");
  EXPECT_EQ(Why(CallUnary(*session_stub_, &Sessions::ListSessions, list, kGateway, 5s)), "INVALID_NAME")
      << "of which provider?";
  tenants_.Suspend("ke");
  EXPECT_EQ(refused([](auto&) {}), "TENANT_SUSPENDED");
}

TEST_F(PeopleServiceTest, GatewaysHearOfEndedSessionsAndMembersBeforeTheChangeReturns) {
  ASSERT_TRUE(Create(NewProvider()));
  const auto member = Create(NewMember("achieng", access::v1::ROLE_VIEWER));
  const auto begun = Begin(NewSession("t", {"achieng"}));
  ASSERT_TRUE(begun) << begun.error().message;
  Gateway gateway(*identity_stub_);
  auto told = gateway.Read();
  EXPECT_EQ(told.members_size(), 1);
  EXPECT_EQ(told.ended_sessions_size(), 0);
  gateway.Acknowledge();
  const auto before_it_returns = [&](const std::function<void()>& change) {
    std::atomic<bool> returned = false;
    std::thread changer([&] {
      change();
      returned = true;
    });
    told = gateway.Read();
    EXPECT_FALSE(returned) << "before it is acknowledged";
    gateway.Acknowledge();
    changer.join();
  };
  before_it_returns([&] { EXPECT_EQ(End(Ending(begun->name()), kGateway)->ended(), 1); });
  ASSERT_EQ(told.ended_sessions_size(), 1);
  std::array<std::uint8_t, 16> bytes{};
  ASSERT_EQ(told.ended_sessions(0).size(), bytes.size());
  std::ranges::copy(told.ended_sessions(0), bytes.begin());
  EXPECT_EQ("tenants/ke/sessions/" + Uuid::FromBytes(bytes).ToString(), begun->name());
  before_it_returns([&] { EXPECT_TRUE(Delete("achieng")); });
  EXPECT_EQ(told.members_size(), 0);
}

TEST_F(PeopleServiceTest, ACrowdThatSignsInLeavesOtherTenantsAnswered) {
  ASSERT_TRUE(Create(NewProvider()));
  ASSERT_TRUE(Create(NewMember("achieng", access::v1::ROLE_OWNER)));
  std::vector<CallGate::Pass> crowd;
  for (int i = 0; i < 20; ++i) crowd.push_back(gates_.mutations.Enter(Caller::Tenant("ke")).value());
  EXPECT_EQ(Why(Begin(NewSession("t", {"achieng"}))), "TOO_MANY_CALLS") << "it counts as the tenant's";
  auto other = NewSession("t", {});
  other.set_parent("tenants/ug");
  other.mutable_session()->set_identity_provider("tenants/ug/identityProviders/corp");
  other.mutable_session()->add_members("tenants/ug/members/achieng");
  EXPECT_EQ(Why(Begin(other)), "NOT_FOUND") << "it is looked for";
}

}  // namespace
}  // namespace allod::tenancy::session_service_test
