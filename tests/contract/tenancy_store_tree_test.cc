// What services/tenancy/store.h promises of tenants below tenants.
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "services/common/quota.h"
#include "services/tenancy/pg_store_identity.h"
#include "services/tenancy/tenant_tree.h"
#include "tests/contract/tenancy_store_harness.h"

namespace allod::tenancy::tenancy_store_tree_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class TenancyStoreTree : public TenancyStore {
 protected:
  Tenant Child(const std::string& id, const std::string& parent, const Quota& quota = {}) const {
    Tenant out{id, id, "KES", {"ke"}, TenantState::kActive, clock_.Now()};
    out.parent = parent;
    out.quota = quota;
    return out;
  }
  Result<Tenant> Make(const std::string& id, const std::string& parent, const Quota& quota = {}) {
    return store().CreateTenant(Child(id, parent, quota), {});
  }
  Result<Tenant> SetQuota(const std::string& id, const Quota& quota, Setter by = Setter::kOperator) {
    Tenant wanted = *store().GetTenant(id);
    wanted.quota = quota;
    return store().UpdateTenant(wanted, EtagOf(wanted), {}, by);
  }
  TenantKeysVersion KeysOf(const std::string& tenant) {
    const auto versions = store().KeysVersions(0, 100);
    for (const TenantKeysVersion& version : versions.value()) {
      if (version.tenant == tenant) return version;
    }
    ADD_FAILURE() << "gateways are not told of " << tenant;
    return {};
  }
  std::vector<std::string> IdsWithin(const std::string& top, int size = 100) {
    std::vector<std::string> out;
    PageRequest page{"tenants", size, ""};
    for (bool more = true; more;) {
      const auto listed = store().ListTenants(page, top);
      for (const Tenant& tenant : listed.value().items) out.push_back(page.after = tenant.id);
      more = !listed->next_page_token.empty();
    }
    return out;
  }
  // Runs all at once.
  static void AtOnce(std::initializer_list<std::function<void()>> works) {
    std::vector<std::jthread> threads;
    for (const auto& work : works) threads.emplace_back(work);
  }
};

TEST_P(TenancyStoreTree, ATenantBelowAnotherKnowsItsPlace) {
  const auto health = Make("ke-health", "ke");
  ASSERT_TRUE(health) << health.error().message;
  ASSERT_TRUE(Make("ke-health-north", "ke-health"));
  const Tenant ward = Make("ke-health-north-a", "ke-health-north").value();
  EXPECT_THAT(ward.ancestors, ElementsAre("ke", "ke-health", "ke-health-north"));
  EXPECT_EQ(Make("ke-health-north-a-1", "ke-health-north-a").error().reason, "TOO_MANY_LEVELS");
  EXPECT_EQ(Make("ke-x", "none").error().code, Code::kNotFound);
  EXPECT_EQ(Make("kex", "ke").error().reason, "INVALID_ID");
  EXPECT_EQ(store().GetTenant("ke-health")->parent, "ke");
  EXPECT_TRUE(Make("ke-health", "ke")) << "the same again";
  EXPECT_EQ(Make("ke-health", "").error().reason, "ALREADY_EXISTS");
  EXPECT_EQ(Make("ug", "ke").error().reason, "ALREADY_EXISTS");
  EXPECT_THAT(store().LimitsOf("ke-health-north").value().above, ElementsAre("ke", "ke-health"));
  EXPECT_GT(KeysOf("ke-health").limits_version, 0) << "gateways are told where it is";
}

TEST_P(TenancyStoreTree, ListsWhatIsBelow) {
  ASSERT_TRUE(Make("ke-b", "ke"));
  ASSERT_TRUE(Make("ke-a", "ke"));
  ASSERT_TRUE(Make("ke-a-x", "ke-a"));
  ASSERT_TRUE(Make("ke-old", ""));
  EXPECT_THAT(IdsWithin("ke"), ElementsAre("ke", "ke-a", "ke-a-x", "ke-b"));
  EXPECT_THAT(IdsWithin("ke", 1), ElementsAre("ke", "ke-a", "ke-a-x", "ke-b"));
  EXPECT_THAT(IdsWithin("ke-a"), ElementsAre("ke-a", "ke-a-x"));
  EXPECT_THAT(IdsWithin("ug"), ElementsAre("ug"));
  const auto children = store().ChildrenOf("ke");
  ASSERT_TRUE(children);
  ASSERT_EQ(children->size(), 2U);
  EXPECT_EQ(children->at(0).id, "ke-a");
  EXPECT_FALSE(CheckChildless(*store().GetTenant("ke"), *children));
  EXPECT_TRUE(CheckChildless(*store().GetTenant("ug"), store().ChildrenOf("ug").value()));
  EXPECT_EQ(store().ChildrenOf("none").error().code, Code::kNotFound);
}

