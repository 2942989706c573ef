// What every store of members does, run on the fake and on PostgreSQL as the app role.
#include <thread>
#include <vector>

#include "tests/contract/identity_store_harness.h"

namespace allod::tenancy::member_store_test {
namespace {

using identity_store_harness::IdentityStores;
using identity_store_harness::Request;

constexpr Roles kOwner{Role::ROLE_OWNER};
constexpr Roles kAdmin{Role::ROLE_ADMIN};

class MemberStoreTest : public IdentityStores {
 protected:
  void SetUp() override {
    IdentityStores::SetUp();
    ASSERT_TRUE(identities().CreateProvider(SignInProvider(), {}));
    ASSERT_TRUE(identities().CreateProvider(SignInProvider("corp", "ug"), {}));
  }
  MemberStore& store() { return members(); }
};

INSTANTIATE_TEST_SUITE_P(Stores, MemberStoreTest, testing::Values("Fake", "PostgreSQL"),
                         [](const auto& test) { return test.param; });

TEST_P(MemberStoreTest, GivesBackWhatWasMade) {
  const Member wanted = NewMember(
      "group", {{"", {Role::ROLE_VIEWER, Role::ROLE_BILLING}}, {"desk", kAdmin}, {"lab", {Role::ROLE_DEVELOPER}}});
  const auto made = store().CreateMember(wanted, {});
  ASSERT_TRUE(made) << made.error().message;
  const auto read = store().GetMember("ke", "group");
  ASSERT_TRUE(read);
  EXPECT_TRUE(SameContent(*read, wanted));
  EXPECT_EQ(read->uid, wanted.uid);
  EXPECT_EQ(read->create_time, clock_.Now());
  EXPECT_EQ(read->version, VersionOf("ke"));
  const auto at_projects = store().CreateMember(NewMember("lab", {{"lab", kAdmin}}), {});
  EXPECT_EQ(at_projects->grants, (std::vector<RoleGrant>{{"lab", kAdmin}}));
  EXPECT_EQ(Why(store().GetMember("ug", "group")), "NOT_FOUND") << "tenants know nothing of each other's";
  EXPECT_EQ(identities().ReadIdentity("ke", clock_.Now())->members.size(), 2U);
  EXPECT_EQ(identities().ReadIdentity("ug", clock_.Now())->members.size(), 0U);
}

TEST_P(MemberStoreTest, TheSameAgainIsWhatStandsAndOtherContentIsRefused) {
  const auto made = store().CreateMember(NewMember(), {});
  EXPECT_EQ(store().CreateMember(NewMember(), {})->uid, made->uid);
  EXPECT_EQ(Why(store().CreateMember(NewMember("achieng", {{"", kAdmin}}), {})), "ALREADY_EXISTS");
}

TEST_P(MemberStoreTest, NeedsTenantProviderSignInAndProjects) {
  EXPECT_EQ(Why(store().CreateMember(NewMember("a", {{"", kOwner}}, "none"), {})), "NOT_FOUND");
  EXPECT_EQ(Why(store().CreateMember(NewMember("a", {{"none", kAdmin}}), {})), "NOT_FOUND");
  EXPECT_EQ(Why(store().CreateMember(NewMember("a", {{"lab", kAdmin}}, "ug"), {})), "NOT_FOUND") << "ke's project";
  Member member = NewMember();
  member.provider = "none";
  EXPECT_EQ(Why(store().CreateMember(member, {})), "NOT_FOUND");
  IdentityProvider pipelines = SignInProvider("ci");
  pipelines.sign_in.reset();
  pipelines.audiences = {"allod"};
  ASSERT_TRUE(identities().CreateProvider(pipelines, {}));
  member.provider = "ci";
  EXPECT_EQ(Why(store().CreateMember(member, {})), "NO_SIGN_IN");
  const auto made = store().CreateMember(NewMember(), {});
  EXPECT_EQ(Why(store().UpdateMember(member, EtagOf(*made), kOwner, {})), "NO_SIGN_IN");
  EXPECT_EQ(Why(store().UpdateMember(NewMember("achieng", {{"none", kAdmin}}), EtagOf(*made), kOwner, {})),
            "NOT_FOUND");
  EXPECT_EQ(Why(store().ListMembers("none", {"", 10, ""})), "NOT_FOUND");
}

TEST_P(MemberStoreTest, ChangesWhatHasTheEtagForThoseWhoHoldWhatItHas) {
  const auto owner = store().CreateMember(NewMember("owner"), {});
  const auto made = store().CreateMember(NewMember(), {});
  Member wanted = NewMember("achieng", {{"desk", {Role::ROLE_VIEWER}}});
  wanted.claims = {{"sub", "4711"}};
  wanted.disabled = true;
  EXPECT_EQ(Why(store().UpdateMember(wanted, "1000", kOwner, {})), "ETAG_MISMATCH");
  EXPECT_EQ(Why(store().UpdateMember(wanted, "", kOwner, {})), "ETAG_REQUIRED");
  EXPECT_EQ(Why(store().UpdateMember(wanted, EtagOf(*made), kAdmin, {})), "ROLE_NOT_HELD") << "an owner's role goes";
  const auto changed = store().UpdateMember(wanted, EtagOf(*made), kOwner, {});
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_TRUE(SameContent(*changed, wanted));
  EXPECT_EQ(changed->uid, made->uid);
  EXPECT_EQ(changed->create_time, made->create_time);
  EXPECT_GT(changed->version, made->version);
  EXPECT_EQ(VersionOf("ke"), changed->version);
  EXPECT_EQ(store().UpdateMember(wanted, EtagOf(*changed), kAdmin, {})->version, changed->version) << "the same";
  EXPECT_EQ(Why(store().DeleteMember("ke", "owner", kAdmin, {})), "ROLE_NOT_HELD");
  const auto gone = store().DeleteMember("ke", "achieng", kAdmin, {});
  ASSERT_TRUE(gone) << gone.error().message;
  EXPECT_EQ(*gone, VersionOf("ke"));
  EXPECT_EQ(Why(store().DeleteMember("ke", "achieng", kAdmin, {})), "NOT_FOUND");
  EXPECT_NE(store().CreateMember(NewMember(), {})->uid, made->uid) << "it is another by the same name";
}

TEST_P(MemberStoreTest, ARequestIdIsForOneRequest) {
  const Uuid id = Uuid::V7();
  const auto made = store().CreateMember(NewMember("a"), Request("a", id));
  EXPECT_EQ(store().CreateMember(NewMember("a"), Request("a", id))->version, made->version);
  EXPECT_EQ(Why(store().CreateMember(NewMember("b"), Request("b", id))), "REQUEST_ID_REUSED");
  ASSERT_TRUE(store().CreateMember(NewMember("owner"), {}));
  const Uuid update = Uuid::V7();
  const Member wanted = NewMember("a", {{"", kAdmin}});
  const auto updated = store().UpdateMember(wanted, EtagOf(*made), kOwner, Request("u", update));
  ASSERT_TRUE(updated) << updated.error().message;
  EXPECT_EQ(store().UpdateMember(wanted, EtagOf(*made), kOwner, Request("u", update))->version, updated->version);
  const Uuid remove = Uuid::V7();
  const auto removed = store().DeleteMember("ke", "a", kOwner, Request("d", remove));
  EXPECT_EQ(*store().DeleteMember("ke", "a", kOwner, Request("d", remove)), *removed);
  EXPECT_EQ(Why(store().CreateMember(NewMember("a"), Request("a", id))), "NOT_FOUND") << "it was deleted since";
}

TEST_P(MemberStoreTest, WhoChangesHowPeopleSignInHoldsWhatTheyHave) {
  ASSERT_TRUE(store().CreateMember(NewMember("viewer", {{"desk", {Role::ROLE_VIEWER}}}), {}));
  const auto why = [&](const IdentityProvider& wanted) {
    const auto etag = EtagOf(*identities().GetProvider("ke", wanted.id));
    return Why(identities().UpdateProvider(wanted, etag, kAdmin, {}));
  };
  IdentityProvider provider = SignInProvider();
  provider.disabled = true;
  EXPECT_EQ(why(provider), "") << "an admin holds that";
  provider.disabled = false;
  EXPECT_EQ(why(provider), "");

  Member asleep = NewMember("owner");
  asleep.disabled = true;
  ASSERT_TRUE(store().CreateMember(asleep, {}));
  provider.disabled = true;
  EXPECT_EQ(why(provider), "ROLE_NOT_HELD");
  provider.disabled = false;
  provider.sign_in->client_id = "another";
  EXPECT_EQ(why(provider), "ROLE_NOT_HELD");
  provider = SignInProvider();
  provider.display_name = "Corp";
  EXPECT_EQ(why(provider), "") << "it is how they sign in that counts";
  ASSERT_TRUE(identities().CreateProvider(SignInProvider("partner"), {}));
  IdentityProvider partner = SignInProvider("partner");
  partner.sign_in->client_id = "another";
  EXPECT_EQ(why(partner), "") << "the owner signs in with another provider";
}

TEST_P(MemberStoreTest, TheLastOwnerStays) {
  const auto owner = store().CreateMember(NewMember("owner"), {});
  ASSERT_TRUE(store().CreateMember(NewMember("admin", {{"", kAdmin}, {"desk", kAdmin}}), {}));
  EXPECT_EQ(Why(store().DeleteMember("ke", "owner", kOwner, {})), "LAST_OWNER");
  EXPECT_EQ(Why(store().UpdateMember(NewMember("owner", {{"", kAdmin}}), EtagOf(*owner), kOwner, {})), "LAST_OWNER");
  Member disabled = NewMember("owner");
  disabled.disabled = true;
  EXPECT_EQ(Why(store().UpdateMember(disabled, EtagOf(*owner), kOwner, {})), "LAST_OWNER");
  IdentityProvider provider = SignInProvider();
  provider.disabled = true;
  const auto etag = EtagOf(*identities().GetProvider("ke", "corp"));
  EXPECT_EQ(Why(identities().UpdateProvider(provider, etag, {Role::ROLE_OWNER}, {})), "LAST_OWNER")
      << "nobody could sign in";

  Member second = NewMember("second");
  second.disabled = true;
  const auto asleep = store().CreateMember(second, {});
  EXPECT_EQ(Why(store().DeleteMember("ke", "owner", kOwner, {})), "LAST_OWNER") << "one who is disabled is none";
  ASSERT_TRUE(store().UpdateMember(NewMember("second"), EtagOf(*asleep), kOwner, {}));
  EXPECT_EQ(Why(store().DeleteMember("ke", "owner", kOwner, {})), "");
  EXPECT_EQ(Why(store().DeleteMember("ke", "second", kOwner, {})), "LAST_OWNER");

  // By another provider it can be disabled.
  ASSERT_TRUE(identities().CreateProvider(SignInProvider("partner"), {}));
  Member elsewhere = NewMember("elsewhere");
  elsewhere.provider = "partner";
  ASSERT_TRUE(store().CreateMember(elsewhere, {}));
  EXPECT_EQ(Why(identities().UpdateProvider(provider, etag, {Role::ROLE_OWNER}, {})), "");
  EXPECT_EQ(Why(store().DeleteMember("ke", "elsewhere", kOwner, {})), "LAST_OWNER") << "the other cannot sign in";
  EXPECT_EQ(Why(store().DeleteMember("ke", "second", kOwner, {})), "");
}

TEST_P(MemberStoreTest, OfTwoLastOwnersOneStaysWhoeverIsQuicker) {
  for (int round = 0; round < 10; ++round) {
    const std::string a = "a" + std::to_string(round);
    const std::string b = "b" + std::to_string(round);
    const auto first = store().CreateMember(NewMember(a), {});
    const auto second = store().CreateMember(NewMember(b), {});
    // Those of the round before.
    if (round > 0) {
      for (const char* left : {"a", "b"}) {
        const auto gone = store().DeleteMember("ke", left + std::to_string(round - 1), kOwner, {});
        EXPECT_TRUE(gone) << gone.error().message;
      }
    }
    std::string why_not_first, why_not_second;
    std::thread other([&] {
      why_not_second = Why(store().UpdateMember(NewMember(b, {{"", kAdmin}}), EtagOf(*second), kOwner, {}));
    });
    why_not_first = Why(store().UpdateMember(NewMember(a, {{"", kAdmin}}), EtagOf(*first), kOwner, {}));
    other.join();
    EXPECT_EQ(why_not_first + why_not_second, "LAST_OWNER") << "exactly one is refused";
  }
}

TEST_P(MemberStoreTest, ListsPageByPage) {
  for (const char* id : {"c", "a", "b"}) ASSERT_TRUE(store().CreateMember(NewMember(id), {}));
  ASSERT_TRUE(store().CreateMember(NewMember("d", {{"", kOwner}}, "ug"), {}));
  const auto first = store().ListMembers("ke", {"s", 2, ""});
  ASSERT_EQ(first->items.size(), 2U);
  EXPECT_EQ(first->items[0].id, "a");
  EXPECT_FALSE(first->next_page_token.empty());
  const auto last = store().ListMembers("ke", {"s", 2, "b"});
  ASSERT_EQ(last->items.size(), 1U);
  EXPECT_TRUE(last->next_page_token.empty());
}

TEST_P(MemberStoreTest, HasBounds) {
  Member wide = NewMember();
  wide.claims.clear();
  for (int i = 0; i < 8; ++i) wide.claims.push_back({std::to_string(i) + std::string(126, 'c'), std::string(256, 'v')});
  int made = 0;
  std::string why;
  for (; why.empty() && made < kMembersPerTenantMax; ++made) {
    wide.id = "w" + std::to_string(made);
    why = Why(store().CreateMember(wide, {}));
  }
  EXPECT_EQ(why, "TOO_MANY_MEMBERS") << "of " << made << ", whose claims are long";
  EXPECT_GT(made, 200);
  EXPECT_EQ(Why(store().CreateMember([&] { return wide.id = "w0", wide; }(), {})), "")
      << "what is there may be asked for";
}

}  // namespace
}  // namespace allod::tenancy::member_store_test
