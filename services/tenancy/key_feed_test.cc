#include "services/tenancy/key_feed.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>

#include "services/tenancy/testing/fake_store.h"
#include "tests/support/fake_clock.h"

namespace allod::tenancy::key_feed_test {
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
    EXPECT_TRUE(store_.CreateApiKey({tenant, "desk", kid, "", {Scope::kInference}, {}, {}, Time(), std::nullopt}, {}));
  }

  // Of the changes after `position`, "kid" or "-kid" for one that was revoked.
  std::set<std::string> Told(std::optional<KeyFeed::Position>& position) {
    const auto batch = feed_.Next(position, 0ms);
    position = batch.position;
    std::set<std::string> out;
    for (const auto& change : batch.changes) out.insert((change->revoked ? "-" : "") + change->key.kid);
    return out;
  }

  using Standing = std::map<std::string, KeysStanding>;
  // Of tenants, told after `position`.
  Standing Standings(std::optional<KeyFeed::Position>& position) {
    const auto batch = feed_.Next(position, 0ms);
    position = batch.position;
    Standing out;
    for (const auto& standing : batch.standings) out[standing->tenant] = standing->standing;
    return out;
  }

  const Error broken_{Code::kInternal, "INTERNAL", "a row makes no sense"};
  FakeClock clock_;
  FakeStore store_;
  KeyFeed feed_{store_, clock_};
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
  EXPECT_EQ(all.changes[0]->currency_code, "KES");
  Create("ke", "c");
  ASSERT_TRUE(store_.RevokeApiKey("ke", "desk", "a", Time()));
  ASSERT_TRUE(feed_.Refresh());
  const auto changes = feed_.Next(all.position, 0ms);
  ASSERT_EQ(changes.changes.size(), 2u);
  std::map<std::string, bool> revoked;
  for (const auto& change : changes.changes) revoked[change->key.kid] = change->revoked;
  EXPECT_EQ(revoked, (std::map<std::string, bool>{{"a", true}, {"c", false}}));
  EXPECT_TRUE(feed_.Next(changes.position, 0ms).changes.empty());
}

TEST_F(KeyFeedTest, TellsOfATenantsLimitsWholeWheneverOneOfThemChanged) {
  ASSERT_TRUE(feed_.Refresh());
  auto batch = feed_.Next(std::nullopt, 0ms);
  EXPECT_TRUE(batch.limits.empty());
  Tenant ke = *store_.GetTenant("ke");
  ke.limits.concurrency = 5;
  ASSERT_TRUE(store_.UpdateTenant(ke, EtagOf(ke), {}));
  ASSERT_TRUE(feed_.Refresh());
  batch = feed_.Next(batch.position, 0ms);
  ASSERT_EQ(batch.limits.size(), 1u) << "although it has no key";
  EXPECT_EQ(batch.limits[0]->limits.concurrency, 5);
  EXPECT_GE(batch.position.version, *store_.LimitsVersion("ke"));
  Project desk = *store_.GetProject("ke", "desk");
  desk.instance_limits["a"].concurrency = 2;
  ASSERT_TRUE(store_.UpdateProject(desk, EtagOf(desk), {}));
  ASSERT_TRUE(feed_.Refresh());
  batch = feed_.Next(batch.position, 0ms);
  ASSERT_EQ(batch.limits.size(), 1u);
  EXPECT_EQ(batch.limits[0]->limits.concurrency, 5);
  EXPECT_EQ(batch.limits[0]->projects.at(0).instances.at("a").concurrency, 2);
  Create("ke", "k");
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_TRUE(feed_.Next(batch.position, 0ms).limits.empty()) << "a key changes no limit";
  EXPECT_EQ(feed_.Next(std::nullopt, 0ms).limits.size(), 1u) << "a new watcher is told of it";
}