TEST_P(TenancyStoreTree, WhatAChildHasLiesWithinWhatItsParentHas) {
  Tenant outside = Child("ke-x", "ke");
  outside.residency = {"ke", "tz"};
  EXPECT_EQ(store().CreateTenant(outside, {}).error().reason, "RESIDENCY_OUTSIDE_PARENT");
  EXPECT_EQ(store().GetTenant("ke-x").error().code, Code::kNotFound) << "nothing of it is left";
  Tenant rwanda = Child("ke-x", "ke");
  rwanda.residency = {"rw"};
  ASSERT_TRUE(store().CreateTenant(rwanda, {}));
  Tenant narrower = *store().GetTenant("ke");
  narrower.residency = {"ke"};
  const auto refused = store().UpdateTenant(narrower, EtagOf(narrower), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "CHILD_OUTSIDE");
  EXPECT_THAT(refused.error().message, HasSubstr("tenants/ke-x"));
  Tenant wider = *store().GetTenant("ke-x");
  wider.residency = {"tz"};
  EXPECT_EQ(store().UpdateTenant(wider, EtagOf(wider), {}).error().reason, "RESIDENCY_OUTSIDE_PARENT");
}

TEST_P(TenancyStoreTree, NobodyBelowTakesAllPlacesOfTheTree) {
  ASSERT_TRUE(Make("ke-a", "ke"));
  ASSERT_TRUE(Make("ke-a-x", "ke-a"));
  for (int i = 0; i < kTenantsBelowMax[2]; ++i) ASSERT_TRUE(Make("ke-a-x-" + std::to_string(i), "ke-a-x"));
  EXPECT_EQ(Make("ke-a-x-more", "ke-a-x").error().reason, "TOO_MANY_TENANTS");
  for (int i = kTenantsBelowMax[2] + 1; i < kTenantsBelowMax[1]; ++i) {
    ASSERT_TRUE(Make("ke-a-" + std::to_string(i), "ke-a"));
  }
  EXPECT_EQ(Make("ke-a-more", "ke-a").error().reason, "TOO_MANY_TENANTS") << "of all levels together";
  EXPECT_EQ(Make("ke-a-99-more", "ke-a-99").error().reason, "TOO_MANY_TENANTS");
  EXPECT_TRUE(Make("ke-b", "ke")) << "the others have theirs";
  EXPECT_TRUE(Make("ke-b-x", "ke-b"));
  EXPECT_THAT(store().CountBelow("ke-a-x").value(), ElementsAre(103, 100, 25));
  EXPECT_THAT(store().CountBelow("ke").value(), ElementsAre(103));
  EXPECT_EQ(store().CountBelow("none").error().code, Code::kNotFound);
}

