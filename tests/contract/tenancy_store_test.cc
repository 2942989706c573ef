// What every tenancy store does, run on the fake and on PostgreSQL as the app role.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "services/common/pg/pool.h"
#include "services/tenancy/pg_store.h"
#include "services/tenancy/testing/fake_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/pg_fixture.h"

namespace allod::tenancy::tenancy_store_test {
namespace {

class Backend {
 public:
  virtual ~Backend() = default;
  virtual Store& store() = 0;
  virtual void Suspend(const std::string& tenant) = 0;
  // Its row changes to one that cannot be read.
  virtual void SpoilTenant(const std::string& tenant) = 0;
  // So many valid keys in a project, in no time.
  virtual void FillWithKeys(const std::string& tenant, const std::string& project, int count) = 0;
};

// A kid of twelve letters.
std::string NumberedKid(char family, int number) {
  std::string out(12, family);
  for (std::size_t at = 11; number > 0; --at, number /= 26) out[at] = static_cast<char>('a' + number % 26);
  return out;
}

class FakeBackend final : public Backend {
 public:
  Store& store() override { return store_; }
  void Suspend(const std::string& tenant) override { store_.Suspend(tenant); }
  void SpoilTenant(const std::string& tenant) override { store_.SpoilTenant(tenant); }
  void FillWithKeys(const std::string& tenant, const std::string& project, int count) override {
    store_.FillWithKeys(tenant, project, count);
  }

 private:
  FakeStore store_;
};

class PgBackend final : public Backend {
 public:
  Store& store() override { return store_; }
  void Suspend(const std::string& tenant) override {
    pqxx::connection owner(database_.owner_url);
    pqxx::work work(owner);
    work.exec_params("UPDATE tenancy.tenants SET state = 'SUSPENDED' WHERE id = $1", tenant);
    work.commit();
  }
  void SpoilTenant(const std::string& tenant) override {
    pqxx::connection owner(database_.owner_url);
    pqxx::work work(owner);
    work.exec0("ALTER TABLE tenancy.tenants DROP CONSTRAINT tenants_state_check");
    work.exec_params("UPDATE tenancy.tenants SET state = 'ODD' WHERE id = $1", tenant);
    work.commit();
  }
  void FillWithKeys(const std::string& tenant, const std::string& project, int count) override {
    pqxx::connection owner(database_.owner_url);
    pqxx::work work(owner);
    work.exec_params("SELECT set_config('allod.tenant', $1, true)", Uuid::FromName("tenants/" + tenant).ToString());
    work.exec_params(
        "INSERT INTO tenancy.api_keys (tenant_id, kid, project_id, display_name, scopes, roles, digest, create_time) "
        "SELECT $1::uuid, translate(substr(md5($2::text || n::text), 1, 12), '0189', 'ghij'), $2::text, '', "
        "'{PORTAL}', '{admin}', "
        "sha256(n::text::bytea), now() FROM generate_series(1, $3::int) AS n",
        Uuid::FromName("tenants/" + tenant).ToString(), project, count);
    work.commit();
  }
  TestDatabase& database() { return database_; }
  PgPool& pool() { return pool_; }

