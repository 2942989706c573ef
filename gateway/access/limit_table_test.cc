#include "gateway/access/limit_table.h"

#include <gtest/gtest.h>

namespace allod::gateway::access::limit_table_test {
namespace {

using Message = tenancy::v1::WatchApiKeysResponse;

void Add(Message& message, const std::string& tenant, std::int64_t requests) {
  auto& limits = *message.add_tenant_limits();
  limits.set_tenant(tenant);
  limits.mutable_limits()->set_requests_per_minute(requests);
}

Message Synced() {
  Message out;
  out.set_synced(true);
  return out;
}

TEST(LimitTable, ASnapshotTakesThePlaceOfWhatWasKnownWhenItIsComplete) {
  LimitTable table;
  table.BeginSnapshot();
  Message first;
  Add(first, "tenants/ke", 10);
  Add(first, "tenants/tz", 20);
  table.Apply(first);
  EXPECT_EQ(table.Of("tenants/ke"), nullptr);
  table.Apply(Synced());
  EXPECT_EQ(table.Of("tenants/ke")->tenant.requests_per_minute, 10);
  Message change;
  Add(change, "tenants/ke", 11);
  table.Apply(change);
  EXPECT_EQ(table.Of("tenants/ke")->tenant.requests_per_minute, 11) << "at once";
  table.BeginSnapshot();
  Message again;
  Add(again, "tenants/tz", 21);
  table.Apply(again);
  EXPECT_EQ(table.Of("tenants/ke")->tenant.requests_per_minute, 11) << "what is known stays until then";
  table.Apply(Synced());
  EXPECT_EQ(table.Of("tenants/ke"), nullptr);
  EXPECT_EQ(table.Of("tenants/tz")->tenant.requests_per_minute, 21);
}

TEST(LimitTable, SaysWhatIsBelowWhat) {
  LimitTable table;
  EXPECT_EQ(table.IsBelow("tenants/ke-a", "tenants/ke").error().code, Code::kUnavailable) << "it is not known yet";
  table.BeginSnapshot();
  Message message = Synced();
  Add(message, "tenants/ke-a-x", 0);
  message.mutable_tenant_limits(0)->add_above("tenants/ke");
  message.mutable_tenant_limits(0)->add_above("tenants/ke-a");
  table.Apply(message);
  EXPECT_TRUE(table.IsBelow("tenants/ke-a-x", "tenants/ke").value());
  EXPECT_TRUE(table.IsBelow("tenants/ke-a-x", "tenants/ke-a").value());
  EXPECT_FALSE(table.IsBelow("tenants/ke-a-x", "tenants/ke-a-x").value());
  EXPECT_FALSE(table.IsBelow("tenants/ke", "tenants/ke-a-x").value());
  EXPECT_FALSE(table.IsBelow("tenants/ke-b", "tenants/ke").value()) << "what nobody told of";
}

TEST(LimitTable, WhatMakesNoSenseIsTheTightestThereIs) {
  LimitTable table;
  Message message;
  Add(message, "tenants/ke", -5);
  table.Apply(message);
  EXPECT_EQ(table.Of("tenants/ke")->tenant.requests_per_minute, 1);
}

TEST(LimitTable, ATenantsLimitsAreReplacedWhole) {
  LimitTable table;
  Message message;
  auto& limits = *message.add_tenant_limits();
  limits.set_tenant("tenants/ke");
  auto& project = *limits.add_projects();
  project.set_project("tenants/ke/projects/p");
  project.mutable_limits()->set_concurrency(3);
  auto& model = *project.add_instances();
  model.set_instance("tenants/ke/projects/p/instances/a");
  model.mutable_limits()->set_tokens_per_minute(7);
  table.Apply(message);
  EXPECT_EQ(table.Of("tenants/ke")->projects.at("tenants/ke/projects/p").concurrency, 3);
  EXPECT_EQ(table.Of("tenants/ke")->instances.at("tenants/ke/projects/p/instances/a").tokens_per_minute, 7);
  Message less;
  Add(less, "tenants/ke", 1);
  table.Apply(less);
  EXPECT_TRUE(table.Of("tenants/ke")->projects.empty());
  EXPECT_TRUE(table.Of("tenants/ke")->instances.empty());
}

}  // namespace
}  // namespace allod::gateway::access::limit_table_test