TEST_F(KeyFeedTest, DoesNotTellANewWatcherOfRevokedKeys) {
  Create("ke", "a");
  ASSERT_TRUE(feed_.Refresh());
  ASSERT_TRUE(store_.RevokeApiKey("ke", "desk", "a", Time()));
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_TRUE(feed_.Next(std::nullopt, 0ms).changes.empty());
}

TEST_F(KeyFeedTest, ASuspensionIsOneThingToTellHoweverManyKeysThereAre) {
  for (int i = 0; i < 100; ++i) Create("ke", "k" + std::to_string(i));
  Create("ug", "b");
  ASSERT_TRUE(feed_.Refresh());
  std::optional<KeyFeed::Position> position;
  EXPECT_EQ(Standings(position), Standing{}) << "who was never suspended is told of by none";
  const int read = store_.rows_read();
  store_.Suspend("ke");
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_EQ(store_.rows_read() - read, 1) << "the tenant and none of its keys";
  auto seen = position;
  EXPECT_EQ(Told(seen), std::set<std::string>{});
  EXPECT_EQ(Standings(position), (Standing{{"ke", KeysStanding::kSuspended}}));
  // Its keys come and go meanwhile.
  ASSERT_TRUE(store_.RevokeApiKey("ke", "desk", "k7", Time()));
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_EQ(Told(seen), std::set<std::string>{"-k7"});
  EXPECT_EQ(feed_.keys(), 100u);
  std::optional<KeyFeed::Position> fresh;
  EXPECT_EQ(Standings(fresh), (Standing{{"ke", KeysStanding::kSuspended}}));
  KeyFeed later(store_, clock_);
  ASSERT_TRUE(later.Refresh());
  const auto batch = later.Next(std::nullopt, 0ms);
  EXPECT_EQ(batch.changes.size(), 100u) << "after a start too";
  EXPECT_EQ(batch.standings.size(), 1u);

  store_.Resume("ke");
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_EQ(Told(seen), std::set<std::string>{});
  EXPECT_EQ(Standings(position), (Standing{{"ke", KeysStanding::kInForce}}));
  fresh.reset();
  EXPECT_EQ(Standings(fresh), Standing{});
}

TEST_F(KeyFeedTest, OfADeletedTenantKeysAreKnownUntilItIsGone) {
  Create("ke", "a");
  ASSERT_TRUE(feed_.Refresh());
  std::optional<KeyFeed::Position> position;
  ASSERT_EQ(Told(position), std::set<std::string>{"a"});
  auto standings = position;
  ASSERT_TRUE(store_.DeleteTenant("ke", {EtagOf(*store_.GetTenant("ke")), "merged", kGraceDefault, clock_.Now()}, {}));
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_EQ(Told(position), std::set<std::string>{});
  EXPECT_EQ(Standings(standings), (Standing{{"ke", KeysStanding::kDeleting}}));
  store_.BeginPurge("ke");
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_EQ(Told(position), std::set<std::string>{"-a"});
  EXPECT_EQ(Standings(standings), (Standing{{"ke", KeysStanding::kInForce}}))
      << "without keys there is nothing to stop";
  EXPECT_EQ(feed_.keys(), 0u);
}

TEST_F(KeyFeedTest, KeepsWhatItKnowsWhileTheStoreIsAway) {
  Create("ke", "a");
  ASSERT_TRUE(feed_.Refresh());
  store_.FailWith(Error{Code::kUnavailable, "DATABASE_UNAVAILABLE", "away"});
  EXPECT_FALSE(feed_.Refresh());
  EXPECT_EQ(feed_.Next(std::nullopt, 0ms).changes.size(), 1u);
}

