// What services/tenancy/store.h promises of API keys.
#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "tests/contract/tenancy_store_harness.h"

namespace allod::tenancy::tenancy_store_keys_test {
namespace {

class TenancyStoreKeys : public TenancyStore {};

TEST_P(TenancyStoreKeys, GivesBackAKeyAsItWasCreated) {
  ApiKey key = Key(kKid);
  key.scopes = {Scope::kInference, Scope::kPortal};
  key.roles = {Role::ROLE_BILLING, Role::ROLE_VIEWER};
  const auto creation = store().CreateApiKey(key, {});
  ASSERT_TRUE(creation) << creation.error().message;
  EXPECT_TRUE(creation->created);
  const auto listed = store().ListApiKeys("ke", "desk", {"k", 10, ""});
  ASSERT_EQ(listed->items.size(), 1u);
  EXPECT_EQ(listed->items[0].kid, kKid);
  EXPECT_EQ(listed->items[0].digest, key.digest);
  EXPECT_EQ(listed->items[0].scopes, key.scopes);
  EXPECT_EQ(listed->items[0].roles, key.roles);
  EXPECT_EQ(listed->items[0].create_time, clock_.Now());
  EXPECT_FALSE(listed->items[0].revoke_time);
}

TEST_P(TenancyStoreKeys, ARetryGivesTheFirstKeyAndMakesNoSecond) {
  const Uuid id = Uuid::V7();
  ASSERT_TRUE(store().CreateApiKey(Key(kKid), Request("k", id)));
  const auto retry = store().CreateApiKey(Key(kOtherKid), Request("k", id));
  ASSERT_TRUE(retry);
  EXPECT_FALSE(retry->created);
  EXPECT_EQ(retry->key.kid, kKid);
  EXPECT_EQ(store().ListApiKeys("ke", "desk", {"k", 10, ""})->items.size(), 1u);
  EXPECT_EQ(store().CreateApiKey(Key(kOtherKid), Request("other", id)).error().reason, "REQUEST_ID_REUSED");
}

TEST_P(TenancyStoreKeys, ARequestIdOfAKeyIsItsProjects) {
  const Uuid id = Uuid::V7();
  ASSERT_TRUE(store().CreateApiKey(Key(kKid), Request("k", id)));
  ASSERT_TRUE(store().CreateProject({"ke", "health", "Health", clock_.Now()}, Request("p", id)));
  ApiKey other = Key(kOtherKid);
  other.project = "health";
  const auto made = store().CreateApiKey(other, Request("other", id));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_TRUE(made->created);
  EXPECT_FALSE(store().CreateApiKey(Key("aaaaaaaaaaaa"), Request("k", id))->created) << "in its own it is a retry";
  EXPECT_EQ(store().ReadQuotas("ke", "", clock_.Now())->projects, 2);
  EXPECT_EQ(store().ReadQuotas("ug", "", clock_.Now())->projects, 0);
}

TEST_P(TenancyStoreKeys, ConcurrentRetriesMakeOneKey) {
  const Uuid id = Uuid::V7();
  const std::vector<std::string> kids = {"aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"};
  std::vector<Result<ApiKeyCreation>> out(kids.size(), Internal("did not run"));
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < kids.size(); ++i) {
      threads.emplace_back([&, i] { out[i] = store().CreateApiKey(Key(kids[i]), Request("k", id)); });
    }
  }
  int created = 0;
  for (const auto& result : out) {
    ASSERT_TRUE(result) << result.error().message;
    created += result->created ? 1 : 0;
    EXPECT_EQ(result->key.kid, out[0]->key.kid);
  }
  EXPECT_EQ(created, 1);
}

TEST_P(TenancyStoreKeys, CreatesKeysOnlyInProjectsThatExist) {
  ApiKey key = Key(kKid);
  key.project = "nowhere";
  EXPECT_EQ(store().CreateApiKey(key, {}).error().code, Code::kNotFound);
  EXPECT_EQ(store().ListApiKeys("ke", "nowhere", {"k", 10, ""}).error().code, Code::kNotFound);
}