 private:
  TestDatabase database_{"tenancy"};
  PgPool pool_{database_.app_config()};
  PgStore store_{pool_};
};

RequestId Request(std::string_view payload, const Uuid& id = Uuid::V7()) {
  return *MakeRequestId(id.ToString(), "test", payload);
}

class TenancyStore : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "Fake") {
      backend_ = std::make_unique<FakeBackend>();
    } else {
      backend_ = std::make_unique<PgBackend>();
    }
    ASSERT_TRUE(store().CreateTenant(Kenya(), {}));
    ASSERT_TRUE(store().CreateTenant(Uganda(), {}));
    ASSERT_TRUE(store().CreateProject(Desk(), {}));
  }
  Store& store() { return backend_->store(); }

  Tenant Kenya() const { return {"ke", "Kenya — Jamhuri", "KES", {"ke", "rw"}, TenantState::kActive, clock_.Now()}; }
  Tenant Uganda() const { return {"ug", "Uganda", "UGX", {"ug"}, TenantState::kActive, clock_.Now()}; }
  Project Desk() const { return {"ke", "desk", "Service desk", clock_.Now()}; }
  ApiKey Key(const std::string& kid) const {
    ApiKey key{"ke", "desk", kid, "phone app", {Scope::kInference}, {}, {}, clock_.Now(), std::nullopt};
    key.digest = DigestApiKeySecret("pepper", kid);
    return key;
  }
  KeyRotation Rotation(const std::string& kid, const std::string& successor, std::chrono::microseconds overlap) const {
    return {"ke", "desk", kid, overlap, std::nullopt, successor, DigestApiKeySecret("pepper", successor), clock_.Now()};
  }
  static std::vector<IpRange> Ranges(const std::vector<std::string>& texts) {
    return ParseIpRanges("ranges", texts, 32).value();
  }
  // Of ke's project desk, which has few.
  ApiKey Stored(const std::string& kid) {
    PageRequest page{"k", 1000, ""};
    for (bool more = true; more;) {
      const auto keys = store().ListApiKeys("ke", "desk", page);
      for (const ApiKey& key : keys.value().items) {
        if (key.kid == kid) return key;
        page.after = key.kid;
      }
      more = !keys->next_page_token.empty();
    }
    ADD_FAILURE() << "there is no key " << kid;
    return {};
  }
  std::int64_t KeysVersion(const std::string& tenant) {
    const auto versions = store().KeysVersions(0, 100);
    for (const TenantKeysVersion& version : versions.value()) {
      if (version.tenant == tenant) return version.version;
    }
    return 0;
  }

  FakeClock clock_;
  std::unique_ptr<Backend> backend_;
};

INSTANTIATE_TEST_SUITE_P(Stores, TenancyStore, testing::Values("Fake", "PostgreSQL"),
                         [](const auto& test) { return test.param; });

constexpr char kKid[] = "abcdefghijkl";
constexpr char kOtherKid[] = "mnopqrstuvwx";

TEST_P(TenancyStore, GivesBackATenantAsItWasCreated) {
  const auto tenant = store().GetTenant("ke");
  ASSERT_TRUE(tenant) << tenant.error().message;
  EXPECT_TRUE(SameContent(*tenant, Kenya()));
  EXPECT_EQ(tenant->create_time, clock_.Now());
  EXPECT_EQ(tenant->state, TenantState::kActive);
}

TEST_P(TenancyStore, ReturnsAnExistingTenantForTheSameContentAndRefusesOther) {
  const Time created = clock_.Now();
  clock_.Advance(std::chrono::hours(1));
  const auto again = store().CreateTenant(Kenya(), {});
  ASSERT_TRUE(again);
  EXPECT_EQ(again->create_time, created);
  Tenant other = Kenya();
  other.currency_code = "USD";
  EXPECT_EQ(store().CreateTenant(other, {}).error().reason, "ALREADY_EXISTS");
  EXPECT_EQ(store().GetTenant("ke")->currency_code, "KES");
}

TEST_P(TenancyStore, RefusesARequestIdThatWasUsedForAnotherRequest) {
  const Uuid id = Uuid::V7();
  Tenant rwanda{"rw", "Rwanda", "RWF", {"rw"}, TenantState::kActive, clock_.Now()};
  ASSERT_TRUE(store().CreateTenant(rwanda, Request("rw", id)));
  ASSERT_TRUE(store().CreateTenant(rwanda, Request("rw", id)));
  Tenant other = rwanda;
  other.id = "rx";
  const auto reused = store().CreateTenant(other, Request("rx", id));
  EXPECT_EQ(reused.error().code, Code::kAlreadyExists);
  EXPECT_EQ(reused.error().reason, "REQUEST_ID_REUSED");
  EXPECT_EQ(store().GetTenant("rx").error().code, Code::kNotFound);
}

TEST_P(TenancyStore, AFailedCreationLeavesItsRequestIdFree) {
  const Uuid id = Uuid::V7();
  Tenant other = Kenya();
  other.display_name = "Other";
  ASSERT_FALSE(store().CreateTenant(other, Request("a", id)));
  other.id = "kx";
  EXPECT_TRUE(store().CreateTenant(other, Request("b", id)));
}

