#include "services/common/permissions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace allod::permissions_test {
namespace {

using Strings = std::vector<std::string>;

TEST(IsPermission, IsThreeWords) {
  EXPECT_TRUE(IsPermission("tenancy.apiKeys.create"));
  for (const char* text :
       {"", "tenancy", "tenancy.apiKeys", "tenancy..create", "a.b.c.d", "a.b.c ", "*.*.*", "a.b.9"}) {
    EXPECT_FALSE(IsPermission(text)) << text;
  }
  EXPECT_TRUE(IsPermissionPattern("*.*.*"));
  EXPECT_TRUE(IsPermissionPattern("billing.*.get"));
  for (const char* text : {"", "*", "*.*", "bill*.a.get", "a.**.b", "a.*.b.*"}) {
    EXPECT_FALSE(IsPermissionPattern(text)) << text;
  }
}

TEST(Permissions, KeepsWhatNoOtherIncludes) {
  const Permissions set({"b.c.get", "a.*.get", "a.x.get", "b.c.get", "nonsense", "a.x.list"});
  EXPECT_EQ(set.patterns(), (Strings{"a.*.get", "a.x.list", "b.c.get"}));
  EXPECT_TRUE(Permissions({"x"}).empty());
  EXPECT_EQ(Permissions({"*.*.*", "a.b.c"}).patterns(), Strings{"*.*.*"});
}

// However it is made: what it has is what one of its patterns stands for.
TEST(Permissions, HasWhatOneOfItsPatternsStandsFor) {
  std::mt19937 random(20261128);
  const Strings words = {"a", "b", "c", "d"};
  const auto word = [&](bool any) { return any && random() % 4 == 0 ? std::string("*") : words[random() % 4]; };
  int had = 0;
  for (int round = 0; round < 3000; ++round) {
    Strings patterns;
    for (std::size_t i = random() % 8; i > 0; --i) patterns.push_back(word(true) + "." + word(true) + "." + word(true));
    const Permissions set(patterns);
    for (int i = 0; i < 10; ++i) {
      const std::string asked = word(false) + "." + word(false) + "." + word(false);
      const bool expected =
          std::any_of(patterns.begin(), patterns.end(), [&](const auto& one) { return IsWithin(asked, one); });
      ASSERT_EQ(set.Has(Permission(asked)), expected) << asked << " of " << set.ToText();
      had += expected ? 1 : 0;
    }
    const auto again = Permissions::Parse(set.ToText());
    ASSERT_TRUE(again) << set.ToText();
    ASSERT_EQ(*again, set);
  }
  EXPECT_GT(had, 1000);
  EXPECT_FALSE(Permissions({"*.*.*"}).Has(Permission())) << "a method that says nothing";
}

TEST(Permissions, TextIsShortAndRefusesWhatIsNone) {
  EXPECT_EQ(Permissions({"a.b.get", "a.b.list", "a.c.*"}).ToText(), "a.b.get|list+a.c.*");
  EXPECT_TRUE(Permissions::Parse("")->empty());
  for (const char* text :
       {"a", "a.b", "a.b.", "a.b.get|", "a.b.get+", "+a.b.get", "a.b.get,list", "a.b.get|x y", "|"}) {
    EXPECT_FALSE(Permissions::Parse(text)) << text;
  }
}

}  // namespace
}  // namespace allod::permissions_test
