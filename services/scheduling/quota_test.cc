#include "services/scheduling/quota.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace allod::scheduling::quota_test {
namespace {

using testing::HasSubstr;

constexpr char kName[] = "tenants/ke/projects/p/instances/a";

Revision Of(int replicas) {
  Revision out;
  out.spec.replicas = replicas;
  out.spec.context_tokens = 1000;
  out.spec.max_concurrency = 4;
  out.demand = {.own = {100, 20}, .shared_key = "w", .weights_bytes = 50};
  return out;
}

TEST(InstanceQuota, CountsWhatAllReplicasCanHold) {
  EXPECT_EQ(TotalsOf(Of(3)), (InstanceTotals{1, 3, 12'000, 450}));
  Revision huge = Of(16);
  huge.demand.own.memory_bytes = std::int64_t{1} << 60;
  EXPECT_GT((TotalsOf(huge) + TotalsOf(huge)).memory_bytes, std::int64_t{1} << 62) << "it does not overflow";
}

TEST(InstanceQuota, RefusesWhatIsBeyondTheTenantsOrTheProjects) {
  const QuotaScopes others{.in_tenant = {2, 4, 16'000, 600}, .in_project = {1, 1, 4000, 150}};
  const auto check = [&](const QuotaScopes& limits) { return CheckQuotas(kName, limits, others, nullptr, Of(2)); };
  EXPECT_TRUE(check({}));
  EXPECT_TRUE(check({.in_tenant = {3, 6, 24'000, 900}, .in_project = {2, 3, 12'000, 450}}));
  for (const InstanceTotals& limit : {InstanceTotals{2, 0, 0, 0}, {0, 5, 0, 0}, {0, 0, 23'999, 0}, {0, 0, 0, 899}}) {
    const Status refused = check({.in_tenant = limit});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, "QUOTA_EXCEEDED");
    EXPECT_THAT(refused.error().message, HasSubstr("tenants/ke may have"));
    EXPECT_THAT(refused.error().message, HasSubstr("an operator"));
  }
  const Status refused = check({.in_project = {0, 2, 0, 0}});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("tenants/ke/projects/p may have 2 replicas (quota.replicas)"));
}

TEST(InstanceQuota, WhatIsOverALoweredQuotaMayShrink) {
  const QuotaScopes limits{.in_tenant = {1, 2, 0, 0}};
  const QuotaScopes others{.in_tenant = {5, 10, 0, 0}};
  const Revision standing = Of(4);
  EXPECT_TRUE(CheckQuotas(kName, limits, others, &standing, Of(3)));
  EXPECT_TRUE(CheckQuotas(kName, limits, others, &standing, Of(4)));
  EXPECT_FALSE(CheckQuotas(kName, limits, others, &standing, Of(5)));
  EXPECT_FALSE(CheckQuotas(kName, limits, others, nullptr, Of(1)));
}

TEST(InstanceQuota, ThePlatformsOwnBoundHoldsWithoutOne) {
  const QuotaScopes others{.in_tenant = {kInstancesPerTenantMax, 0, 0, 0}};
  const Status refused = CheckQuotas(kName, {}, others, nullptr, Of(1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "TOO_MANY_INSTANCES");
}

}  // namespace
}  // namespace allod::scheduling::quota_test