TEST_P(TenancyStoreTree, WhatTheOperatorSuspendedIsHisToResume) {
  constexpr auto kSuspended = TenantState::kSuspended, kActive = TenantState::kActive;
  ASSERT_TRUE(Make("ke-a", "ke"));
  const auto set = [&](TenantState state, const std::string& reason, Setter by) {
    const auto changed = store().SetTenantState("ke-a", state, reason, {}, by);
    return changed ? std::string() : changed.error().reason;
  };
  EXPECT_EQ(set(kSuspended, "unpaid", Setter::kFromAbove), "");
  EXPECT_TRUE(store().GetTenant("ke-a")->suspended_from_above);
  EXPECT_EQ(set(kActive, "", Setter::kFromAbove), "");
  EXPECT_FALSE(store().GetTenant("ke-a")->suspended_from_above);
  EXPECT_EQ(set(kSuspended, "unpaid", Setter::kFromAbove), "");
  EXPECT_EQ(set(kSuspended, "unpaid", Setter::kOperator), "");
  EXPECT_FALSE(store().GetTenant("ke-a")->suspended_from_above) << "he took it over";
  EXPECT_EQ(set(kActive, "", Setter::kFromAbove), "SUSPENDED_BY_OPERATOR");
  EXPECT_EQ(set(kSuspended, "other", Setter::kFromAbove), "SUSPENDED_BY_OPERATOR");
  EXPECT_EQ(set(kSuspended, "unpaid", Setter::kFromAbove), "");
  EXPECT_EQ(store().GetTenant("ke-a")->state, kSuspended);
  const auto deletion_by = [&](Setter by) {
    return TenantDeletionRequest{EtagOf(*store().GetTenant("ke-a")), "", kGraceMin, FloorToMicros(clock_.Now()), by};
  };
  EXPECT_EQ(store().DeleteTenant("ke-a", deletion_by(Setter::kFromAbove), {}).error().reason, "SUSPENDED_BY_OPERATOR")
      << "when its grace were over, what he looks into would be gone";
  EXPECT_EQ(store().GetTenant("ke-a")->state, kSuspended);
  EXPECT_EQ(set(kActive, "", Setter::kOperator), "");
  EXPECT_EQ(set(kSuspended, "unpaid", Setter::kFromAbove), "");
  ASSERT_TRUE(store().DeleteTenant("ke-a", deletion_by(Setter::kFromAbove), {}));
  EXPECT_TRUE(store().GetTenant("ke-a")->deletion->from_above);
  ASSERT_TRUE(store().UndeleteTenant("ke-a", clock_.Now(), {}, Setter::kFromAbove));
  EXPECT_EQ(set(kActive, "", Setter::kFromAbove), "");
  EXPECT_EQ(set(kSuspended, "unpaid", Setter::kOperator), "");
  ASSERT_TRUE(store().DeleteTenant("ke-a", deletion_by(Setter::kOperator), {}));
  EXPECT_FALSE(store().GetTenant("ke-a")->deletion->from_above);
  EXPECT_EQ(store().UndeleteTenant("ke-a", clock_.Now(), {}, Setter::kFromAbove).error().reason, "DELETED_BY_OPERATOR");
  ASSERT_TRUE(store().UndeleteTenant("ke-a", clock_.Now(), {}));
  const Tenant standing = *store().GetTenant("ke-a");
  ASSERT_TRUE(
      store().DeleteTenant("ke-a", {EtagOf(standing), "", std::chrono::hours(24), FloorToMicros(clock_.Now())}, {}));
  ASSERT_TRUE(store().UndeleteTenant("ke-a", clock_.Now(), {}));
  EXPECT_EQ(set(kActive, "", Setter::kFromAbove), "SUSPENDED_BY_OPERATOR");
  EXPECT_EQ(set(kActive, "", Setter::kOperator), "");
}

TEST_P(TenancyStoreTree, OnlyWhatHasNothingBelowItIsDeleted) {
  ASSERT_TRUE(Make("ke-a", "ke"));
  const auto remove = [&](const std::string& id) {
    const Tenant standing = *store().GetTenant(id);
    return store().DeleteTenant(id, {EtagOf(standing), "", std::chrono::hours(24), FloorToMicros(clock_.Now())}, {});
  };
  EXPECT_EQ(remove("ke").error().reason, "TENANT_HAS_CHILDREN");
  EXPECT_EQ(store().GetTenant("ke")->state, TenantState::kActive);
  ASSERT_TRUE(remove("ke-a"));
  EXPECT_EQ(remove("ke").error().reason, "TENANT_HAS_CHILDREN") << "it can come back";
  EXPECT_EQ(Make("ke-a-x", "ke-a").error().reason, "TENANT_DELETING");
  EXPECT_EQ(store().GetTenant("ke-a-x").error().code, Code::kNotFound);
  ASSERT_TRUE(store().UndeleteTenant("ke-a", clock_.Now(), {}));
  ASSERT_TRUE(Make("ke-a-x", "ke-a"));
}

