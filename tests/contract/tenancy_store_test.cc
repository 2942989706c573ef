// What services/tenancy/store.h promises of tenants and projects.
#include <atomic>
#include <thread>

#include "tests/contract/tenancy_store_harness.h"

namespace allod::tenancy::tenancy_store_test {
namespace {

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
  wanted.residency_rules = {{DataClass::kPrompts, {"ug"}}, {DataClass::kBackups, {"ke", "tz"}}};
  wanted.weight = 7;
  EXPECT_EQ(store().UpdateTenant(wanted, "", {}).error().reason, "ETAG_REQUIRED");
  const auto changed = store().UpdateTenant(wanted, EtagOf(before), {});
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(changed->display_name, "Kenya");
  EXPECT_EQ(changed->currency_code, "KES");
  EXPECT_EQ(changed->residency, (std::vector<std::string>{"tz", "ug"}));
  EXPECT_EQ(changed->residency_rules, wanted.residency_rules);
  EXPECT_EQ(store().GetTenant("ke")->residency_rules, wanted.residency_rules);
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
  EXPECT_EQ(store().KeysVersions(keys, 10)->at(0).standing, KeysStanding::kSuspended);
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

TEST_P(TenancyStore, DeletesAndBringsBack) {
  ASSERT_TRUE(store().CreateApiKey(Key(kKid), {}));
  const std::int64_t keys = KeysVersion("ke");
  const Uuid id = Uuid::V7();
  const TenantDeletionRequest deletion{EtagOf(*store().GetTenant("ke")), "moved", kGraceDefault, clock_.Now()};
  const auto deleted = store().DeleteTenant("ke", deletion, Request("d", id));
  ASSERT_TRUE(deleted) << deleted.error().message;
  EXPECT_EQ(deleted->tenant.state, TenantState::kDeleting);
  ASSERT_TRUE(deleted->tenant.deletion);
  EXPECT_EQ(deleted->tenant.deletion->delete_time, clock_.Now());
  EXPECT_EQ(deleted->tenant.deletion->purge_time, clock_.Now() + kGraceDefault);
  EXPECT_EQ(deleted->tenant.deletion->reason, "moved");
  EXPECT_EQ(store().UndeleteTenant("ke", clock_.Now() + kGraceDefault, {}).error().reason, "TENANT_DELETED");
  EXPECT_GT(deleted->keys_version, keys);
  EXPECT_EQ(store().KeysVersions(keys, 10)->at(0).standing, KeysStanding::kDeleting);
  EXPECT_EQ(store().DeleteTenant("ke", deletion, Request("d", id))->tenant.version, deleted->tenant.version);
  EXPECT_EQ(store().DeleteTenant("ke", deletion, {}).error().reason, "TENANT_DELETING");
  EXPECT_EQ(store().SetTenantState("ke", TenantState::kActive, "", {}).error().reason, "TENANT_DELETING");
  EXPECT_EQ(store().ListTenants({"t", 10, ""})->items.at(0).state, TenantState::kDeleting);
  EXPECT_EQ(store().TenantsChanged(deleted->tenant.version - 1, 10)->tenants.at(0).deletion->reason, "moved");

  const auto back = store().UndeleteTenant("ke", clock_.Now(), {});
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->tenant.state, TenantState::kActive);
  EXPECT_FALSE(back->tenant.deletion);
  EXPECT_GT(back->keys_version, deleted->keys_version);
  EXPECT_EQ(store().KeysVersions(keys, 10)->at(0).standing, KeysStanding::kInForce);
  EXPECT_EQ(store().UndeleteTenant("ke", clock_.Now(), {})->tenant.version, back->tenant.version);
  EXPECT_EQ(store().DeleteTenant("ke", deletion, {}).error().reason, "ETAG_MISMATCH");

  ASSERT_TRUE(store().SetTenantState("ug", TenantState::kSuspended, "unpaid", {}));
  ASSERT_TRUE(store().DeleteTenant("ug", {EtagOf(*store().GetTenant("ug")), "", kGraceMin, clock_.Now()}, {}));
  const auto suspended = store().UndeleteTenant("ug", clock_.Now(), {});
  EXPECT_EQ(suspended->tenant.state, TenantState::kSuspended);
  EXPECT_EQ(suspended->tenant.suspend_reason, "unpaid");
  EXPECT_EQ(store().DeleteTenant("xx", deletion, {}).error().code, Code::kNotFound);
  EXPECT_EQ(store().UndeleteTenant("xx", clock_.Now(), {}).error().code, Code::kNotFound);
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
  EXPECT_EQ(versions->at(0).standing, KeysStanding::kSuspended);
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

INSTANTIATE_TEST_SUITE_P(Stores, TenancyStore, EveryStore(), StoreName);

}  // namespace
}  // namespace allod::tenancy::tenancy_store_test