TEST_F(KeyFeedTest, ATenantWhoseKeysCannotBeReadKeepsNobodyElsesFromGateways) {
  Create("ke", "a");
  Create("ug", "b");
  ASSERT_TRUE(feed_.Refresh());
  std::optional<KeyFeed::Position> position;
  ASSERT_EQ(Told(position), (std::set<std::string>{"a", "b"}));

  store_.FailKeysOf("ke", broken_);
  ASSERT_TRUE(store_.RevokeApiKey("ke", "desk", "a", Time()));
  const auto revoked = store_.RevokeApiKey("ug", "desk", "b", Time());
  Create("ug", "c");
  EXPECT_TRUE(feed_.Refresh());
  EXPECT_EQ(Told(position), (std::set<std::string>{"-b", "c"}));
  EXPECT_GT(position->version, *revoked);
  EXPECT_EQ(feed_.keys(), 2u) << "what is known of the other stays";
  EXPECT_FALSE(feed_.AwaitRead("ke", 0ms));
  EXPECT_TRUE(feed_.AwaitRead("ug", 0ms));

  // Others' changes neither wait for it nor make it forget what is to be read.
  Create("ug", "d");
  EXPECT_TRUE(feed_.Refresh());
  EXPECT_EQ(Told(position), std::set<std::string>{"d"});
  store_.FailKeysOf("ke", std::nullopt);
  EXPECT_TRUE(feed_.Refresh());
  EXPECT_EQ(Told(position), std::set<std::string>{}) << "it is left alone for a second";
  clock_.Advance(1s);
  EXPECT_TRUE(feed_.Refresh());
  EXPECT_EQ(Told(position), std::set<std::string>{"-a"});
  EXPECT_TRUE(feed_.AwaitRead("ke", 0ms));
}

TEST_F(KeyFeedTest, ReadsOfATenantThatWasSetAsideEverythingThatItMissed) {
  Create("ke", "a");
  Create("ke", "b");
  ASSERT_TRUE(feed_.Refresh());
  std::optional<KeyFeed::Position> position;
  ASSERT_EQ(Told(position).size(), 2u);
  store_.FailKeysOf("ke", broken_);
  ASSERT_TRUE(store_.RevokeApiKey("ke", "desk", "a", Time()));
  EXPECT_TRUE(feed_.Refresh());
  Create("ke", "c");
  ASSERT_TRUE(store_.RevokeApiKey("ke", "desk", "b", Time()));
  EXPECT_TRUE(feed_.Refresh());
  store_.FailKeysOf("ke", std::nullopt);
  clock_.Advance(1s);
  EXPECT_TRUE(feed_.Refresh());
  EXPECT_EQ(Told(position), (std::set<std::string>{"-a", "-b", "c"}));
}

TEST_F(KeyFeedTest, SuspendsATenantWhoseKeysCannotBeReadAtOnce) {
  Create("ke", "a");
  ASSERT_TRUE(feed_.Refresh());
  std::optional<KeyFeed::Position> position;
  ASSERT_EQ(Told(position).size(), 1u);
  store_.FailKeysOf("ke", broken_);
  Create("ke", "b");
  EXPECT_TRUE(feed_.Refresh());
  store_.Suspend("ke");
  EXPECT_TRUE(feed_.Refresh());
  EXPECT_EQ(Standings(position), (Standing{{"ke", KeysStanding::kSuspended}}));
  EXPECT_TRUE(feed_.AwaitRead("ke", 0ms));
  // It comes back with all that it missed, and not before.
  store_.Resume("ke");
  clock_.Advance(1min);
  EXPECT_TRUE(feed_.Refresh());
  EXPECT_EQ(Standings(position), Standing{});
  store_.FailKeysOf("ke", std::nullopt);
  clock_.Advance(1min);
  EXPECT_TRUE(feed_.Refresh());
  auto keys = position;
  EXPECT_EQ(Told(keys), std::set<std::string>{"b"});
  EXPECT_EQ(Standings(position), (Standing{{"ke", KeysStanding::kInForce}}));
}

