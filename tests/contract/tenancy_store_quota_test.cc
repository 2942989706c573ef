// What services/tenancy/store.h promises of quotas and limits.
#include <gmock/gmock.h>

#include <algorithm>
#include <thread>

#include "tests/contract/tenancy_store_harness.h"

namespace allod::tenancy::tenancy_store_quota_test {
namespace {

using testing::HasSubstr;

class TenancyStoreQuota : public TenancyStore {
 protected:
  void SetQuota(const Quota& quota) {
    Tenant wanted = *store().GetTenant("ke");
    wanted.quota = quota;
    const auto set = store().UpdateTenant(wanted, EtagOf(wanted), {});
    ASSERT_TRUE(set) << set.error().message;
  }
  Result<Project> SetProjectQuota(const Quota& quota) {
    Project wanted = *store().GetProject("ke", "desk");
    wanted.quota = quota;
    return store().UpdateProject(wanted, EtagOf(wanted), {});
  }
  Result<Project> Make(const std::string& id) { return store().CreateProject({"ke", id, "P", clock_.Now()}, {}); }
};

TEST_P(TenancyStoreQuota, GivesBackQuotasAsTheyWereSetAndTheyAreChangesOfTheirTenant) {
  const Tenant before = *store().GetTenant("ke");
  SetQuota({1, 2, 3, 4, 5, 6});
  const Tenant after = *store().GetTenant("ke");
  EXPECT_EQ(after.quota, (Quota{1, 2, 3, 4, 5, 6}));
  EXPECT_GT(after.version, before.version);
  EXPECT_EQ(store().UpdateTenant(after, EtagOf(before), {}).error().reason, "ETAG_MISMATCH");
  EXPECT_EQ(store().GetTenant("ug")->quota, Quota());
  const auto project = SetProjectQuota({1, 1, 2, 3, 4, 0});
  ASSERT_TRUE(project) << project.error().message;
  EXPECT_EQ(store().GetProject("ke", "desk")->quota, (Quota{1, 1, 2, 3, 4, 0}));
}

TEST_P(TenancyStoreQuota, AProjectIsChangedByWhoKnowsItAsItIs) {
  const Project before = *store().GetProject("ke", "desk");
  Project wanted = before;
  wanted.display_name = "Front desk";
  const Uuid id = Uuid::V7();
  EXPECT_EQ(store().UpdateProject(wanted, "", {}).error().reason, "ETAG_REQUIRED");
  const auto changed = store().UpdateProject(wanted, EtagOf(before), Request("u", id));
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(changed->display_name, "Front desk");
  EXPECT_EQ(changed->create_time, before.create_time);
  EXPECT_TRUE(store().UpdateProject(wanted, EtagOf(before), Request("u", id))) << "a retry";
  EXPECT_EQ(store().UpdateProject(wanted, EtagOf(before), {}).error().reason, "ETAG_MISMATCH");
  EXPECT_EQ(EtagOf(*store().UpdateProject(wanted, EtagOf(*changed), {})), EtagOf(*changed)) << "equal content";
  wanted.id = "none";
  EXPECT_EQ(store().UpdateProject(wanted, "x", {}).error().code, Code::kNotFound);
}

TEST_P(TenancyStoreQuota, AProjectsIsWithinItsTenants) {
  SetQuota({.replicas = 10});
  EXPECT_TRUE(SetProjectQuota({.replicas = 10}));
  const auto beyond = SetProjectQuota({.replicas = 11});
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().reason, "INVALID_QUOTA");
  EXPECT_THAT(beyond.error().message, HasSubstr("could never be reached"));
  EXPECT_EQ(SetProjectQuota({.projects = 1}).error().reason, "INVALID_QUOTA");
  EXPECT_EQ(store().CreateProject({"ke", "q", "Q", clock_.Now(), {.replicas = 11}}, {}).error().reason,
            "INVALID_QUOTA");
  // The tenant's is lowered: what stands there may stay, and the project may still be changed otherwise.
  SetQuota({.replicas = 5});
  Project renamed = *store().GetProject("ke", "desk");
  renamed.display_name = "Renamed";
  EXPECT_TRUE(store().UpdateProject(renamed, EtagOf(renamed), {}));
}

TEST_P(TenancyStoreQuota, NoProjectIsMadeBeyondItAndThoseThereAreGoOn) {
  SetQuota({.projects = 2});
  EXPECT_TRUE(Make("second"));
  const auto refused = Make("third");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_EQ(refused.error().reason, "QUOTA_EXCEEDED");
  EXPECT_THAT(refused.error().message, HasSubstr("tenants/ke may have 2 projects (quota.projects) and has 2"));
  EXPECT_THAT(refused.error().message, HasSubstr("an operator"));
  SetQuota({.projects = 1});
  EXPECT_TRUE(Make("second")) << "what is there is not one more";
  EXPECT_TRUE(store().GetProject("ke", "second"));
  EXPECT_FALSE(Make("third"));
  const QuotaState state = *store().ReadQuotas("ke", "", clock_.Now());
  EXPECT_EQ(state.projects, 2);
  EXPECT_EQ(state.of_tenant.projects, 1);
}

TEST_P(TenancyStoreQuota, KeysOfTheProjectAndOfTheTenantCount) {
  SetQuota({.api_keys = 3});
  ASSERT_TRUE(SetProjectQuota({.api_keys = 2}));
  ASSERT_TRUE(Make("health"));
  EXPECT_TRUE(store().CreateApiKey(Key(NumberedKid('a', 1)), {}));
  EXPECT_TRUE(store().CreateApiKey(Key(NumberedKid('a', 2)), {}));
  const auto of_project = store().CreateApiKey(Key(NumberedKid('a', 3)), {});
  ASSERT_FALSE(of_project);
  EXPECT_EQ(of_project.error().reason, "QUOTA_EXCEEDED");
  EXPECT_THAT(of_project.error().message, HasSubstr("tenants/ke/projects/desk may have 2 API keys"));
  ApiKey other = Key(NumberedKid('a', 4));
  other.project = "health";
  EXPECT_TRUE(store().CreateApiKey(other, {}));
  other.kid = NumberedKid('a', 5);
  EXPECT_THAT(store().CreateApiKey(other, {}).error().message, HasSubstr("tenants/ke may have 3 API keys"));
  // One that takes another's place at once is not one more, also when there are too many.
  SetQuota({.api_keys = 1});
  EXPECT_TRUE(store().RotateApiKey(Rotation(NumberedKid('a', 1), NumberedKid('b', 1), {}), {}));
  EXPECT_EQ(store()
                .RotateApiKey(Rotation(NumberedKid('b', 1), NumberedKid('b', 2), std::chrono::hours(1)), {})
                .error()
                .reason,
            "QUOTA_EXCEEDED");
  ASSERT_TRUE(store().RevokeApiKey("ke", "desk", NumberedKid('b', 1), clock_.Now()));
  const QuotaState state = *store().ReadQuotas("ke", "desk", clock_.Now());
  EXPECT_EQ(state.keys_in_tenant, 2);
  EXPECT_EQ(state.keys_in_project, 1);
  EXPECT_EQ(state.of_project.api_keys, 2);
  EXPECT_EQ(store().ReadQuotas("ke", "none", clock_.Now()).error().code, Code::kNotFound);
  EXPECT_EQ(store().ReadQuotas("xx", "", clock_.Now()).error().code, Code::kNotFound);
}

TEST_P(TenancyStoreQuota, ConcurrentCreationsNeverExceedThem) {
  SetQuota({.api_keys = 7, .projects = 4});
  constexpr int kThreads = 8;
  constexpr int kEach = 5;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kEach; ++i) {
        (void)Make("p" + std::to_string(thread) + "-" + std::to_string(i));
        (void)store().CreateApiKey(Key(NumberedKid(static_cast<char>('a' + thread), i + 1)), {});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const QuotaState state = *store().ReadQuotas("ke", "desk", clock_.Now());
  EXPECT_EQ(state.projects, 4);
  EXPECT_EQ(state.keys_in_tenant, 7);
}

TEST_P(TenancyStoreQuota, LimitsAreGivenBackAsTheyWereSetAndHaveAVersionOfTheKeys) {
  EXPECT_EQ(store().LimitsVersion("ke"), 0);
  EXPECT_EQ(store().LimitsVersion("xx").error().code, Code::kNotFound);
  Tenant tenant = *store().GetTenant("ke");
  tenant.limits = {100, 2000, 30, true};
  ASSERT_TRUE(store().UpdateTenant(tenant, EtagOf(tenant), {}));
  EXPECT_EQ(store().GetTenant("ke")->limits, tenant.limits);
  const std::int64_t first = *store().LimitsVersion("ke");
  EXPECT_GT(first, 0);
  EXPECT_EQ(KeysVersion("ke"), first) << "who follows keys is told";
  Project project = *store().GetProject("ke", "desk");
  project.limits = {.concurrency = 5};
  project.instance_limits = {{"a", {1, 2, 3, false}}, {"b", {.requests_per_minute = 9, .shadow = true}}};
  ASSERT_TRUE(store().UpdateProject(project, EtagOf(project), {}));
  EXPECT_TRUE(SameLimits(*store().GetProject("ke", "desk"), project));
  const std::int64_t second = *store().LimitsVersion("ke");
  EXPECT_GT(second, first);
  ASSERT_TRUE(Make("plain"));
  const TenantLimits all = *store().LimitsOf("ke");
  EXPECT_EQ(all.limits, tenant.limits);
  ASSERT_EQ(all.projects.size(), 1u) << "those that have any";
  EXPECT_EQ(all.projects[0].project, "desk");
  EXPECT_EQ(all.projects[0].limits, project.limits);
  EXPECT_EQ(all.projects[0].instances, project.instance_limits);
  Project renamed = *store().GetProject("ke", "desk");
  renamed.display_name = "Other";
  ASSERT_TRUE(store().UpdateProject(renamed, EtagOf(renamed), {}));
  EXPECT_EQ(store().LimitsVersion("ke"), second) << "no change of limits";
  EXPECT_EQ(store().LimitsVersion("ug"), 0);
}

TEST_P(TenancyStoreQuota, WhatIsMadeWithLimitsIsToldToo) {
  Tenant rwanda{"rw", "Rwanda", "RWF", {"rw"}, TenantState::kActive, clock_.Now()};
  rwanda.limits = {.concurrency = 7};
  ASSERT_TRUE(store().CreateTenant(rwanda, {}));
  const std::int64_t first = *store().LimitsVersion("rw");
  EXPECT_GT(first, 0);
  Project project{"rw", "p", "P", clock_.Now()};
  project.limits = {.concurrency = 8};
  EXPECT_EQ(store().CreateProject(project, {}).error().reason, "INVALID_LIMITS");
  project.limits = {.concurrency = 6};
  ASSERT_TRUE(store().CreateProject(project, {}));
  EXPECT_GT(*store().LimitsVersion("rw"), first);
  EXPECT_TRUE(SameLimits(*store().GetProject("rw", "p"), project));
}

TEST_P(TenancyStoreQuota, AKeysLimitsLieWithinThoseOutside) {
  Project project = *store().GetProject("ke", "desk");
  project.limits = {.requests_per_minute = 50};
  ASSERT_TRUE(store().UpdateProject(project, EtagOf(project), {}));
  ApiKey key = Key(kKid);
  key.limits = {50, 1000, 0, false};
  ASSERT_TRUE(store().CreateApiKey(key, {}));
  EXPECT_EQ(Stored(kKid).limits, key.limits);
  ApiKey wide = Key(kOtherKid);
  wide.limits = {.requests_per_minute = 51};
  EXPECT_EQ(store().CreateApiKey(wide, {}).error().reason, "INVALID_LIMITS");
  ASSERT_TRUE(store().RotateApiKey(Rotation(kKid, kOtherKid, {}), {}));
  EXPECT_EQ(Stored(kOtherKid).limits, key.limits) << "its successor has the same";
}

INSTANTIATE_TEST_SUITE_P(Every, TenancyStoreQuota, EveryStore(), StoreName);

}  // namespace
}  // namespace allod::tenancy::tenancy_store_quota_test
