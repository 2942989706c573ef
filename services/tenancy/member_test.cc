#include "services/tenancy/member.h"

#include <gtest/gtest.h>

namespace allod::tenancy::member_test {
namespace {

constexpr char kOwnIssuer[] = "https://login.ke.example";
constexpr char kGoogle[] = "https://accounts.google.com";
constexpr Roles kOwner{Role::ROLE_OWNER};
constexpr Roles kAdmin{Role::ROLE_ADMIN};
constexpr ClaimComparison kPrefix = ClaimComparison::kPrefix;
constexpr ClaimComparison kContains = ClaimComparison::kContains;

Member NewMember(std::vector<ClaimMatch> claims = {{"sub", "4711"}}) {
  return {.tenant = "ke",
          .id = "achieng",
          .display_name = "Achieng",
          .provider = "corp",
          .claims = std::move(claims),
          .grants = {{"", kAdmin}}};
}

std::string WhyNot(const Member& member, const std::string& issuer = kOwnIssuer, Roles held = kOwner) {
  const auto valid = ValidMember(member, issuer, held);
  return valid ? "" : valid.error().reason;
}
std::string WhyNot(const Status& status) { return status ? "" : status.error().reason; }

IdentityProvider Provider(const std::string& id = "corp") {
  IdentityProvider out{.tenant = "ke", .id = id, .display_name = "Accounts", .issuer = "https://" + id + ".example"};
  out.sign_in = SignIn{.client_id = "allod", .scopes = {}};
  return out;
}

TEST(MemberTest, ThatStrangersWouldMatchIsRefused) {
  EXPECT_EQ(WhyNot(NewMember({})), "MEMBER_TOO_WIDE");
  EXPECT_EQ(WhyNot(NewMember({{"groups", "ops", kContains}})), "");
  EXPECT_EQ(WhyNot(NewMember({{"department", "it-", kPrefix}})), "") << "the tenant's own issuer has its people only";
  for (const char* claim : {"sub", "email"}) {
    EXPECT_EQ(WhyNot(NewMember({{claim, "achieng", kPrefix}})), "INVALID_CLAIM") << claim;
    EXPECT_EQ(WhyNot(NewMember({{claim, "achieng", kContains}})), "INVALID_CLAIM") << claim;
    EXPECT_EQ(WhyNot(NewMember({{claim, "achieng"}}), kGoogle), "") << claim;
  }
  for (const char* claim : {"iss", "aud", "exp", "nbf", "iat", "jti"}) {
    EXPECT_EQ(WhyNot(NewMember({{claim, "x"}})), "INVALID_CLAIM") << claim;
  }
  // At an issuer that serves the whole world.
  EXPECT_EQ(WhyNot(NewMember({{"groups", "ops", kContains}}), kGoogle), "MEMBER_TOO_WIDE");
  EXPECT_EQ(WhyNot(NewMember({{"name", "Achieng"}}), kGoogle), "MEMBER_TOO_WIDE");
  EXPECT_EQ(WhyNot(NewMember({{"hd", "ke.exam", kPrefix}}), kGoogle), "MEMBER_TOO_WIDE");
  EXPECT_EQ(WhyNot(NewMember({{"hd", "ke.example"}}), kGoogle), "");
  EXPECT_EQ(WhyNot(NewMember({{"hd", "ke.example"}, {"name", "A", kPrefix}}), kGoogle), "");
  EXPECT_EQ(WhyNot(NewMember({{"groups_direct", "ke-gov/ops", kContains}}), "https://gitlab.com"), "");
  EXPECT_EQ(WhyNot(NewMember({{"repository", "ke/x"}}), "https://token.actions.githubusercontent.com"),
            "MEMBER_TOO_WIDE");
  for (const char* issuer : {"https://login.microsoftonline.com/common/v2.0",
                             "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
                             "https://appleid.apple.com", "https://www.facebook.com", "https://slack.com"}) {
    EXPECT_EQ(WhyNot(NewMember({{"tid", "9188040d-6c67-4c5b-b112-36a304b66dad"}}), issuer), "MEMBER_TOO_WIDE");
    EXPECT_EQ(WhyNot(NewMember(), issuer), "") << issuer;
  }
}

TEST(MemberTest, AListMayHaveToContainSeveral) {
  EXPECT_EQ(WhyNot(NewMember({{"groups", "a", kContains}, {"groups", "b", kContains}})), "");
  EXPECT_EQ(WhyNot(NewMember({{"groups", "a", kContains}, {"groups", "a", kContains}})), "INVALID_CLAIM");
  EXPECT_EQ(WhyNot(NewMember({{"team", "a"}, {"team", "b"}})), "INVALID_CLAIM");
  EXPECT_EQ(WhyNot(NewMember(std::vector<ClaimMatch>(9, {"groups", "a", kContains}))), "INVALID_CLAIM");
  EXPECT_EQ(WhyNot(NewMember({{"groups", "", kContains}})), "INVALID_TEXT");
  std::string wide;
  for (int i = 0; i < 200; ++i) wide.append("é");
  EXPECT_EQ(WhyNot(NewMember({{"groups", wide, kContains}})), "INVALID_TEXT") << "of bytes there may be 256";
}

TEST(MemberTest, HasRolesAtPlacesThatCanHaveThem) {
  Member member = NewMember();
  const auto with = [&](std::vector<RoleGrant> grants) {
    member.grants = std::move(grants);
    return WhyNot(member);
  };
  EXPECT_EQ(with({}), "INVALID_GRANT");
  EXPECT_EQ(with({{"desk", kAdmin}, {"", kOwner}}), "");
  EXPECT_EQ(ValidMember(member, kOwnIssuer, kOwner)->grants[0].project, "") << "the tenant first";
  EXPECT_EQ(with({{"desk", kAdmin}, {"lab", kAdmin}, {"desk", {Role::ROLE_VIEWER}}}), "INVALID_GRANT");
  EXPECT_EQ(with({{"desk", {}}}), "INVALID_ROLE");
  EXPECT_EQ(with({{"desk", kOwner}}), "INVALID_ROLE") << "an owner is one of the whole tenant";
  EXPECT_EQ(with({{"", {Role::ROLE_OPERATOR}}}), "INVALID_ROLE");
  EXPECT_EQ(with({{"desk", {Role::ROLE_VIEWER, Role::ROLE_OPERATOR}}}), "INVALID_ROLE");
  std::vector<RoleGrant> many;
  for (int i = 0; i < 32; ++i) many.push_back({"p" + std::to_string(i), kAdmin});
  EXPECT_EQ(with(many), "");
  many.push_back({"", kAdmin});
  EXPECT_EQ(with(many), "INVALID_GRANT");
}

TEST(MemberTest, HasAtEachPlaceWhatItsMakerHasAtMost) {
  Member member = NewMember();
  member.grants = {{"", {Role::ROLE_VIEWER}}, {"desk", kAdmin}};
  EXPECT_EQ(WhyNot(member, kOwnIssuer, kAdmin), "");
  EXPECT_EQ(WhyNot(member, kOwnIssuer, {Role::ROLE_AUDITOR}), "ROLE_NOT_HELD");
  EXPECT_EQ(WhyNot(member, kOwnIssuer, {}), "ROLE_NOT_HELD");
  member.grants = {{"", kOwner}};
  EXPECT_EQ(WhyNot(member, kOwnIssuer, kAdmin), "ROLE_NOT_HELD");
  EXPECT_EQ(WhyNot(CheckHolds(member, kAdmin)), "ROLE_NOT_HELD");
  EXPECT_EQ(WhyNot(CheckHolds(member, kOwner)), "");
}

TEST(MemberTest, NeedsAProviderToSignInWithAndRoom) {
  People people{{Provider(), Provider("ci")}, {}};
  people.providers[1].sign_in.reset();
  Member member = NewMember();
  EXPECT_EQ(WhyNot(CheckPlace(people, member)), "");
  member.provider = "ci";
  EXPECT_EQ(WhyNot(CheckPlace(people, member)), "NO_SIGN_IN");
  member.provider = "none";
  EXPECT_EQ(WhyNot(CheckPlace(people, member)), "NOT_FOUND");
  member.provider = "corp";
  for (int i = 0; i < kMembersPerTenantMax; ++i) {
    people.members.push_back(NewMember());
    people.members.back().id = "m" + std::to_string(i);
  }
  EXPECT_EQ(WhyNot(CheckPlace(people, member)), "TOO_MANY_MEMBERS");
  member.id = "m7";
  EXPECT_EQ(WhyNot(CheckPlace(people, member)), "") << "in the place of one that is there";
}

TEST(MemberTest, AnOwnerRemainsWhereThereIsOne) {
  Member owner = NewMember();
  owner.grants = {{"", kOwner}};
  const People none{{Provider()}, {}};
  const People one = With(none, owner);
  EXPECT_EQ(WhyNot(CheckOwnerRemains(none, none)), "") << "a tenant of operators";
  EXPECT_EQ(WhyNot(CheckOwnerRemains(none, one)), "");
  EXPECT_EQ(WhyNot(CheckOwnerRemains(one, Without(one, "other"))), "");
  EXPECT_EQ(WhyNot(CheckOwnerRemains(one, Without(one, "achieng"))), "LAST_OWNER");
  EXPECT_EQ(WhyNot(CheckOwnerRemains(one, With(one, NewMember()))), "LAST_OWNER") << "an admin is none";
  Member changed = owner;
  changed.disabled = true;
  EXPECT_EQ(WhyNot(CheckOwnerRemains(one, With(one, changed))), "LAST_OWNER");
  IdentityProvider provider = Provider();
  provider.disabled = true;
  EXPECT_EQ(WhyNot(CheckOwnerRemains(one, With(one, provider))), "LAST_OWNER");
  Member second = owner;
  second.id = "second";
  const People two = With(one, second);
  EXPECT_EQ(WhyNot(CheckOwnerRemains(two, Without(two, "achieng"))), "");
}

}  // namespace
}  // namespace allod::tenancy::member_test