TEST_P(TenancyStoreTree, QuotasAreCarvedOut) {
  ASSERT_TRUE(SetQuota("ke", {.instances = 10, .api_keys = 3, .projects = 4}));
  EXPECT_EQ(Make("ke-a", "ke").error().reason, "QUOTA_REQUIRED");
  EXPECT_EQ(Make("ke-a", "ke", {.instances = 11, .api_keys = 1, .projects = 1}).error().reason, "QUOTA_EXCEEDED");
  // It has one project itself, and gets a key.
  ASSERT_TRUE(store().CreateApiKey(Key(kKid), {}));
  EXPECT_EQ(Make("ke-a", "ke", {.instances = 1, .api_keys = 1, .projects = 4}).error().reason, "QUOTA_EXCEEDED");
  EXPECT_EQ(Make("ke-a", "ke", {.instances = 1, .api_keys = 3, .projects = 1}).error().reason, "QUOTA_EXCEEDED");
  ASSERT_TRUE(Make("ke-a", "ke", {.instances = 6, .api_keys = 2, .projects = 2}));
  EXPECT_EQ(store().GetTenant("ke")->quota_below, (Quota{.instances = 6, .api_keys = 2, .projects = 2}));
  EXPECT_EQ(store().CreateApiKey(Key(kOtherKid), {}).error().reason, "QUOTA_EXCEEDED");
  EXPECT_TRUE(store().CreateProject({"ke", "second", "S", clock_.Now()}, {}));
  EXPECT_EQ(store().CreateProject({"ke", "third", "T", clock_.Now()}, {}).error().reason, "QUOTA_EXCEEDED");
  EXPECT_EQ(store().ReadQuotas("ke", "", clock_.Now())->of_tenant.projects, 2);
  EXPECT_TRUE(store().CreateProject({"ke-a", "p", "P", clock_.Now()}, {})) << "the child has its own";
  EXPECT_EQ(SetQuota("ke", {.instances = 5, .api_keys = 3, .projects = 4}).error().reason, "CHILD_OUTSIDE");
  EXPECT_EQ(SetQuota("ke-a", {.instances = 6, .api_keys = 2, .projects = 3}).error().reason, "QUOTA_EXCEEDED");
  ASSERT_TRUE(SetQuota("ke-a", {.instances = 5, .api_keys = 2, .projects = 2}));
  EXPECT_EQ(store().GetTenant("ke")->quota_below.instances, 5);
  EXPECT_EQ(Make("ke-a-x", "ke-a", {.instances = 6, .api_keys = 1, .projects = 1}).error().reason, "QUOTA_EXCEEDED");
  ASSERT_TRUE(Make("ke-a-x", "ke-a", {.instances = 5, .api_keys = 1, .projects = 1}));
  EXPECT_EQ(OwnQuota(store().GetTenant("ke-a")->quota, store().GetTenant("ke-a")->quota_below).instances, kNothingLeft);
}