TEST_P(TenancyStoreKeys, RevokingIsIdempotentAndKeepsTheFirstTime) {
  ASSERT_TRUE(store().CreateApiKey(Key(kKid), {}));
  const Time first = clock_.Now();
  ASSERT_TRUE(store().RevokeApiKey("ke", "desk", kKid, first));
  const std::int64_t version = KeysVersion("ke");
  ASSERT_TRUE(store().RevokeApiKey("ke", "desk", kKid, first + std::chrono::hours(1)));
  EXPECT_EQ(store().ListApiKeys("ke", "desk", {"k", 10, ""})->items[0].revoke_time, first);
  EXPECT_EQ(KeysVersion("ke"), version);
  EXPECT_TRUE(store().ValidKeys("ke", clock_.Now())->empty());
  EXPECT_EQ(store().RevokeApiKey("ke", "desk", kOtherKid, first).error().code, Code::kNotFound);
  EXPECT_EQ(store().RevokeApiKey("ke", "other", kKid, first).error().code, Code::kNotFound);
}

TEST_P(TenancyStoreKeys, TheKeysVersionChangesWithEveryCreationAndRevocation) {
  const std::int64_t before = KeysVersion("ke");
  const std::int64_t others = KeysVersion("ug");
  ASSERT_TRUE(store().CreateApiKey(Key(kKid), {}));
  const std::int64_t created = KeysVersion("ke");
  EXPECT_NE(created, before);
  ASSERT_TRUE(store().RevokeApiKey("ke", "desk", kKid, clock_.Now()));
  EXPECT_NE(KeysVersion("ke"), created);
  EXPECT_EQ(KeysVersion("ug"), others);
}

TEST_P(TenancyStoreKeys, SaysFromWhichVersionOnAKeyIsThereAndNotThere) {
  const auto creation = store().CreateApiKey(Key(kKid), Request("k", Uuid::FromName("r")));
  ASSERT_TRUE(creation) << creation.error().message;
  EXPECT_EQ(creation->version, KeysVersion("ke"));
  EXPECT_EQ(store().CreateApiKey(Key(kOtherKid), Request("k", Uuid::FromName("r")))->version, creation->version)
      << "a retry asks for the same";
  const auto revoked = store().RevokeApiKey("ke", "desk", kKid, clock_.Now());
  ASSERT_TRUE(revoked);
  EXPECT_GT(*revoked, creation->version);
  EXPECT_EQ(*revoked, KeysVersion("ke"));
  ASSERT_TRUE(store().CreateApiKey(Key(kOtherKid), {}));
  EXPECT_EQ(*store().RevokeApiKey("ke", "desk", kKid, clock_.Now()), *revoked);
}

TEST_P(TenancyStoreKeys, VersionsAreOneOrderOverAllTenantsAndShowWhatIsNewOnly) {
  ASSERT_TRUE(store().CreateProject({"ug", "desk", "Desk", clock_.Now()}, {}));
  ASSERT_TRUE(store().CreateTenant({"rw", "Rwanda", "RWF", {"rw"}, TenantState::kActive, clock_.Now()}, {}));
  const auto first = store().CreateApiKey(Key(kKid), {})->version;
  ApiKey foreign = Key(kOtherKid);
  foreign.tenant = "ug";
  const auto second = store().CreateApiKey(foreign, {})->version;
  EXPECT_LT(first, second);
  const auto all = *store().KeysVersions(0, 100);
  ASSERT_EQ(all.size(), 2u) << "a tenant that never had a key has none to show";
  EXPECT_EQ(all[0], (TenantKeysVersion{"ke", "KES", KeysStanding::kInForce, first}));
  EXPECT_EQ(all[1], (TenantKeysVersion{"ug", "UGX", KeysStanding::kInForce, second}));
  EXPECT_EQ(store().KeysVersions(0, 1)->size(), 1u);
  EXPECT_EQ(store().KeysVersions(first, 100)->at(0).tenant, "ug");
  EXPECT_TRUE(store().KeysVersions(second, 100)->empty());
}

TEST_P(TenancyStoreKeys, ShowsTheKeysThatChangedSince) {
  const auto first = store().CreateApiKey(Key(kKid), {})->version;
  const auto second = store().CreateApiKey(Key(kOtherKid), {})->version;
  const auto since_first = *store().KeysChanged("ke", first);
  ASSERT_EQ(since_first.size(), 1u);
  EXPECT_EQ(since_first[0].kid, kOtherKid);
  EXPECT_EQ(since_first[0].digest, Key(kOtherKid).digest);
  EXPECT_FALSE(since_first[0].revoke_time);
  ASSERT_TRUE(store().RevokeApiKey("ke", "desk", kKid, clock_.Now()));
  const auto since_second = *store().KeysChanged("ke", second);
  ASSERT_EQ(since_second.size(), 1u);
  EXPECT_EQ(since_second[0].kid, kKid);
  EXPECT_TRUE(since_second[0].revoke_time);
  EXPECT_TRUE(store().KeysChanged("ug", 0)->empty());
}

