#include "services/tenancy/key_feed.h"

#include <gtest/gtest.h>

#include "services/tenancy/fake_store.h"

namespace allod::tenancy {
namespace {

using namespace std::chrono_literals;

class KeyFeedTest : public testing::Test {
 protected:
  KeyFeedTest() {
    for (const char* id : {"ke", "ug"}) {
      EXPECT_TRUE(store_.CreateTenant({id, id, "KES", {id}, TenantState::kActive, Time()}, {}));
      EXPECT_TRUE(store_.CreateProject({id, "desk", "Desk", Time()}, {}));
    }
  }
  void Create(const std::string& tenant, const std::string& kid) {
    EXPECT_TRUE(store_.CreateApiKey({tenant, "desk", kid, "", {Scope::kInference}, {}, Time(), std::nullopt}, {}));
  }

  FakeStore store_;
  KeyFeed feed_{store_};
};

TEST_F(KeyFeedTest, IsNotLoadedBeforeTheStoreWasRead) {
  EXPECT_FALSE(feed_.Next(std::nullopt, 0ms).loaded);
  store_.FailWith(Error{Code::kUnavailable, "DATABASE_UNAVAILABLE", "away"});
  EXPECT_FALSE(feed_.Refresh());
  EXPECT_FALSE(feed_.Next(std::nullopt, 0ms).loaded);
}

TEST_F(KeyFeedTest, TellsANewWatcherAtOnceEvenThatThereIsNoKey) {
  ASSERT_TRUE(feed_.Refresh());
  const auto batch = feed_.Next(std::nullopt, 1h);
  EXPECT_TRUE(batch.loaded);
  EXPECT_TRUE(batch.changes.empty());
}

TEST_F(KeyFeedTest, GivesEveryKeyFirstAndThenOnlyChanges) {
  Create("ke", "a");
  Create("ug", "b");
  ASSERT_TRUE(feed_.Refresh());
  const auto all = feed_.Next(std::nullopt, 0ms);
  ASSERT_EQ(all.changes.size(), 2u);
  EXPECT_EQ(all.changes[0].currency_code, "KES");
  Create("ke", "c");
  ASSERT_TRUE(store_.RevokeApiKey("ke", "desk", "a", Time()));
  ASSERT_TRUE(feed_.Refresh());
  const auto changes = feed_.Next(all.revision, 0ms);
  ASSERT_EQ(changes.changes.size(), 2u);
  EXPECT_EQ(changes.changes[0].key.kid, "a");
  EXPECT_TRUE(changes.changes[0].revoked);
  EXPECT_EQ(changes.changes[1].key.kid, "c");
  EXPECT_FALSE(changes.changes[1].revoked);
  EXPECT_TRUE(feed_.Next(changes.revision, 0ms).changes.empty());
}

TEST_F(KeyFeedTest, DoesNotTellANewWatcherOfRevokedKeys) {
  Create("ke", "a");
  ASSERT_TRUE(feed_.Refresh());
  ASSERT_TRUE(store_.RevokeApiKey("ke", "desk", "a", Time()));
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_TRUE(feed_.Next(std::nullopt, 0ms).changes.empty());
}

TEST_F(KeyFeedTest, TakesTheKeysOfASuspendedTenantAsRevoked) {
  Create("ke", "a");
  Create("ug", "b");
  ASSERT_TRUE(feed_.Refresh());
  const auto all = feed_.Next(std::nullopt, 0ms);
  store_.Suspend("ke");
  ASSERT_TRUE(feed_.Refresh());
  const auto changes = feed_.Next(all.revision, 0ms);
  ASSERT_EQ(changes.changes.size(), 1u);
  EXPECT_EQ(changes.changes[0].key.kid, "a");
  EXPECT_TRUE(changes.changes[0].revoked);
}

TEST_F(KeyFeedTest, KeepsWhatItKnowsWhileTheStoreIsAway) {
  Create("ke", "a");
  ASSERT_TRUE(feed_.Refresh());
  store_.FailWith(Error{Code::kUnavailable, "DATABASE_UNAVAILABLE", "away"});
  EXPECT_FALSE(feed_.Refresh());
  EXPECT_EQ(feed_.Next(std::nullopt, 0ms).changes.size(), 1u);
}

TEST_F(KeyFeedTest, ItsThreadSeesAChangeAfterANotification) {
  feed_.Start();
  const auto first = feed_.Next(std::nullopt, 10s);
  ASSERT_TRUE(first.loaded);
  Create("ke", "a");
  feed_.Notify();
  EXPECT_EQ(feed_.Next(first.revision, 10s).changes.size(), 1u);
  feed_.Stop();
  EXPECT_TRUE(feed_.Next(std::nullopt, 1h).stopped);
}

}  // namespace
}  // namespace allod::tenancy