// A child is given a part, fills it, gives it back, and the next child is given it: each time there would be more.
TEST_P(TenancyStoreTree, WhatAChildUsesIsGivenToNobodyElse) {
  ASSERT_TRUE(SetQuota("ke", {.instances = 6, .api_keys = 6, .projects = 6}));
  ASSERT_TRUE(Make("ke-1", "ke", {.instances = 5, .api_keys = 5, .projects = 5}));
  for (int i = 0; i < 5; ++i) {
    const std::string id = "p" + std::to_string(i);
    ASSERT_TRUE(store().CreateProject({"ke-1", id, id, clock_.Now()}, {}));
    ApiKey key = Key(NumberedKid('q', i + 1));
    key.tenant = "ke-1";
    key.project = id;
    ASSERT_TRUE(store().CreateApiKey(key, {}));
  }
  for (const Setter by : {Setter::kFromAbove, Setter::kOperator}) {
    const auto projects = SetQuota("ke-1", {.instances = 5, .api_keys = 5, .projects = 4}, by);
    ASSERT_FALSE(projects);
    EXPECT_EQ(projects.error().code, Code::kFailedPrecondition);
    EXPECT_EQ(projects.error().reason, "QUOTA_IN_USE");
    EXPECT_THAT(projects.error().message, HasSubstr("tenant.quota.projects: tenants/ke-1 uses 5 itself"));
    const auto keys = SetQuota("ke-1", {.instances = 5, .api_keys = 1, .projects = 5}, by);
    ASSERT_FALSE(keys);
    EXPECT_EQ(keys.error().reason, "QUOTA_IN_USE");
    EXPECT_THAT(keys.error().message, HasSubstr("tenant.quota.api_keys: tenants/ke-1 uses 5 itself"));
  }
  const Quota fewer{.instances = 4, .api_keys = 5, .projects = 5};
  const auto running = SetQuota("ke-1", fewer, Setter::kFromAbove);
  ASSERT_FALSE(running);
  EXPECT_EQ(running.error().code, Code::kFailedPrecondition);
  EXPECT_EQ(running.error().reason, "QUOTA_OPERATORS_ONLY");
  EXPECT_THAT(running.error().message, HasSubstr("tenant.quota.instances: tenants/ke-1 has 5"));
  const Quota rest{.instances = 2, .api_keys = 1, .projects = 1};
  EXPECT_EQ(Make("ke-2", "ke", rest).error().reason, "QUOTA_EXCEEDED");
  EXPECT_EQ(store().GetTenant("ke")->quota_below, (Quota{.instances = 5, .api_keys = 5, .projects = 5}));

  ASSERT_TRUE(SetQuota("ke-1", fewer)) << "an operator knows what runs";
  EXPECT_EQ(Make("ke-2", "ke", rest).error().reason, "QUOTA_EXCEEDED")
      << "keys and projects as before: ke has a project";
  ASSERT_TRUE(store().RevokeApiKey("ke-1", "p0", NumberedKid('q', 1), clock_.Now()));
  EXPECT_TRUE(SetQuota("ke-1", {.instances = 4, .api_keys = 4, .projects = 5}, Setter::kFromAbove))
      << "what is not in use is given back";
}

TEST_P(TenancyStoreTree, WhatAChildsChildrenHaveIsInUseToo) {
  ASSERT_TRUE(SetQuota("ke", {.projects = 6}));
  ASSERT_TRUE(Make("ke-1", "ke", {.projects = 4}));
  ASSERT_TRUE(store().CreateProject({"ke-1", "p", "P", clock_.Now()}, {}));
  ASSERT_TRUE(Make("ke-1-a", "ke-1", {.projects = 2}));
  const auto lowered = SetQuota("ke-1", {.projects = 2}, Setter::kFromAbove);
  ASSERT_FALSE(lowered);
  EXPECT_EQ(lowered.error().reason, "QUOTA_IN_USE");
  EXPECT_THAT(lowered.error().message, HasSubstr("uses 1 itself, and those below it have 2; give at least 3"));
  EXPECT_TRUE(SetQuota("ke-1", {.projects = 3}, Setter::kFromAbove));
}

TEST_P(TenancyStoreTree, WhereTheParentHasNoQuotaAChildsIsLoweredByWhoeverSetsIt) {
  ASSERT_TRUE(Make("ke-1", "ke", {.instances = 5, .projects = 5}));
  ASSERT_TRUE(store().CreateProject({"ke-1", "p", "P", clock_.Now()}, {}));
  ASSERT_TRUE(store().CreateProject({"ke-1", "q", "Q", clock_.Now()}, {}));
  EXPECT_TRUE(SetQuota("ke-1", {.instances = 1, .projects = 1}, Setter::kFromAbove)) << "nothing is given back";
}

TEST_P(TenancyStoreTree, AProjectThatIsMadeWhileItsPlaceIsGivenBackIsMadeOrThePlaceStays) {
  ASSERT_TRUE(SetQuota("ke", {.projects = 100}));
  for (int round = 0; round < 8; ++round) {
    const std::string child = "ke-r" + std::to_string(round);
    ASSERT_TRUE(Make(child, "ke", {.projects = 2}));
    ASSERT_TRUE(store().CreateProject({child, "p", "P", clock_.Now()}, {}));
    AtOnce({[&] {
              (void)store().CreateProject({child, "q", "Q", clock_.Now()}, {});
            },
            [&] { (void)SetQuota(child, {.projects = 1}, Setter::kFromAbove); }});
    EXPECT_LE(store().ReadQuotas(child, "", clock_.Now())->projects, store().GetTenant(child)->quota.projects);
  }
}