TEST_F(KeyFeedTest, AfterAStartWaitsForATenantThatCannotBeReadButNotForLong) {
  Create("ke", "a");
  Create("ug", "b");
  store_.FailKeysOf("ke", broken_);
  for (const auto wait : {1s, 2s}) {
    EXPECT_TRUE(feed_.Refresh());
    EXPECT_FALSE(feed_.Next(std::nullopt, 0ms).loaded) << "a gateway would take its keys for invalid";
    clock_.Advance(wait);
  }
  EXPECT_TRUE(feed_.Refresh());
  std::optional<KeyFeed::Position> position;
  EXPECT_EQ(Told(position), std::set<std::string>{"b"});
  store_.FailKeysOf("ke", std::nullopt);
  clock_.Advance(4s);
  EXPECT_TRUE(feed_.Refresh());
  EXPECT_EQ(Told(position), std::set<std::string>{"a"});
}

TEST_F(KeyFeedTest, ItsThreadSeesAChangeAfterANotification) {
  feed_.Start();
  const auto first = feed_.Next(std::nullopt, 10s);
  ASSERT_TRUE(first.loaded);
  Create("ke", "a");
  feed_.Notify();
  EXPECT_EQ(feed_.Next(first.position, 10s).changes.size(), 1u);
  feed_.Stop();
  EXPECT_TRUE(feed_.Next(std::nullopt, 1h).stopped);
}

TEST_F(KeyFeedTest, BringsBackTheKeysOfATenantWhoseSuspensionEnds) {
  Create("ke", "a");
  ASSERT_TRUE(feed_.Refresh());
  store_.Suspend("ke");
  ASSERT_TRUE(feed_.Refresh());
  auto suspended = feed_.Next(std::nullopt, 0ms);
  EXPECT_EQ(suspended.changes.size(), 1u);
  store_.Resume("ke");
  ASSERT_TRUE(feed_.Refresh());
  const auto resumed = feed_.Next(suspended.position, 0ms);
  EXPECT_TRUE(resumed.changes.empty());
  ASSERT_EQ(resumed.standings.size(), 1u);
  EXPECT_EQ(resumed.standings[0]->standing, KeysStanding::kInForce);
}

TEST_F(KeyFeedTest, SaysUpToWhichVersionOfTheStoreItIsAlsoWhenNoKeyChangedForTheWatcher) {
  ASSERT_TRUE(feed_.Refresh());
  const auto first = feed_.Next(std::nullopt, 0ms);
  Create("ke", "a");
  const auto version = store_.RevokeApiKey("ke", "desk", "a", Time());
  ASSERT_TRUE(feed_.Refresh());
  const auto next = feed_.Next(first.position, 0ms);
  EXPECT_TRUE(next.news);
  EXPECT_EQ(next.position.version, *version);
  EXPECT_FALSE(feed_.Next(next.position, 0ms).news);
}

TEST_F(KeyFeedTest, LetsGoOfAKeySomeMinutesAfterItExpired) {
  ApiKey key{"ke", "desk", "a", "", {Scope::kInference}, {}, {}, clock_.Now(), std::nullopt};
  key.expire_time = clock_.Now() + 1h;
  ASSERT_TRUE(store_.CreateApiKey(key, {}));
  Create("ke", "b");
  ASSERT_TRUE(feed_.Refresh());
  std::optional<KeyFeed::Position> position;
  ASSERT_EQ(Told(position), (std::set<std::string>{"a", "b"}));
  clock_.Advance(1h + KeyFeed::kExpiredKept - 1us);
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_EQ(Told(position), std::set<std::string>{}) << "gateways refuse it by themselves, and can say why";
  EXPECT_EQ(feed_.keys(), 2u);
  const int read = store_.rows_read();
  clock_.Advance(1us);
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_EQ(Told(position), std::set<std::string>{"-a"});
  EXPECT_EQ(feed_.keys(), 1u);
  EXPECT_EQ(store_.rows_read(), read) << "nothing is read for it";

  // Neither a start nor a tenant that comes back brings it back.
  KeyFeed later(store_, clock_);
  ASSERT_TRUE(later.Refresh());
  EXPECT_EQ(later.keys(), 1u);
  store_.Suspend("ke");
  ASSERT_TRUE(feed_.Refresh());
  store_.Resume("ke");
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_EQ(feed_.keys(), 1u);
}