TEST_P(TenancyStore, ReplacesATenantsContentForWhoKnowsItAsItIs) {
  const Tenant before = store().GetTenant("ke").value();
  EXPECT_GT(before.version, 0);
  Tenant wanted;
  wanted.id = "ke";
  wanted.display_name = "Kenya";
  wanted.residency = {"tz", "ug"};
  wanted.weight = 7;
  EXPECT_EQ(store().UpdateTenant(wanted, "", {}).error().reason, "ETAG_REQUIRED");
  const auto changed = store().UpdateTenant(wanted, EtagOf(before), {});
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(changed->display_name, "Kenya");
  EXPECT_EQ(changed->currency_code, "KES");
  EXPECT_EQ(changed->residency, (std::vector<std::string>{"tz", "ug"}));
  EXPECT_EQ(changed->weight, 7);
  EXPECT_EQ(changed->create_time, before.create_time);
  EXPECT_GT(changed->version, before.version);
  EXPECT_EQ(store().UpdateTenant(wanted, EtagOf(before), {}).error().reason, "ETAG_MISMATCH");
  EXPECT_EQ(store().UpdateTenant(wanted, EtagOf(*changed), {})->version, changed->version) << "equal content";
  wanted.currency_code = "USD";
  EXPECT_EQ(store().UpdateTenant(wanted, EtagOf(*changed), {}).error().reason, "IMMUTABLE");
  wanted.id = "xx";
  EXPECT_EQ(store().UpdateTenant(wanted, "x", {}).error().code, Code::kNotFound);
  EXPECT_EQ(store().GetTenant("ke")->version, changed->version);
  EXPECT_TRUE(SameContent(*store().GetTenant("ug"), Uganda()));
}

TEST_P(TenancyStore, AChangeOfATenantIsSafeToRepeat) {
  const Uuid id = Uuid::V7();
  Tenant wanted = Kenya();
  wanted.weight = 2;
  const std::string etag = EtagOf(*store().GetTenant("ke"));
  ASSERT_TRUE(store().UpdateTenant(wanted, etag, Request("u", id)));
  const auto retry = store().UpdateTenant(wanted, etag, Request("u", id));
  ASSERT_TRUE(retry) << retry.error().message;
  EXPECT_EQ(retry->weight, 2);
  EXPECT_EQ(store().UpdateTenant(wanted, etag, Request("other", id)).error().reason, "REQUEST_ID_REUSED");
  const Uuid refused = Uuid::V7();
  ASSERT_FALSE(store().UpdateTenant(wanted, etag, Request("v", refused)));
  EXPECT_TRUE(store().UpdateTenant(wanted, EtagOf(*retry), Request("w", refused))) << "it is still free";
}

TEST_P(TenancyStore, ACreationIsSafeToRepeatAfterAChange) {
  const Uuid id = Uuid::V7();
  const Tenant rwanda{"rw", "Rwanda", "RWF", {"rw"}, TenantState::kActive, clock_.Now()};
  const auto made = store().CreateTenant(rwanda, Request("rw", id));
  ASSERT_TRUE(made) << made.error().message;
  Tenant wanted = rwanda;
  wanted.display_name = "Rwanda — Repubulika";
  const auto changed = store().UpdateTenant(wanted, EtagOf(*made), {});
  ASSERT_TRUE(changed) << changed.error().message;
  const auto retry = store().CreateTenant(rwanda, Request("rw", id));
  ASSERT_TRUE(retry) << retry.error().message;
  EXPECT_EQ(retry->display_name, wanted.display_name) << "as it stands";
  EXPECT_EQ(retry->version, changed->version);
  EXPECT_EQ(store().CreateTenant(rwanda, Request("rw")).error().reason, "ALREADY_EXISTS");
}

