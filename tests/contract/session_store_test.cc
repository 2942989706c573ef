// What every store of sessions does, run on the fake and on PostgreSQL as the app role.
#include <gmock/gmock.h>

#include <thread>

#include "services/common/digest.h"
#include "tests/contract/identity_store_harness.h"

namespace allod::tenancy::session_store_test {
namespace {

using namespace std::chrono_literals;
using identity_store_harness::IdentityStores;

constexpr Roles kOwner{Role::ROLE_OWNER};

class SessionStoreTest : public IdentityStores {
 protected:
  void SetUp() override {
    IdentityStores::SetUp();
    for (const char* tenant : {"ke", "ug"}) {
      ASSERT_TRUE(identities().CreateProvider(SignInProvider("corp", tenant), {}));
      ASSERT_TRUE(members().CreateMember(NewMember("achieng", {{"", kOwner}}, tenant), {}));
      ASSERT_TRUE(members().CreateMember(NewMember("group", {{"", {Role::ROLE_VIEWER}}}, tenant), {}));
    }
  }
  SessionStore& store() { return sessions(); }

  // By a token that nobody has shown yet.
  Session NewSession(const std::string& subject = "4711", const std::string& tenant = "ke") {
    clock_.Advance(1ms);
    return {.tenant = tenant,
            .id = Uuid::V7(clock_.Now()),
            .person = {"corp", subject},
            .display_name = "Achieng — \"O\"",
            .members = {"achieng", "group"},
            .client = SessionClient::kCommandLine,
            .client_address = "192.0.2.7",
            .user_agent = "allod/1 {x,y}",
            .create_time = clock_.Now(),
            .expire_time = clock_.Now() + 12h};
  }
  static std::string Token(const std::string& text) { return Sha256Hex(text); }
  Result<SessionBeginning> Begin(const Session& session) {
    return store().BeginSession(session, Token(session.id.ToString()));
  }
  std::vector<Session> Live(const std::string& tenant = "ke", const std::optional<Person>& person = std::nullopt) {
    const auto page = store().ListSessions(tenant, person, clock_.Now(), {"s", 1000, ""});
    EXPECT_TRUE(page) << page.error().message;
    return page ? page->items : std::vector<Session>();
  }
  std::vector<Uuid> Told(const std::string& tenant = "ke") {
    return identities().ReadIdentity(tenant, clock_.Now())->ended_sessions;
  }
};

INSTANTIATE_TEST_SUITE_P(Stores, SessionStoreTest, testing::Values("Fake", "PostgreSQL"),
                         [](const auto& test) { return test.param; });

TEST_P(SessionStoreTest, ASessionBeginsAndIsListed) {
  const std::int64_t before = VersionOf("ke");
  const Session wanted = NewSession();
  const auto begun = Begin(wanted);
  ASSERT_TRUE(begun) << begun.error().message;
  EXPECT_EQ(begun->version, 0);
  EXPECT_EQ(VersionOf("ke"), before) << "gateways need not be told";
  const auto live = Live();
  ASSERT_EQ(live.size(), 1U);
  EXPECT_EQ(live[0].id, wanted.id);
  EXPECT_EQ(live[0].person, wanted.person);
  EXPECT_EQ(live[0].display_name, wanted.display_name);
  EXPECT_EQ(live[0].members, wanted.members);
  EXPECT_EQ(live[0].client, SessionClient::kCommandLine);
  EXPECT_EQ(live[0].client_address, wanted.client_address);
  EXPECT_EQ(live[0].user_agent, wanted.user_agent);
  EXPECT_EQ(live[0].create_time, wanted.create_time);
  EXPECT_EQ(live[0].expire_time, wanted.expire_time);
  EXPECT_FALSE(live[0].end_time);
  EXPECT_TRUE(Live("ug").empty());
  clock_.Advance(12h);
  EXPECT_TRUE(Live().empty()) << "it has expired";
}

TEST_P(SessionStoreTest, BeginsByThoseMembersThatStillHold) {
  Member disabled = NewMember("group", {{"", {Role::ROLE_VIEWER}}});
  disabled.disabled = true;
  ASSERT_TRUE(members().UpdateMember(disabled, EtagOf(*members().GetMember("ke", "group")), kOwner, {}));
  Session session = NewSession();
  session.members = {"achieng", "group", "nobody"};
  const auto begun = Begin(session);
  ASSERT_TRUE(begun) << begun.error().message;
  EXPECT_EQ(begun->session.members, std::vector<std::string>{"achieng"});
  EXPECT_EQ(Live().at(0).members, std::vector<std::string>{"achieng"});
  session = NewSession();
  session.members = {"group", "nobody"};
  EXPECT_EQ(Why(Begin(session)), "NO_SUCH_MEMBER");
  ASSERT_TRUE(identities().CreateProvider(SignInProvider("partner"), {}));
  session = NewSession();
  session.person.provider = "partner";
  EXPECT_EQ(Why(Begin(session)), "NO_SUCH_MEMBER") << "they are another provider's";
  EXPECT_EQ(Live().size(), 1U);
}

TEST_P(SessionStoreTest, NeedsAnActiveTenantAndAProviderToSignInWith) {
  EXPECT_EQ(Why(Begin(NewSession("4711", "none"))), "NOT_FOUND");
  Session session = NewSession();
  session.person.provider = "none";
  EXPECT_EQ(Why(Begin(session)), "NOT_FOUND");
  IdentityProvider other = SignInProvider("partner");
  const auto made = identities().CreateProvider(other, {});
  session.person.provider = "partner";
  other.disabled = true;
  const auto disabled = identities().UpdateProvider(other, EtagOf(*made), {Role::ROLE_OWNER}, {});
  EXPECT_EQ(Why(Begin(session)), "NO_SIGN_IN");
  other.disabled = false;
  other.sign_in.reset();
  other.audiences = {"a"};
  ASSERT_TRUE(identities().UpdateProvider(other, EtagOf(*disabled), {Role::ROLE_OWNER}, {}));
  EXPECT_EQ(Why(Begin(session)), "NO_SIGN_IN");
  backend_->Suspend("ke");
  EXPECT_EQ(Why(Begin(NewSession())), "TENANT_SUSPENDED");
  EXPECT_EQ(Why(Begin(NewSession("4711", "ug"))), "");
  EXPECT_EQ(Why(store().ListSessions("none", std::nullopt, clock_.Now(), {"s", 10, ""})), "NOT_FOUND");
}

TEST_P(SessionStoreTest, ATokenBeginsOneSessionAlsoWhenItIsShownTwiceAtOnce) {
  const Session first = NewSession();
  const Session second = NewSession();
  std::string why, other_why;
  std::thread other([&] { other_why = Why(store().BeginSession(second, Token("t"))); });
  why = Why(store().BeginSession(first, Token("t")));
  other.join();
  EXPECT_EQ(why + other_why, "TOKEN_REPLAYED");
  EXPECT_EQ(Live().size(), 1U);
  ASSERT_TRUE(store().EndSessions("ke", {"corp", "4711"}, clock_.Now()));
  clock_.Advance(24h);
  EXPECT_EQ(Why(store().BeginSession(NewSession(), Token("t"))), "TOKEN_REPLAYED") << "however long it is over";
  EXPECT_EQ(Why(store().BeginSession(NewSession("4711", "ug"), Token("t"))), "") << "of another tenant";
}

TEST_P(SessionStoreTest, EndsOneOrAllOfAPerson) {
  const Session one = NewSession();
  const Session another = NewSession();
  const Session stranger = NewSession("other");
  for (const Session& session : {one, another, stranger}) ASSERT_TRUE(Begin(session));
  ASSERT_TRUE(Begin(NewSession("4711", "ug")));
  const std::int64_t before = VersionOf("ke");
  const auto ended = store().EndSession("ke", one.id, clock_.Now());
  ASSERT_TRUE(ended) << ended.error().message;
  EXPECT_EQ(ended->ended, 1);
  EXPECT_GT(ended->version, before);
  EXPECT_EQ(VersionOf("ke"), ended->version);
  EXPECT_EQ(Told(), std::vector<Uuid>{one.id});
  const auto again = store().EndSession("ke", one.id, clock_.Now());
  EXPECT_EQ(again->ended, 0);
  EXPECT_EQ(again->version, ended->version) << "it is awaited as the first";
  EXPECT_EQ(Why(store().EndSession("ke", Uuid::V7(), clock_.Now())), "NOT_FOUND");
  EXPECT_EQ(Why(store().EndSession("ug", another.id, clock_.Now())), "NOT_FOUND") << "another tenant's";

  const auto all = store().EndSessions("ke", {"corp", "4711"}, clock_.Now());
  EXPECT_EQ(all->ended, 1);
  EXPECT_EQ(Told(), (std::vector<Uuid>{one.id, another.id}));
  EXPECT_EQ(store().EndSessions("ke", {"corp", "4711"}, clock_.Now())->version, all->version);
  EXPECT_EQ(store().EndSessions("ke", {"corp", "nobody"}, clock_.Now())->ended, 0);
  ASSERT_EQ(Live().size(), 1U);
  EXPECT_EQ(Live()[0].id, stranger.id);
  EXPECT_EQ(Live("ug").size(), 1U);
  EXPECT_TRUE(Told("ug").empty());
  clock_.Advance(12h);
  EXPECT_TRUE(Told().empty()) << "it is over anyway";
}

TEST_P(SessionStoreTest, APersonsOldestSessionsMakeRoom) {
  std::vector<Uuid> ids;
  for (int i = 0; i < kSessionsPerPersonMax; ++i) {
    const Session session = NewSession();
    ids.push_back(session.id);
    const auto begun = Begin(session);
    ASSERT_TRUE(begun) << begun.error().message;
    EXPECT_EQ(begun->version, 0);
  }
  ASSERT_TRUE(Begin(NewSession("other")));
  const auto one_more = Begin(NewSession());
  ASSERT_TRUE(one_more) << one_more.error().message;
  EXPECT_EQ(one_more->version, VersionOf("ke"));
  EXPECT_EQ(Told(), std::vector<Uuid>{ids.front()});
  EXPECT_EQ(Live("ke", Person{"corp", "4711"}).size(), static_cast<std::size_t>(kSessionsPerPersonMax));
  EXPECT_EQ(Live("ke", Person{"corp", "other"}).size(), 1U);
}

TEST_P(SessionStoreTest, APersonWhoBeginsAndEndsManyStandsInNobodyElsesWay) {
  for (int i = 0; i < kUnexpiredSessionsPerPersonMax; ++i) {
    const Session session = NewSession();
    ASSERT_TRUE(Begin(session)) << i;
    if (i % 2 != 0) continue;
    ASSERT_TRUE(store().EndSession("ke", session.id, clock_.Now()));
  }
  const auto one_more = Begin(NewSession());
  ASSERT_EQ(Why(one_more), "TOO_MANY_SESSIONS");
  EXPECT_THAT(one_more.error().message, testing::HasSubstr("a person may have 128"));
  EXPECT_EQ(Live("ke", Person{"corp", "4711"}).size(), static_cast<std::size_t>(kSessionsPerPersonMax))
      << "what is refused ends none";
  EXPECT_TRUE(Begin(NewSession("other")));
  EXPECT_TRUE(Begin(NewSession("4711", "ug"))) << "another tenant's person of that name";
  clock_.Advance(12h);
  EXPECT_TRUE(Begin(NewSession())) << "they have expired";
}

TEST_P(SessionStoreTest, ListsTheNewestFirstPageByPage) {
  std::vector<Uuid> ids;
  for (int i = 0; i < 5; ++i) {
    const Session session = NewSession(i % 2 == 0 ? "even" : "odd");
    ids.push_back(session.id);
    ASSERT_TRUE(Begin(session));
  }
  const auto first = store().ListSessions("ke", std::nullopt, clock_.Now(), {"s", 2, ""});
  ASSERT_EQ(first->items.size(), 2U);
  EXPECT_EQ(first->items[0].id, ids[4]);
  EXPECT_FALSE(first->next_page_token.empty());
  const auto rest = store().ListSessions("ke", std::nullopt, clock_.Now(), {"s", 10, ids[3].ToString()});
  ASSERT_EQ(rest->items.size(), 3U);
  EXPECT_EQ(rest->items[2].id, ids[0]);
  EXPECT_EQ(Live("ke", Person{"corp", "odd"}).size(), 2U);
}

TEST_P(SessionStoreTest, ATenantHasBounds) {
  if (postgres() == nullptr) GTEST_SKIP() << "rows are made faster";
  const auto fill = [&](int rows, const std::string& end_time) {
    postgres()->AsOwner(
        "ke",
        "INSERT INTO tenancy.sessions (tenant_id, id, provider_id, subject, display_name, members, client, "
        "client_address, user_agent, id_token_sha256, create_time, expire_time, end_time) SELECT '" +
            Uuid::FromName("tenants/ke").ToString() +
            "', gen_random_uuid(), 'corp', i::text, '', '{achieng}', 'BROWSER', '', '', "
            "sha256(gen_random_uuid()::text::"
            "bytea), '2030-01-01', '2030-01-01 20:00:00+00', " +
            end_time + " FROM generate_series(1, " + std::to_string(rows) + ") i");
  };
  clock_.Advance(10min);
  fill(kSessionsPerTenantMax - 1, "NULL");
  EXPECT_EQ(Why(Begin(NewSession())), "");
  EXPECT_EQ(Why(Begin(NewSession())), "TOO_MANY_SESSIONS");
  EXPECT_EQ(Why(Begin(NewSession("4711", "ug"))), "");
  postgres()->AsOwner("ke", "UPDATE tenancy.sessions SET end_time = '2030-01-01 00:00:01+00'");
  EXPECT_EQ(Why(Begin(NewSession())), "");
  fill(kUnexpiredSessionsPerTenantMax - kSessionsPerTenantMax - 1, "'2030-01-01 00:00:01+00'");
  EXPECT_EQ(Why(Begin(NewSession())), "TOO_MANY_SESSIONS") << "gateways are told of those that were ended";
  EXPECT_EQ(Told().size(), static_cast<std::size_t>(kUnexpiredSessionsPerTenantMax - 1));
}

TEST_P(SessionStoreTest, SessionsThatAreLongOverAreLetGo) {
  const Session old = NewSession();
  ASSERT_TRUE(Begin(old));
  clock_.Advance(12h + kSessionsKept - 1min);
  ASSERT_TRUE(Begin(NewSession()));
  EXPECT_EQ(Why(store().EndSession("ke", old.id, clock_.Now())), "") << "it is known still";
  clock_.Advance(1min);
  ASSERT_TRUE(Begin(NewSession()));
  EXPECT_EQ(Why(store().EndSession("ke", old.id, clock_.Now())), "NOT_FOUND");
}

}  // namespace
}  // namespace allod::tenancy::session_store_test