TEST_P(TenancyStoreTree, OfTwoThatWouldTakeTheSameQuotaOneGetsIt) {
  for (int round = 0; round < 5; ++round) {
    const std::string parent = "ke-r" + std::to_string(round);
    ASSERT_TRUE(Make(parent, "ke", {.replicas = 5}));
    std::atomic<int> made = 0;
    const auto make = [&](const std::string& id) {
      const auto answer = Make(id, parent, {.replicas = 3});
      made += answer ? 1 : 0;
      EXPECT_EQ(answer ? "" : answer.error().reason, answer ? "" : "QUOTA_EXCEEDED");
    };
    AtOnce({[&] { make(parent + "-a"); }, [&] { make(parent + "-b"); }});
    EXPECT_EQ(made, 1);
    EXPECT_EQ(store().GetTenant(parent)->quota_below.replicas, 3);
  }
}

TEST_P(TenancyStoreTree, WhatIsMadeWhileItsParentIsSuspendedIsSuspendedToo) {
  for (int round = 0; round < 5; ++round) {
    const std::string parent = "ke-r" + std::to_string(round);
    ASSERT_TRUE(Make(parent, "ke"));
    AtOnce({[&] { EXPECT_TRUE(store().SetTenantState(parent, TenantState::kSuspended, "", {})); },
            [&] { EXPECT_TRUE(Make(parent + "-a", parent)); }, [&] { EXPECT_TRUE(Make(parent + "-b", parent)); }});
    EXPECT_EQ(store().GetTenant(parent + "-a")->suspended_by, parent);
    EXPECT_EQ(store().GetTenant(parent + "-b")->suspended_by, parent);
    EXPECT_EQ(KeysOf(parent + "-a").standing, KeysStanding::kSuspended);
  }
}

TEST_P(TenancyStoreTree, ASuspensionHoldsForAllBelowAndTheirStatesComeBack) {
  ASSERT_TRUE(Make("ke-a", "ke"));
  ASSERT_TRUE(Make("ke-a-x", "ke-a"));
  ASSERT_TRUE(Make("ke-b", "ke"));
  ASSERT_TRUE(store().SetTenantState("ke-b", TenantState::kSuspended, "by itself", {}));
  const std::int64_t before = KeysOf("ke-b").version;
  const auto change = store().SetTenantState("ke", TenantState::kSuspended, "", {});
  ASSERT_TRUE(change) << change.error().message;
  for (const char* id : {"ke", "ke-a", "ke-a-x", "ke-b"}) {
    EXPECT_EQ(KeysOf(id).standing, KeysStanding::kSuspended) << id;
    EXPECT_GT(KeysOf(id).version, before) << id;
    EXPECT_LE(KeysOf(id).version, change->keys_version) << "who waits for this waits for all: " << id;
    EXPECT_LE(store().GetTenant(id)->version, change->tenants_version) << id;
  }
  EXPECT_EQ(store().GetTenant("ke-a-x")->suspended_by, "ke");
  ASSERT_TRUE(store().SetTenantState("ke", TenantState::kActive, "", {}));
  EXPECT_EQ(KeysOf("ke-a").standing, KeysStanding::kInForce);
  EXPECT_EQ(KeysOf("ke-a-x").standing, KeysStanding::kInForce);
  EXPECT_NE(KeysOf("ke-b").standing, KeysStanding::kInForce);
  EXPECT_EQ(store().GetTenant("ke-b")->suspend_reason, "by itself");
}

TEST_P(TenancyStoreTree, AnOperatorsOwnSuspensionHoldsBelowToo) {
  ASSERT_TRUE(Make("ke-a", "ke"));
  backend_->Suspend("ke");
  EXPECT_EQ(store().GetTenant("ke-a")->suspended_by, "ke");
  EXPECT_NE(KeysOf("ke-a").standing, KeysStanding::kInForce);
}