TEST_P(TenancyStore, SuspendsAndResumes) {
  ASSERT_TRUE(store().CreateApiKey(Key(kKid), {}));
  const std::int64_t keys = KeysVersion("ke");
  const auto suspended = store().SetTenantState("ke", TenantState::kSuspended, "unpaid", {});
  ASSERT_TRUE(suspended) << suspended.error().message;
  EXPECT_EQ(suspended->tenant.state, TenantState::kSuspended);
  EXPECT_EQ(suspended->tenant.suspend_reason, "unpaid");
  EXPECT_GT(suspended->keys_version, keys);
  EXPECT_EQ(suspended->keys_version, KeysVersion("ke"));
  const auto again = store().SetTenantState("ke", TenantState::kSuspended, "unpaid", {});
  EXPECT_EQ(again->tenant.version, suspended->tenant.version);
  EXPECT_EQ(again->keys_version, suspended->keys_version);
  const auto other = store().SetTenantState("ke", TenantState::kSuspended, "moved", {});
  EXPECT_GT(other->tenant.version, suspended->tenant.version);
  EXPECT_EQ(other->tenant.suspend_reason, "moved");
  EXPECT_EQ(other->keys_version, suspended->keys_version) << "it concerns no key";
  EXPECT_EQ(store().KeysVersions(keys, 10)->at(0).active, false);
  const Uuid id = Uuid::V7();
  const auto resumed = store().SetTenantState("ke", TenantState::kActive, "", Request("r", id));
  ASSERT_TRUE(resumed);
  EXPECT_EQ(resumed->tenant.suspend_reason, "");
  EXPECT_GT(resumed->keys_version, suspended->keys_version);
  ASSERT_TRUE(store().SetTenantState("ke", TenantState::kSuspended, "again", {}));
  EXPECT_EQ(store().SetTenantState("ke", TenantState::kActive, "", Request("r", id))->tenant.state,
            TenantState::kSuspended);
  EXPECT_EQ(store().SetTenantState("xx", TenantState::kActive, "", {}).error().code, Code::kNotFound);
}

TEST_P(TenancyStore, TenantsChangedAreOneOrderAndShowWhatIsNewOnly) {
  const auto ids = [&](std::int64_t after, int limit = 10) {
    std::vector<std::string> out;
    const auto changed = store().TenantsChanged(after, limit);
    EXPECT_TRUE(changed) << changed.error().message;
    for (const Tenant& tenant : changed->tenants) out.push_back(tenant.id);
    return out;
  };
  EXPECT_EQ(ids(0), (std::vector<std::string>{"ke", "ug"}));
  EXPECT_EQ(ids(0, 1), std::vector<std::string>{"ke"});
  const std::int64_t at = store().GetTenant("ug")->version;
  ASSERT_TRUE(store().CreateApiKey(Key(kKid), {}));
  ASSERT_TRUE(store().CreateTenant(Uganda(), {}));
  EXPECT_EQ(ids(at), std::vector<std::string>{}) << "keys and repeated requests change no tenant";
  ASSERT_TRUE(store().SetTenantState("ke", TenantState::kSuspended, "", {}));
  EXPECT_EQ(ids(at), std::vector<std::string>{"ke"});
  EXPECT_EQ(ids(0), (std::vector<std::string>{"ug", "ke"}));
  backend_->Suspend("ug");
  EXPECT_EQ(ids(0), (std::vector<std::string>{"ke", "ug"})) << "an operator's own SQL is a change too";
}

TEST_P(TenancyStore, ATenantThatCannotBeReadIsLeftOutOfTheChanges) {
  const std::int64_t at = store().GetTenant("ug")->version;
  backend_->SpoilTenant("ke");
  const auto alone = store().TenantsChanged(at, 1);
  ASSERT_TRUE(alone) << alone.error().message;
  EXPECT_TRUE(alone->tenants.empty());
  EXPECT_GT(alone->version, at);
  EXPECT_TRUE(alone->more);
  ASSERT_TRUE(store().SetTenantState("ug", TenantState::kSuspended, "", {}));
  const auto all = store().TenantsChanged(0, 10);
  ASSERT_TRUE(all) << all.error().message;
  ASSERT_EQ(all->tenants.size(), 1U);
  EXPECT_EQ(all->tenants[0].id, "ug");
  EXPECT_EQ(all->version, all->tenants[0].version);
  EXPECT_FALSE(all->more);
  const auto none = store().TenantsChanged(all->version, 10);
  EXPECT_EQ(none->version, all->version);
  EXPECT_TRUE(none->tenants.empty());
}

