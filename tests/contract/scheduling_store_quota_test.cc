// What services/scheduling/store.h promises of quotas.
#include "tests/contract/scheduling_store_harness.h"

namespace allod::scheduling::scheduling_store_quota_test {
namespace {

class SchedulingStoreQuota : public SchedulingStoreTest {
 protected:
  Result<Operation> Make(const std::string& id, const QuotaScopes& quotas, int replicas = 1,
                         const std::string& project = "p") {
    NewInstance wanted = MakeInstance(id, "tenants/ke", project);
    wanted.revision.spec.replicas = replicas;
    wanted.quotas = quotas;
    return store().CreateInstance(wanted, {});
  }
  Result<Operation> Resize(const std::string& id, const QuotaScopes& quotas, int replicas) {
    const Instance standing = *store().GetInstance(ke_, "tenants/ke/projects/p/instances/" + id);
    InstanceChange change{ke_, Uuid::V7(), standing.name, EtagOf(standing), standing.current()};
    change.revision.spec.replicas = replicas;
    change.quotas = quotas;
    return store().UpdateInstance(change, {});
  }
};

TEST_P(SchedulingStoreQuota, AddsUpWhatTenantAndProjectHave) {
  ASSERT_TRUE(Make("a", {}, 2));
  ASSERT_TRUE(Make("b", {}, 3));
  ASSERT_TRUE(Make("c", {}, 4, "q"));
  (void)Created("a", "tenants/tz");
  const InstanceTotals each = TotalsOf(MakeRevision());
  const auto times = [&](std::int64_t instances, std::int64_t replicas) {
    return InstanceTotals{instances, replicas, replicas * each.context_tokens, replicas * each.memory_bytes};
  };
  EXPECT_EQ(*store().ReadUse(ke_, "", ""), (QuotaScopes{times(3, 9), {}}));
  EXPECT_EQ(*store().ReadUse(ke_, "tenants/ke/projects/p", ""), (QuotaScopes{times(3, 9), times(2, 5)}));
  EXPECT_EQ(*store().ReadUse(ke_, "tenants/ke/projects/p", "tenants/ke/projects/p/instances/a"),
            (QuotaScopes{times(2, 7), times(1, 3)}));
  // An update counts by what is wanted, and one that is being deleted until it is gone.
  ASSERT_TRUE(Resize("a", {}, 1));
  ASSERT_TRUE(store().DeleteInstance(ke_, "tenants/ke/projects/p/instances/b", Uuid::V7(), {}));
  EXPECT_EQ(*store().ReadUse(ke_, "", ""), (QuotaScopes{times(3, 8), {}}));
}

TEST_P(SchedulingStoreQuota, RefusesWhatIsBeyondAndChangesNothing) {
  const QuotaScopes quotas{.in_tenant = {3, 4, 0, 0}, .in_project = {2, 0, 0, 0}};
  ASSERT_TRUE(Make("a", quotas, 2));
  ASSERT_TRUE(Make("b", quotas));
  EXPECT_EQ(Make("c", quotas).error().reason, "QUOTA_EXCEEDED") << "a third in the project";
  EXPECT_EQ(Make("c", quotas, 2, "q").error().reason, "QUOTA_EXCEEDED") << "a fifth replica of the tenant";
  ASSERT_TRUE(Make("c", quotas, 1, "q"));
  EXPECT_EQ(Resize("a", quotas, 3).error().reason, "QUOTA_EXCEEDED");
  EXPECT_EQ(store().GetInstance(ke_, "tenants/ke/projects/p/instances/a")->generation, 1);
  EXPECT_TRUE(Make("a", quotas, 2)) << "what stands is not one more";
  const QuotaScopes lowered{.in_tenant = {1, 1, 0, 0}};
  EXPECT_TRUE(Resize("a", lowered, 1)) << "what is over it may shrink";
  EXPECT_FALSE(Resize("a", lowered, 2));
}

TEST_P(SchedulingStoreQuota, WhatWasNotJudgedIsMadeNever) {
  NewInstance wanted = MakeInstance("a");
  wanted.only_if_standing = true;
  EXPECT_EQ(store().CreateInstance(wanted, {}).error().reason, "INSTANCE_DELETED");
  EXPECT_EQ(store().GetInstance(ke_, wanted.name).error().code, Code::kNotFound);
}

TEST_P(SchedulingStoreQuota, ConcurrentCreationsNeverExceedThem) {
  const QuotaScopes quotas{.in_tenant = {0, 9, 0, 0}};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 4; ++i) (void)Make("i" + std::to_string(thread) + "-" + std::to_string(i), quotas, 2);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store().ReadUse(ke_, "", "")->in_tenant.replicas, 8);
  threads.clear();
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] { (void)Make("one" + std::to_string(thread), quotas); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store().ReadUse(ke_, "", "")->in_tenant.replicas, 9);
}

INSTANTIATE_TEST_SUITE_P(Every, SchedulingStoreQuota, EveryStore(), KindName);

}  // namespace
}  // namespace allod::scheduling::scheduling_store_quota_test