TEST_P(TenancyStoreTree, ChangesOfManyLevelsAtOnceBlockNobody) {
  ASSERT_TRUE(Make("ke-a", "ke"));
  ASSERT_TRUE(Make("ke-a-x", "ke-a"));
  ASSERT_TRUE(store().CreateProject({"ke-a-x", "desk", "D", clock_.Now()}, {}));
  const auto often = [](const std::function<void(int)>& work) {
    return [work] {
      for (int i = 0; i < 20; ++i) work(i);
    };
  };
  const auto toggle = [&](const char* id) {
    return often([this, id](int i) {
      const auto state = i % 2 == 0 ? TenantState::kSuspended : TenantState::kActive;
      EXPECT_TRUE(store().SetTenantState(id, state, "", {}));
    });
  };
  AtOnce({toggle("ke"), toggle("ke-a"), often([&](int i) {
            ApiKey key = Key(NumberedKid('q', i + 1));
            key.tenant = "ke-a-x";
            EXPECT_TRUE(store().CreateApiKey(key, {}));
          }),
          often([&](int i) { EXPECT_TRUE(Make("ke-a-n" + std::to_string(i), "ke-a")); })});
  EXPECT_TRUE(IsInForce(*store().GetTenant("ke-a-x")));
}

INSTANTIATE_TEST_SUITE_P(Stores, TenancyStoreTree, EveryStore(), StoreName);

// What gateways hear of identities, and that the database keeps a place for good.
TEST(TenancyTreeInPostgres, IdentitiesOfAllBelowChangeWithASuspension) {
  PgBackend backend;
  FakeClock clock;
  PgIdentityStore identities(backend.pool());
  Tenant ke{"ke", "ke", "KES", {"ke"}, TenantState::kActive, clock.Now()};
  Tenant child{"ke-a", "ke-a", "KES", {"ke"}, TenantState::kActive, clock.Now()};
  child.parent = "ke";
  ASSERT_TRUE(backend.store().CreateTenant(ke, {}));
  ASSERT_TRUE(backend.store().CreateTenant(child, {}));
  const auto change = backend.store().SetTenantState("ke", TenantState::kSuspended, "", {});
  ASSERT_TRUE(change) << change.error().message;
  const auto versions = identities.IdentityVersions(0, 10).value();
  ASSERT_EQ(versions.size(), 2U);
  for (const auto& version : versions) {
    EXPECT_FALSE(version.active) << version.tenant;
    EXPECT_LE(version.version, change->identity_version);
  }
  pqxx::connection owner(backend.database().owner_url);
  pqxx::work work(owner);
  EXPECT_THROW(work.exec0("UPDATE tenancy.tenants SET parent = NULL, ancestors = '{}' WHERE id = 'ke-a'"),
               pqxx::sql_error);
}

// The parent's rows are read for its child, and for nobody else.
TEST(TenancyTreeInPostgres, NobodyElseReadsWhatATenantHasItself) {
  PgBackend backend;
  FakeClock clock;
  Tenant ke{"ke", "ke", "KES", {"ke"}, TenantState::kActive, clock.Now()};
  ASSERT_TRUE(backend.store().CreateTenant(ke, {}));
  ASSERT_TRUE(backend.store().CreateProject({"ke", "p", "P", clock.Now()}, {}));
  Tenant child{"ke-a", "ke-a", "KES", {"ke"}, TenantState::kActive, clock.Now()};
  child.parent = "ke";
  ASSERT_TRUE(backend.store().CreateTenant(child, {}));
  const auto ask = [&](const Tenant& as) {
    return backend.pool().Run<int>(as.uid(), [&](TenantTx& tx) -> Result<int> {
      const int projects = tx.Exec("SELECT projects FROM tenancy.use_of_parent()")[0][0].as<int>();
      EXPECT_EQ(tx.Exec("SELECT count(*) FROM tenancy.projects")[0][0].as<int>(), 0) << "it is itself again";
      return projects;
    });
  };
  EXPECT_EQ(ask(child).value_or(-1), 1);
  EXPECT_FALSE(ask(ke)) << "one without a parent";
}

}  // namespace
}  // namespace allod::tenancy::tenancy_store_tree_test
