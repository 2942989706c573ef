// What scheduling makes of what tenancy says of tenants.
#include "services/scheduling/tenant_watch.h"

#include <gtest/gtest.h>

namespace allod::scheduling::tenant_watch_test {
namespace {

class TenantTableTest : public testing::Test {
 protected:
  static tenancy::v1::Tenant Tenant(const std::string& name) {
    tenancy::v1::Tenant out;
    out.set_name(name);
    out.set_state(tenancy::v1::Tenant::STATE_ACTIVE);
    out.set_weight(7);
    out.add_residency("ke");
    return out;
  }
  // As the reconciler hears it; nobody puts it in force here.
  std::map<TenantId, TenantTerms> Told(const std::vector<tenancy::v1::Tenant>& tenants) {
    tenancy::v1::WatchTenantsResponse message;
    for (const auto& tenant : tenants) *message.add_tenants() = tenant;
    message.set_synced(true);
    table_.Apply(message);
    return inbox_.Take().terms;
  }

  ChangeSignal news_;
  TermsInbox inbox_{news_};
  Broadcast<RouteTable> routes_;
  Watchers gateways_{"gateways", 8};
  TenantTable table_{inbox_, routes_, gateways_};
};

TEST_F(TenantTableTest, WhatIsNotUnderstoodRunsNowhere) {
  const TenantId ke = *TenantId::FromName("tenants/ke");
  const TenantTerms before = Told({Tenant("tenants/ke")}).at(ke);
  EXPECT_TRUE(before.active);
  EXPECT_EQ(before.residency.jurisdictions, Jurisdictions{"ke"});
  auto of_the_future = Tenant("tenants/ke");
  of_the_future.add_residency_rules()->set_data_class(static_cast<residency::v1::DataClass>(99));
  auto weightless = Tenant("tenants/ke");
  weightless.set_weight(0);
  for (const auto& odd : {of_the_future, weightless}) {
    const auto told = Told({odd, Tenant("no name"), Tenant("tenants/ug")});
    ASSERT_EQ(told.size(), 2U) << "the others are told of, and what has no name is nobody";
    const TenantTerms& closed = told.at(ke);
    EXPECT_FALSE(closed.active);
    EXPECT_TRUE(closed.residency.jurisdictions.empty());
    EXPECT_TRUE(closed.residency.of_class.empty());
    EXPECT_FALSE(closed.purge) << "nothing is removed for it";
    EXPECT_GE(closed.weight, 1);
  }
  weightless.set_state(tenancy::v1::Tenant::STATE_DELETED);
  EXPECT_TRUE(Told({weightless}).at(ke).purge);
  EXPECT_TRUE(Told({Tenant("tenants/ke")}).at(ke).active) << "and it comes back";
}

}  // namespace
}  // namespace allod::scheduling::tenant_watch_test