TEST_P(TenancyStoreKeys, ConcurrentChangesOfTwoTenantsHaveVersionsInTheOrderInWhichTheyAreSeen) {
  ASSERT_TRUE(store().CreateProject({"ug", "desk", "Desk", clock_.Now()}, {}));
  std::atomic<bool> done = false;
  std::vector<std::int64_t> made;
  std::mutex mutex;
  std::int64_t read_up_to = 0;
  std::map<std::string, std::set<std::string>> seen;
  {
    // A reader that never goes back, as watchers do.
    std::jthread reader([&] {
      for (bool last = false; !last;) {
        last = done;
        const auto versions = store().KeysVersions(read_up_to, 100);
        for (const TenantKeysVersion& version : versions.value()) {
          const auto keys = store().KeysChanged(version.tenant, 0);
          for (const ApiKey& key : keys.value()) seen[version.tenant].insert(key.kid);
          read_up_to = version.version;
        }
      }
    });
    std::vector<std::jthread> writers;
    for (const std::string tenant : {"ke", "ug"}) {
      writers.emplace_back([&, tenant] {
        for (int i = 1; i <= 40; ++i) {
          ApiKey key = Key(NumberedKid(tenant[0], i));
          key.tenant = tenant;
          const auto creation = store().CreateApiKey(key, {});
          ASSERT_TRUE(creation) << creation.error().message;
          const std::scoped_lock lock(mutex);
          made.push_back(creation->version);
        }
      });
    }
    writers.clear();
    done = true;
  }
  EXPECT_EQ(std::set(made.begin(), made.end()).size(), 80u) << "no version twice";
  EXPECT_EQ(seen["ke"].size(), 40u);
  EXPECT_EQ(seen["ug"].size(), 40u);
  EXPECT_EQ(read_up_to, std::ranges::max(made));
}

TEST_P(TenancyStoreKeys, OnlyKeysThatHoldCountAgainstTheLimitOfAProject) {
  using namespace std::chrono_literals;
  backend_->FillWithKeys("ke", "desk", kApiKeysPerProjectMax - 2);
  ApiKey passing = Key("aaaaaaaaaaaa");
  passing.expire_time = clock_.Now() + 1h;
  ASSERT_TRUE(store().CreateApiKey(passing, {}));
  ASSERT_TRUE(store().CreateApiKey(Key(kKid), {}));
  const auto refused = store().CreateApiKey(Key(kOtherKid), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "TOO_MANY_API_KEYS");
  EXPECT_EQ(store().RotateApiKey(Rotation(kKid, kOtherKid, 1h), {}).error().reason, "TOO_MANY_API_KEYS")
      << "both would hold";
  EXPECT_FALSE(Stored(kKid).expire_time) << "and nothing was changed";
  ASSERT_TRUE(store().RotateApiKey(Rotation(kKid, kOtherKid, 0s), {})) << "one takes the place of the other";
  ASSERT_TRUE(store().RevokeApiKey("ke", "desk", kOtherKid, clock_.Now()));
  EXPECT_TRUE(store().CreateApiKey(Key("bbbbbbbbbbbb"), {})) << "revoking makes room";
  EXPECT_EQ(store().CreateApiKey(Key("cccccccccccc"), {}).error().reason, "TOO_MANY_API_KEYS");
  clock_.Advance(1h);
  EXPECT_TRUE(store().CreateApiKey(Key("cccccccccccc"), {})) << "so does time";
}

TEST_P(TenancyStoreKeys, GivesBackWhatNarrowsAKey) {
  using namespace std::chrono_literals;
  ApiKey key = Key(kKid);
  key.expire_time = clock_.Now() + 90min;
  key.allowed_ip_ranges = Ranges({"192.0.2.0/24", "10.0.0.0/8", "2001:db8::/32", "0.0.0.0/0", "::/0"});
  key.allowed_instances = {"a", "b-c"};
  ASSERT_TRUE(store().CreateApiKey(key, {}));
  const ApiKey stored = Stored(kKid);
  EXPECT_EQ(stored.expire_time, key.expire_time);
  EXPECT_EQ(stored.allowed_ip_ranges, key.allowed_ip_ranges);
  EXPECT_EQ(stored.allowed_instances, key.allowed_instances);
  EXPECT_FALSE(stored.last_used_time);
  const auto changed = store().KeysChanged("ke", 0);
  ASSERT_EQ(changed->size(), 1u);
  EXPECT_EQ(changed->at(0).allowed_ip_ranges, key.allowed_ip_ranges);
  EXPECT_EQ(store().ValidKeys("ke", clock_.Now() + 90min - 1us)->size(), 1u);
  EXPECT_TRUE(store().ValidKeys("ke", clock_.Now() + 90min)->empty());
}

