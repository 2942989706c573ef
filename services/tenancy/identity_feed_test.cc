#include "services/tenancy/identity_feed.h"

#include <gtest/gtest.h>

#include "services/tenancy/testing/fake_identity_store.h"
#include "services/tenancy/testing/fake_store.h"
#include "tests/support/fake_clock.h"

namespace allod::tenancy::identity_feed_test {
namespace {

using namespace std::chrono_literals;

class IdentityFeedTest : public testing::Test {
 protected:
  IdentityFeedTest() {
    for (const char* id : {"ke", "ug"}) {
      EXPECT_TRUE(tenants_.CreateTenant({id, id, "KES", {id}, TenantState::kActive, Time()}, {}));
      EXPECT_TRUE(tenants_.CreateProject({id, "desk", "Desk", Time()}, {}));
    }
  }
  void AddProvider(const std::string& tenant, const std::string& id) {
    EXPECT_TRUE(store_.CreateProvider(
        {.tenant = tenant, .id = id, .display_name = id, .issuer = "https://" + id, .audiences = {"a"}}, {}));
  }
  // "ke:2" for a tenant with two providers, "-ke" for a suspended one.
  std::set<std::string> Told(std::optional<IdentityFeed::Position>& position) {
    const auto batch = feed_.Next(position, 0ms);
    position = batch.position;
    std::set<std::string> out;
    for (const auto& known : batch.tenants) {
      out.insert(known->version.active ? known->version.tenant + ":" + std::to_string(known->identity.providers.size())
                                       : "-" + known->version.tenant);
    }
    return out;
  }

  using Names = std::set<std::string>;
  FakeClock clock_;
  FakeStore tenants_;
  FakeIdentityStore store_{tenants_};
  IdentityFeed feed_{store_, clock_};
};

TEST_F(IdentityFeedTest, TellsEverythingFirstAndThenWhoChanged) {
  EXPECT_FALSE(feed_.Next(std::nullopt, 0ms).news) << "the store was not read yet";
  AddProvider("ke", "a");
  AddProvider("ug", "a");
  ASSERT_TRUE(feed_.Refresh());
  std::optional<IdentityFeed::Position> position;
  EXPECT_EQ(Told(position), (Names{"ke:1", "ug:1"}));
  EXPECT_EQ(Told(position), Names{});
  AddProvider("ke", "b");
  AddProvider("ke", "c");
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_EQ(Told(position), Names{"ke:3"});
  ASSERT_TRUE(store_.DeleteProvider("ke", "b", {}));
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_EQ(Told(position), Names{"ke:2"});
  std::optional<IdentityFeed::Position> fresh;
  EXPECT_EQ(Told(fresh), (Names{"ke:2", "ug:1"}));
}

TEST_F(IdentityFeedTest, ASuspendedTenantHasNothing) {
  AddProvider("ke", "a");
  tenants_.Suspend("ke");
  store_.StateChanged("ke");
  ASSERT_TRUE(feed_.Refresh());
  std::optional<IdentityFeed::Position> position;
  EXPECT_EQ(Told(position), Names{"-ke"});
  tenants_.Resume("ke");
  store_.StateChanged("ke");
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_EQ(Told(position), Names{"ke:1"});
}

TEST_F(IdentityFeedTest, ATenantThatCannotBeReadKeepsNobodyElses) {
  AddProvider("ke", "a");
  AddProvider("ug", "a");
  store_.FailReadsOf("ke", Error{Code::kInternal, "INTERNAL", "a row makes no sense"});
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_FALSE(feed_.Next(std::nullopt, 0ms).news) << "a start waits for it a while";
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(10s);
    ASSERT_TRUE(feed_.Refresh());
  }
  std::optional<IdentityFeed::Position> position;
  EXPECT_EQ(Told(position), Names{"ug:1"});
  EXPECT_FALSE(feed_.AwaitRead("ke", 0ms));
  tenants_.Suspend("ke");
  store_.StateChanged("ke");
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_EQ(Told(position), Names{"-ke"}) << "a suspension needs none of its rows";
  store_.FailReadsOf("ke", std::nullopt);
  tenants_.Resume("ke");
  store_.StateChanged("ke");
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_EQ(Told(position), Names{"ke:1"});
  EXPECT_TRUE(feed_.AwaitRead("ke", 0ms));
}

TEST_F(IdentityFeedTest, KeepsWhatItKnowsWhileTheStoreIsAway) {
  AddProvider("ke", "a");
  ASSERT_TRUE(feed_.Refresh());
  store_.FailReadsOf("", Error{Code::kUnavailable, "DATABASE_UNAVAILABLE", "away"});
  EXPECT_FALSE(feed_.Refresh());
  std::optional<IdentityFeed::Position> position;
  EXPECT_EQ(Told(position), Names{"ke:1"});
}

}  // namespace
}  // namespace allod::tenancy::identity_feed_test