TEST_P(TenancyStore, OfConcurrentChangesByOneEtagOneIsMade) {
  const std::string etag = EtagOf(*store().GetTenant("ke"));
  std::atomic<int> made = 0;
  std::atomic<int> refused = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        Tenant wanted = Kenya();
        wanted.weight = 2 + i;
        const auto changed = store().UpdateTenant(wanted, etag, {});
        ++(changed ? made : refused);
        EXPECT_EQ(changed ? "" : changed.error().reason, changed ? "" : "ETAG_MISMATCH");
      });
    }
  }
  EXPECT_EQ(made, 1);
  EXPECT_EQ(refused, 3);
}

TEST_P(TenancyStore, ListsTenantsByIdPageByPage) {
  const auto first = store().ListTenants({"tenants", 1, ""});
  ASSERT_TRUE(first);
  ASSERT_EQ(first->items.size(), 1u);
  EXPECT_EQ(first->items[0].id, "ke");
  const auto page = ParsePage("tenants", 1, first->next_page_token);
  ASSERT_TRUE(page);
  const auto second = store().ListTenants(*page);
  ASSERT_EQ(second->items.size(), 1u);
  EXPECT_EQ(second->items[0].id, "ug");
  EXPECT_EQ(second->next_page_token, "");
}

TEST_P(TenancyStore, CreatesProjectsOnlyInTenantsThatExist) {
  EXPECT_EQ(store().CreateProject({"tz", "desk", "Desk", clock_.Now()}, {}).error().code, Code::kNotFound);
  EXPECT_EQ(store().ListProjects("tz", {"p", 10, ""}).error().code, Code::kNotFound);
}

TEST_P(TenancyStore, ReturnsAnExistingProjectForTheSameContentAndRefusesOther) {
  EXPECT_EQ(store().CreateProject(Desk(), {})->uid(), Desk().uid());
  Project other = Desk();
  other.display_name = "Other";
  EXPECT_EQ(store().CreateProject(other, {}).error().reason, "ALREADY_EXISTS");
}