TEST_P(TenancyStoreKeys, AKeyIsMadeWithinWhatItsMakerIsThen) {
  using namespace std::chrono_literals;
  ApiKey maker = Key(kKid);
  maker.expire_time = clock_.Now() + 1h;
  maker.allowed_ip_ranges = Ranges({"10.0.0.0/8"});
  maker.allowed_instances = {"a"};
  ASSERT_TRUE(store().CreateApiKey(maker, {}));
  const auto made = store().CreateApiKey(Key(kOtherKid), Request("k", Uuid::FromName("r")), kKid);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->key.expire_time, maker.expire_time);
  EXPECT_EQ(made->key.allowed_ip_ranges, maker.allowed_ip_ranges);
  EXPECT_EQ(Stored(kOtherKid).allowed_instances, maker.allowed_instances);
  ApiKey wider = Key("aaaaaaaaaaaa");
  wider.allowed_instances = {"b"};
  EXPECT_EQ(store().CreateApiKey(wider, {}, kKid).error().reason, "INSTANCE_NOT_HELD");
  EXPECT_EQ(store().CreateApiKey(wider, {}, "nosuchkeykid").error().reason, "MAKER_NOT_VALID");

  ASSERT_TRUE(store().CreateProject({"ke", "health", "Health", clock_.Now()}, {}));
  wider.project = "health";
  EXPECT_EQ(store().CreateApiKey(wider, {}, kKid).error().reason, "MAKER_NOT_VALID") << "of another project";

  ASSERT_TRUE(store().RevokeApiKey("ke", "desk", kKid, clock_.Now()));
  EXPECT_EQ(store().CreateApiKey(Key("bbbbbbbbbbbb"), {}, kKid).error().reason, "MAKER_NOT_VALID");
  EXPECT_EQ(store().RotateApiKey(Rotation(kOtherKid, "bbbbbbbbbbbb", 0s), {}, kKid).error().reason, "MAKER_NOT_VALID");
  EXPECT_EQ(store().ListApiKeys("ke", "desk", {"k", 10, ""})->items.size(), 2u);
}

TEST_P(TenancyStoreKeys, AMakerThatIsRevokedAtTheSameTimeMakesNothingAfterwards) {
  ASSERT_TRUE(store().CreateApiKey(Key(kKid), {}));
  std::atomic<std::int64_t> revoked_at = 0;
  std::mutex mutex;
  std::vector<std::int64_t> made;
  {
    std::vector<std::jthread> makers;
    for (const char family : {'m', 'n'}) {
      makers.emplace_back([&, family] {
        for (int i = 1; i <= 200; ++i) {
          const auto creation = store().CreateApiKey(Key(NumberedKid(family, i)), {}, kKid);
          if (!creation) {
            EXPECT_EQ(creation.error().reason, "MAKER_NOT_VALID");
            return;
          }
          const std::scoped_lock lock(mutex);
          made.push_back(creation->version);
        }
      });
    }
    while (true) {
      const std::scoped_lock lock(mutex);
      if (made.size() >= 10) break;
    }
    revoked_at = store().RevokeApiKey("ke", "desk", kKid, clock_.Now()).value();
  }
  for (const std::int64_t version : made) EXPECT_LT(version, revoked_at);
}