TEST_F(KeyFeedTest, LetsGoOfExpiredKeysWhileTheStoreIsAway) {
  ApiKey key{"ke", "desk", "a", "", {Scope::kInference}, {}, {}, clock_.Now(), std::nullopt};
  key.expire_time = clock_.Now() + 1h;
  ASSERT_TRUE(store_.CreateApiKey(key, {}));
  Create("ke", "b");
  ASSERT_TRUE(feed_.Refresh());
  std::optional<KeyFeed::Position> position;
  ASSERT_EQ(Told(position), (std::set<std::string>{"a", "b"}));
  store_.FailWith(Error{Code::kUnavailable, "DATABASE_UNAVAILABLE", "away"});
  clock_.Advance(1h + KeyFeed::kExpiredKept);
  EXPECT_FALSE(feed_.Refresh());
  EXPECT_EQ(Told(position), std::set<std::string>{"-a"});
  EXPECT_EQ(feed_.keys(), 1u);
}

TEST_F(KeyFeedTest, TellsThatAKeysLifeWasShortened) {
  Create("ke", "a");
  ASSERT_TRUE(feed_.Refresh());
  std::optional<KeyFeed::Position> position;
  ASSERT_EQ(Told(position), std::set<std::string>{"a"});
  ASSERT_TRUE(store_.RotateApiKey({"ke", "desk", "a", 1h, std::nullopt, "b", {}, clock_.Now()}, {}));
  ASSERT_TRUE(feed_.Refresh());
  const auto batch = feed_.Next(position, 0ms);
  ASSERT_EQ(batch.changes.size(), 2u);
  for (const auto& change : batch.changes) {
    const bool is_old = change->key.kid == "a";
    EXPECT_EQ(change->key.expire_time, is_old ? std::optional(clock_.Now() + 1h) : std::nullopt);
  }
  EXPECT_EQ(feed_.Next(std::nullopt, 0ms).changes.size(), 2u) << "each once";
  position = batch.position;
  clock_.Advance(1h + KeyFeed::kExpiredKept);
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_EQ(Told(position), std::set<std::string>{"-a"});
  EXPECT_EQ(feed_.keys(), 1u);
}

TEST_F(KeyFeedTest, WorkIsProportionalToWhatChanged) {
  for (int i = 0; i < 2000; ++i) Create(i % 2 == 0 ? "ke" : "ug", "kid" + std::to_string(i));
  ASSERT_TRUE(feed_.Refresh());
  const int loaded = store_.rows_read();
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_EQ(store_.rows_read(), loaded) << "nothing changed, nothing is read";
  Create("ke", "one-more");
  ASSERT_TRUE(feed_.Refresh());
  EXPECT_EQ(store_.rows_read() - loaded, 2) << "the tenant and the key";
}

TEST_F(KeyFeedTest, ForgetsRevokedKeysAndSendsAWatcherThatIsTooFarBehindBackToTheBeginning) {
  ASSERT_TRUE(feed_.Refresh());
  const auto first = feed_.Next(std::nullopt, 0ms);
  const int rounds = static_cast<int>(KeyFeed::kForgottenMax) / 1000 + 1;
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < 1000; ++i) Create("ke", "r" + std::to_string(round * 1000 + i));
    ASSERT_TRUE(feed_.Refresh());
    for (int i = 0; i < 1000; ++i)
      ASSERT_TRUE(store_.RevokeApiKey("ke", "desk", "r" + std::to_string(round * 1000 + i), Time()));
    ASSERT_TRUE(feed_.Refresh());
  }
  EXPECT_EQ(feed_.keys(), 0u);
  EXPECT_TRUE(feed_.Next(first.position, 0ms).behind);
  const auto again = feed_.Next(std::nullopt, 0ms);
  EXPECT_TRUE(again.loaded);
  EXPECT_FALSE(again.behind);
  EXPECT_TRUE(again.changes.empty());
}

}  // namespace
}  // namespace allod::tenancy::key_feed_test