TEST_P(TenancyStore, GivesBackAKeyAsItWasCreated) {
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

TEST_P(TenancyStore, ARetryGivesTheFirstKeyAndMakesNoSecond) {
  const Uuid id = Uuid::V7();
  ASSERT_TRUE(store().CreateApiKey(Key(kKid), Request("k", id)));
  const auto retry = store().CreateApiKey(Key(kOtherKid), Request("k", id));
  ASSERT_TRUE(retry);
  EXPECT_FALSE(retry->created);
  EXPECT_EQ(retry->key.kid, kKid);
  EXPECT_EQ(store().ListApiKeys("ke", "desk", {"k", 10, ""})->items.size(), 1u);
  EXPECT_EQ(store().CreateApiKey(Key(kOtherKid), Request("other", id)).error().reason, "REQUEST_ID_REUSED");
}

TEST_P(TenancyStore, ARequestIdOfAKeyIsItsProjects) {
  const Uuid id = Uuid::V7();
  ASSERT_TRUE(store().CreateApiKey(Key(kKid), Request("k", id)));
  ASSERT_TRUE(store().CreateProject({"ke", "health", "Health", clock_.Now()}, Request("p", id)));
  ApiKey other = Key(kOtherKid);
  other.project = "health";
  const auto made = store().CreateApiKey(other, Request("other", id));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_TRUE(made->created);
  EXPECT_FALSE(store().CreateApiKey(Key("aaaaaaaaaaaa"), Request("k", id))->created) << "in its own it is a retry";
  EXPECT_EQ(store().CountProjects("ke"), 2);
  EXPECT_EQ(store().CountProjects("ug"), 0);
}

TEST_P(TenancyStore, ConcurrentRetriesMakeOneKey) {
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

TEST_P(TenancyStore, CreatesKeysOnlyInProjectsThatExist) {
  ApiKey key = Key(kKid);
  key.project = "nowhere";
  EXPECT_EQ(store().CreateApiKey(key, {}).error().code, Code::kNotFound);
  EXPECT_EQ(store().ListApiKeys("ke", "nowhere", {"k", 10, ""}).error().code, Code::kNotFound);
}

TEST_P(TenancyStore, RevokingIsIdempotentAndKeepsTheFirstTime) {
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

TEST_P(TenancyStore, TheKeysVersionChangesWithEveryCreationAndRevocation) {
  const std::int64_t before = KeysVersion("ke");
  const std::int64_t others = KeysVersion("ug");
  ASSERT_TRUE(store().CreateApiKey(Key(kKid), {}));
  const std::int64_t created = KeysVersion("ke");
  EXPECT_NE(created, before);
  ASSERT_TRUE(store().RevokeApiKey("ke", "desk", kKid, clock_.Now()));
  EXPECT_NE(KeysVersion("ke"), created);
  EXPECT_EQ(KeysVersion("ug"), others);
}

TEST_P(TenancyStore, SaysFromWhichVersionOnAKeyIsThereAndNotThere) {
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

TEST_P(TenancyStore, VersionsAreOneOrderOverAllTenantsAndShowWhatIsNewOnly) {
  ASSERT_TRUE(store().CreateProject({"ug", "desk", "Desk", clock_.Now()}, {}));
  ASSERT_TRUE(store().CreateTenant({"rw", "Rwanda", "RWF", {"rw"}, TenantState::kActive, clock_.Now()}, {}));
  const auto first = store().CreateApiKey(Key(kKid), {})->version;
  ApiKey foreign = Key(kOtherKid);
  foreign.tenant = "ug";
  const auto second = store().CreateApiKey(foreign, {})->version;
  EXPECT_LT(first, second);
  const auto all = *store().KeysVersions(0, 100);
  ASSERT_EQ(all.size(), 2u) << "a tenant that never had a key has none to show";
  EXPECT_EQ(all[0], (TenantKeysVersion{"ke", "KES", true, first}));
  EXPECT_EQ(all[1], (TenantKeysVersion{"ug", "UGX", true, second}));
  EXPECT_EQ(store().KeysVersions(0, 1)->size(), 1u);
  EXPECT_EQ(store().KeysVersions(first, 100)->at(0).tenant, "ug");
  EXPECT_TRUE(store().KeysVersions(second, 100)->empty());
}

TEST_P(TenancyStore, ShowsTheKeysThatChangedSince) {
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

TEST_P(TenancyStore, ConcurrentChangesOfTwoTenantsHaveVersionsInTheOrderInWhichTheyAreSeen) {
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

TEST_P(TenancyStore, SaysWhichTenantsAreSuspended) {
  ASSERT_TRUE(store().CreateProject({"ug", "desk", "Desk", clock_.Now()}, {}));
  ASSERT_TRUE(store().CreateApiKey(Key(kKid), {}));
  ApiKey foreign = Key(kOtherKid);
  foreign.tenant = "ug";
  const auto newest = store().CreateApiKey(foreign, {})->version;
  backend_->Suspend("ke");
  EXPECT_EQ(store().GetTenant("ke")->state, TenantState::kSuspended);
  const auto versions = store().KeysVersions(newest, 100);
  ASSERT_EQ(versions->size(), 1u) << "a suspension is a change, whoever made it";
  EXPECT_EQ(versions->at(0).tenant, "ke");
  EXPECT_FALSE(versions->at(0).active);
}

TEST_P(TenancyStore, ATenantMayHaveSoManyProjectsAndNoMore) {
  for (int i = 1; i < kProjectsPerTenantMax; ++i) {
    ASSERT_TRUE(store().CreateProject({"ke", "p" + std::to_string(i), "P", clock_.Now()}, {}));
  }
  const auto refused = store().CreateProject({"ke", "one-more", "P", clock_.Now()}, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_EQ(refused.error().reason, "TOO_MANY_PROJECTS");
  EXPECT_EQ(store().GetProject("ke", "one-more").error().code, Code::kNotFound);
  EXPECT_TRUE(store().CreateProject(Desk(), {})) << "what is there is not one more";
  EXPECT_TRUE(store().CreateProject({"ug", "desk", "Desk", clock_.Now()}, {})) << "others have their own";
}

TEST_P(TenancyStore, OnlyKeysThatHoldCountAgainstTheLimitOfAProject) {
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

TEST_P(TenancyStore, GivesBackWhatNarrowsAKey) {
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

TEST_P(TenancyStore, AKeyIsMadeWithinWhatItsMakerIsThen) {
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

TEST_P(TenancyStore, AMakerThatIsRevokedAtTheSameTimeMakesNothingAfterwards) {
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

TEST_P(TenancyStore, RotatesInOneStepAndOnceForARequest) {
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

TEST_P(TenancyStore, KnowsWhenKeysWereLastUsedAndNoKeyChangesByThat) {
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

TEST_P(TenancyStore, TheKeysOfAllProjectsOfATenantAreLimitedToo) {
  for (int i = 0; i < kApiKeysPerTenantMax / kApiKeysPerProjectMax; ++i) {
    const std::string project = "p" + std::to_string(i);
    ASSERT_TRUE(store().CreateProject({"ke", project, "P", clock_.Now()}, {}));
    backend_->FillWithKeys("ke", project, kApiKeysPerProjectMax);
  }
  const auto refused = store().CreateApiKey(Key(kKid), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "TOO_MANY_API_KEYS");
}

TEST_P(TenancyStore, TenantBCannotSeeChangeOrReferenceWhatIsTenantAs) {
  ASSERT_TRUE(store().CreateApiKey(Key(kKid), {}));
  EXPECT_EQ(store().GetProject("ug", "desk").error().code, Code::kNotFound);
  EXPECT_TRUE(store().ListProjects("ug", {"p", 10, ""})->items.empty());
  EXPECT_EQ(store().ListApiKeys("ug", "desk", {"k", 10, ""}).error().code, Code::kNotFound);
  EXPECT_EQ(store().RevokeApiKey("ug", "desk", kKid, clock_.Now()).error().code, Code::kNotFound);
  EXPECT_TRUE(store().ValidKeys("ug", clock_.Now())->empty());
  ApiKey foreign = Key(kOtherKid);
  foreign.tenant = "ug";
  EXPECT_EQ(store().CreateApiKey(foreign, {}).error().code, Code::kNotFound);
  EXPECT_EQ(store().ValidKeys("ke", clock_.Now())->size(), 1u);
}

TEST(TenancyRowSecurity, HidesEveryOtherTenantsRowsEvenFromSqlWithoutWhere) {
  PgBackend backend;
  const FakeClock clock;
  ASSERT_TRUE(backend.store().CreateTenant({"ke", "Kenya", "KES", {"ke"}, TenantState::kActive, clock.Now()}, {}));
  ASSERT_TRUE(backend.store().CreateTenant({"ug", "Uganda", "UGX", {"ug"}, TenantState::kActive, clock.Now()}, {}));
  ASSERT_TRUE(backend.store().CreateProject({"ke", "desk", "Desk", clock.Now()}, Request("p")));
  ApiKey key{"ke", "desk", kKid, "", {Scope::kPortal}, {Role::ROLE_VIEWER}, {}, clock.Now(), std::nullopt};
  ASSERT_TRUE(backend.store().CreateApiKey(key, {}));

  const TenantId kenya{Uuid::FromName("tenants/ke")};
  const TenantId uganda{Uuid::FromName("tenants/ug")};
  for (const std::string table : {"projects", "api_keys", "request_ids"}) {
    const auto count = [&](PgTx& tx) -> Result<int> {
      return tx.Exec("SELECT count(*) FROM tenancy." + table)[0][0].as<int>();
    };
    EXPECT_EQ(*backend.pool().Run<int>(kenya, [&](TenantTx& tx) { return count(tx); }), 1) << table;
    EXPECT_EQ(*backend.pool().Run<int>(uganda, [&](TenantTx& tx) { return count(tx); }), 0) << table;
    EXPECT_EQ(*backend.pool().Run<int>([&](GlobalTx& tx) { return count(tx); }), 0) << table;
  }
  const auto forged = backend.pool().Run<int>(uganda, [&](TenantTx& tx) -> Result<int> {
    tx.Exec("INSERT INTO tenancy.projects (tenant_id, id, display_name, create_time) VALUES ($1, 'x', 'x', now())",
            kenya.ToString());
    return 0;
  });
  EXPECT_FALSE(forged);
  const auto stolen = backend.pool().Run<int>(uganda, [&](TenantTx& tx) -> Result<int> {
    return static_cast<int>(tx.Exec("UPDATE tenancy.api_keys SET revoke_time = now()").affected_rows());
  });
  EXPECT_EQ(*stolen, 0);
}

}  // namespace
}  // namespace allod::tenancy::tenancy_store_test