TEST_P(TenancyStoreKeys, RotatesInOneStepAndOnceForARequest) {
  using namespace std::chrono_literals;
  ApiKey key = Key(kKid);
  key.allowed_instances = {"a"};
  ASSERT_TRUE(store().CreateApiKey(key, {}));
  const Uuid id = Uuid::V7();
  const std::int64_t before = KeysVersion("ke");
  const auto rotated = store().RotateApiKey(Rotation(kKid, kOtherKid, 24h), Request("r", id));
  ASSERT_TRUE(rotated) << rotated.error().message;
  EXPECT_TRUE(rotated->created);
  EXPECT_EQ(rotated->key.kid, kOtherKid);
  EXPECT_EQ(rotated->key.allowed_instances, key.allowed_instances);
  EXPECT_EQ(rotated->version, KeysVersion("ke"));
  EXPECT_EQ(Stored(kKid).expire_time, clock_.Now() + 24h);
  EXPECT_EQ(Stored(kOtherKid).digest, DigestApiKeySecret("pepper", kOtherKid));
  EXPECT_EQ(store().KeysChanged("ke", before)->size(), 2u) << "watchers are told of both";

  const auto again = store().RotateApiKey(Rotation(kKid, "aaaaaaaaaaaa", 24h), Request("r", id));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_FALSE(again->created);
  EXPECT_EQ(again->key.kid, kOtherKid);
  EXPECT_EQ(again->version, rotated->version);
  EXPECT_EQ(store().RotateApiKey(Rotation(kKid, "aaaaaaaaaaaa", 24h), Request("other", id)).error().reason,
            "REQUEST_ID_REUSED");

  ASSERT_TRUE(store().RotateApiKey(Rotation(kOtherKid, "aaaaaaaaaaaa", 0s), {}));
  EXPECT_EQ(Stored(kOtherKid).revoke_time, clock_.Now());
  EXPECT_EQ(store().RotateApiKey(Rotation(kOtherKid, "bbbbbbbbbbbb", 0s), {}).error().reason, "API_KEY_NOT_VALID");
  EXPECT_EQ(store().RotateApiKey(Rotation("nosuchkeykid", "bbbbbbbbbbbb", 0s), {}).error().code, Code::kNotFound);
  KeyRotation foreign = Rotation(kKid, "bbbbbbbbbbbb", 0s);
  foreign.tenant = "ug";
  EXPECT_EQ(store().RotateApiKey(foreign, {}).error().code, Code::kNotFound);
  foreign = Rotation(kKid, "bbbbbbbbbbbb", 0s);
  foreign.project = "other";
  EXPECT_EQ(store().RotateApiKey(foreign, {}).error().code, Code::kNotFound);
}

TEST_P(TenancyStoreKeys, KnowsWhenKeysWereLastUsedAndNoKeyChangesByThat) {
  using namespace std::chrono_literals;
  const Time minute = std::chrono::floor<std::chrono::minutes>(clock_.Now());
  ASSERT_TRUE(store().CreateApiKey(Key(kKid), {}));
  ASSERT_TRUE(store().CreateApiKey(Key(kOtherKid), {}));
  const std::int64_t version = KeysVersion("ke");
  ASSERT_TRUE(store().RecordKeyUse("ke", {{kKid, minute}, {"nosuchkeykid", minute}, {kKid, minute - 2min}}));
  EXPECT_EQ(Stored(kKid).last_used_time, minute);
  EXPECT_FALSE(Stored(kOtherKid).last_used_time);
  ASSERT_TRUE(store().RecordKeyUse("ke", {{kKid, minute - 1min}, {kOtherKid, minute - 1min}}));
  EXPECT_EQ(Stored(kKid).last_used_time, minute) << "it moves forwards only";
  EXPECT_EQ(Stored(kOtherKid).last_used_time, minute - 1min);
  ASSERT_TRUE(store().RecordKeyUse("ug", {{kKid, minute + 1min}}));
  EXPECT_EQ(Stored(kKid).last_used_time, minute) << "another tenant's word";
  EXPECT_TRUE(store().RecordKeyUse("nobody", {{kKid, minute}}));
  EXPECT_TRUE(store().RecordKeyUse("ke", {}));
  EXPECT_EQ(KeysVersion("ke"), version);
  EXPECT_TRUE(store().KeysChanged("ke", version)->empty());
}

TEST_P(TenancyStoreKeys, TheKeysOfAllProjectsOfATenantAreLimitedToo) {
  for (int i = 0; i < kApiKeysPerTenantMax / kApiKeysPerProjectMax; ++i) {
    const std::string project = "p" + std::to_string(i);
    ASSERT_TRUE(store().CreateProject({"ke", project, "P", clock_.Now()}, {}));
    backend_->FillWithKeys("ke", project, kApiKeysPerProjectMax);
  }
  const auto refused = store().CreateApiKey(Key(kKid), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "TOO_MANY_API_KEYS");
}

INSTANTIATE_TEST_SUITE_P(Stores, TenancyStoreKeys, EveryStore(), StoreName);

}  // namespace
}  // namespace allod::tenancy::tenancy_store_keys_test
