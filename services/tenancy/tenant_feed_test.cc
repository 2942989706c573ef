#include "services/tenancy/tenant_feed.h"

#include <gtest/gtest.h>

#include <thread>

#include "services/tenancy/testing/fake_store.h"

namespace allod::tenancy::tenant_feed_test {
namespace {

using namespace std::chrono_literals;

class TenantFeedTest : public testing::Test {
 protected:
  void Create(const std::string& id) {
    Tenant tenant;
    tenant.id = id;
    tenant.display_name = id;
    tenant.currency_code = "KES";
    tenant.residency = {"ke"};
    ASSERT_TRUE(store_.CreateTenant(tenant, {}));
  }
  // The ids of what a watcher at `after` is sent.
  std::vector<std::string> Sent(std::optional<std::int64_t>& after) {
    const TenantFeed::Batch batch = feed_.Next(after, 0ms);
    std::vector<std::string> ids;
    if (!batch.news) return ids;
    after = batch.version;
    for (const auto& tenant : batch.tenants) ids.push_back(tenant->id);
    return ids;
  }

  FakeStore store_;
  TenantFeed feed_{store_};
};

TEST_F(TenantFeedTest, SendsEveryTenantAndThenWhatChanges) {
  Create("ke");
  Create("ug");
  std::optional<std::int64_t> at;
  EXPECT_FALSE(feed_.Next(at, 0ms).news) << "the store was not read yet";
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_EQ(Sent(at), (std::vector<std::string>{"ke", "ug"}));
  EXPECT_EQ(Sent(at), std::vector<std::string>{});
  store_.Suspend("ke");
  ASSERT_TRUE(feed_.Refresh());
  const auto batch = feed_.Next(at, 0ms);
  ASSERT_EQ(batch.tenants.size(), 1U);
  EXPECT_EQ(batch.tenants[0]->id, "ke");
  EXPECT_EQ(batch.tenants[0]->state, TenantState::kSuspended);
  std::optional<std::int64_t> late;
  EXPECT_EQ(Sent(late), (std::vector<std::string>{"ug", "ke"})) << "each once, as it is now";
}

TEST_F(TenantFeedTest, ASnapshotOfNothingIsNews) {
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_TRUE(feed_.Next(std::nullopt, 0ms).news);
  EXPECT_FALSE(feed_.Next(0, 0ms).news);
}

TEST_F(TenantFeedTest, TenThousandIdleTenantsCostNothing) {
  for (int i = 0; i < 10'000; ++i) Create("t" + std::to_string(i));
  ASSERT_TRUE(feed_.Refresh());
  std::optional<std::int64_t> at;
  EXPECT_EQ(Sent(at).size(), 10'000U);
  const int before = store_.rows_read();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(feed_.Refresh());
  EXPECT_EQ(store_.rows_read(), before);
  store_.Suspend("t7");
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_EQ(store_.rows_read(), before + 1);
  EXPECT_EQ(Sent(at), std::vector<std::string>{"t7"});
}

TEST_F(TenantFeedTest, KeepsWhatItKnowsWhileTheStoreIsAway) {
  Create("ke");
  ASSERT_TRUE(feed_.Refresh());
  store_.FailWith(Error{Code::kUnavailable, "DATABASE_UNAVAILABLE", "away"});
  EXPECT_FALSE(feed_.Refresh());
  std::optional<std::int64_t> at;
  EXPECT_EQ(Sent(at), std::vector<std::string>{"ke"});
}

TEST_F(TenantFeedTest, ATenantThatCannotBeReadKeepsNobodyElsesChangesFromWatchers) {
  Create("ke");
  Create("ug");
  ASSERT_TRUE(feed_.Refresh());
  std::optional<std::int64_t> at;
  EXPECT_EQ(Sent(at), (std::vector<std::string>{"ke", "ug"}));
  store_.SpoilTenant("ke");
  store_.Suspend("ug");
  Create("tz");
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_EQ(Sent(at), (std::vector<std::string>{"ug", "tz"}));
  std::optional<std::int64_t> late;
  EXPECT_EQ(Sent(late), (std::vector<std::string>{"ke", "ug", "tz"})) << "what was known of it stays";
  // Nor do many of them, more than are read at once.
  for (int i = 0; i < 600; ++i) {
    Create("t" + std::to_string(i));
    store_.SpoilTenant("t" + std::to_string(i));
  }
  Create("rw");
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_EQ(Sent(at), std::vector<std::string>{"rw"});
  const int before = store_.rows_read();
  store_.SpoilTenant("rw");
  ASSERT_TRUE(feed_.Refresh());
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_EQ(store_.rows_read(), before + 1) << "it is not read again and again";
}

TEST_F(TenantFeedTest, TellsOfAChangeAtOnceAndEndsEveryWait) {
  feed_.Start();
  Create("ke");
  feed_.Notify();
  const auto seen = feed_.Next(0, 10s);
  EXPECT_TRUE(seen.news);
  std::jthread waiting([&] { EXPECT_TRUE(feed_.Next(seen.version, 60s).stopped); });
  feed_.Stop();
}

}  // namespace
}  // namespace allod::tenancy::tenant_feed_test
