#include "services/common/ids.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace allod::ids_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Uuid, RoundTripsThroughItsText) {
  for (int i = 0; i < 1000; ++i) {
    const Uuid id = Uuid::V7();
    ASSERT_EQ(*Uuid::Parse(id.ToString()), id);
  }
}

TEST(Uuid, AcceptsUpperCaseAndPrintsLowerCase) {
  const auto id = Uuid::Parse("0190A6B4-7E5C-7ABC-8DEF-0123456789AB");
  ASSERT_TRUE(id);
  EXPECT_EQ(id->ToString(), "0190a6b4-7e5c-7abc-8def-0123456789ab");
}

TEST(Uuid, RefusesWhatIsNotCanonical) {
  for (const char* text : {"", "0190a6b4", "0190a6b47e5c7abc8def0123456789ab", "{190a6b4-7e5c-7abc-8def-0123456789ab}",
                           "0190a6b4-7e5c-7abc-8def-0123456789ag", "0190a6b4-7e5c-7abc-8def-0123456789ab ",
                           "0190a6b4_7e5c-7abc-8def-0123456789ab"}) {
    const auto id = Uuid::Parse(text);
    ASSERT_FALSE(id) << text;
    EXPECT_EQ(id.error().reason, "INVALID_UUID");
  }
}

TEST(Uuid, Version7SortsByTimeAndCarriesItsVersion) {
  using namespace std::chrono_literals;
  const auto start = std::chrono::system_clock::time_point(1'900'000'000s);
  const Uuid early = Uuid::V7(start);
  const Uuid late = Uuid::V7(start + 1ms);
  EXPECT_LT(early, late);
  EXPECT_LT(early.ToString(), late.ToString());
  EXPECT_EQ(early.ToString()[14], '7');
  EXPECT_EQ(early.bytes()[8] & 0xc0, 0x80);
  EXPECT_NE(Uuid::V7(start), Uuid::V7(start));
  EXPECT_LT(Uuid::V7(start), Uuid::V7(start + 1us));
  EXPECT_LT(Uuid::V7(start + 998us), Uuid::V7(start + 999us));
}

// Computed with another implementation of RFC 9562. Tables depend on these values: they never change.
TEST(Uuid, FromNameIsVersion5InThePlatformsNamespace) {
  EXPECT_EQ(Uuid::FromName("tenants/ke").ToString(), "6ba44fb8-cbaf-5746-acfe-19aeabdfb851");
  EXPECT_EQ(Uuid::FromName("").ToString(), "4dc35dcd-839b-5f48-be80-a5275a086745");
}

TEST(TenantId, IsTheSameForEveryNameBelowTheTenant) {
  const auto tenant = TenantId::FromName("tenants/ke");
  ASSERT_TRUE(tenant);
  EXPECT_EQ(tenant->value, Uuid::FromName("tenants/ke"));
  EXPECT_EQ(*TenantId::FromName("tenants/ke/projects/p"), *tenant);
  EXPECT_NE(*TenantId::FromName("tenants/kenya"), *tenant);
}

TEST(TenantId, RefusesNamesOutsideOfATenant) {
  for (const char* name : {"", "tenants", "tenants/", "models/m", "tenants/../x", "tenants/-", "tenants/KE",
                           "/tenants/ke", "tenants//projects"}) {
    ASSERT_FALSE(TenantId::FromName(name)) << name;
    EXPECT_EQ(TenantOf(name), "") << name;
  }
}

TEST(ResourceName, ProjectIdOfIsTheProjectOfATenantsThing) {
  EXPECT_EQ(ProjectIdOf("tenants/ke/projects/p"), "p");
  EXPECT_EQ(ProjectIdOf("tenants/ke/projects/p/instances/i"), "p");
  for (const char* name : {"", "projects/p", "tenants/ke", "tenants/ke/operations/o", "models/m/projects/p"}) {
    EXPECT_EQ(ProjectIdOf(name), "") << name;
  }
}

TEST(MatchName, ReturnsWhatStandsForEachStar) {
  EXPECT_THAT(*MatchName("name", "tenants/ke/projects/p-1", "tenants/*/projects/*"), ElementsAre("ke", "p-1"));
  EXPECT_THAT(*MatchName("name", "models/m", "models/*"), ElementsAre("m"));
}

TEST(MatchName, RefusesEveryOtherShape) {
  for (const char* name :
       {"", "tenants/ke", "tenants/ke/projects", "tenants/ke/projects/", "tenants/ke/projects/p/x",
        "tenants/ke/models/p", "tenants/ke/projects/..", "tenants/ke/projects/.p", "tenants/ke/projects/P",
        "tenants//projects/p", "/tenants/ke/projects/p", "tenants/ke/projects/p/"}) {
    const auto match = MatchName("parent", name, "tenants/*/projects/*");
    ASSERT_FALSE(match) << name;
    EXPECT_EQ(match.error().reason, "INVALID_NAME");
    EXPECT_THAT(match.error().message, HasSubstr("parent"));
  }
}

TEST(CheckId, KeepsItsLimits) {
  EXPECT_TRUE(CheckId("id", "a"));
  EXPECT_TRUE(CheckId("id", std::string(63, 'a')));
  EXPECT_TRUE(CheckId("id", "qwen2.5-0.5b_q8"));
  for (const std::string& id :
       {std::string(), std::string(64, 'a'), std::string("-a"), std::string("a-"), std::string("a/b"),
        std::string("a b"), std::string("\xc3\xa9"), std::string("a\0b", 3)}) {
    EXPECT_FALSE(CheckId("id", id)) << id;
  }
}

TEST(CheckId, ShowsHostileTextSafely) {
  const auto status = CheckId("id", std::string(100'000, '\n'));
  ASSERT_FALSE(status);
  EXPECT_LT(status.error().message.size(), 300u);
  EXPECT_EQ(status.error().message.find('\n'), std::string::npos);
}

TEST(CheckSha256, TakesExactly64LowerCaseDigits) {
  EXPECT_TRUE(CheckSha256("sha256", std::string(64, 'a')));
  EXPECT_FALSE(CheckSha256("sha256", std::string(64, 'A')));
  EXPECT_FALSE(CheckSha256("sha256", std::string(63, 'a')));
  EXPECT_FALSE(CheckSha256("sha256", "../../../../etc/passwd"));
}

}  // namespace
}  // namespace allod::ids_test
