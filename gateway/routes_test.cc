#include "gateway/routes.h"

#include <gtest/gtest.h>

namespace allod::gateway {
namespace {

scheduling::v1::WatchRoutesResponse Table(const std::string& instance, std::initializer_list<const char*> targets) {
  scheduling::v1::WatchRoutesResponse out;
  auto& route = *out.add_routes();
  route.set_instance(instance);
  for (const char* target : targets) route.add_targets(target);
  return out;
}

constexpr char kInstance[] = "tenants/ke/projects/p/instances/i";

TEST(RouteTable, PicksTheReplicaWithTheFewestOutstandingTokens) {
  RouteTable table;
  table.Apply(Table(kInstance, {"unix:/a", "unix:/b"}));
  const auto route = table.Find(kInstance);
  ASSERT_TRUE(route);
  route->replicas[0]->outstanding_tokens = 100;
  EXPECT_EQ(PickReplica(*route, {})->target, "unix:/b");
  const std::vector<std::string> failed{"unix:/b"};
  EXPECT_EQ(PickReplica(*route, failed)->target, "unix:/a");
  const std::vector<std::string> both{"unix:/b", "unix:/a"};
  EXPECT_EQ(PickReplica(*route, both), nullptr);
}

TEST(RouteTable, PrefersReadyReplicasToThoseThatStart) {
  RouteTable table;
  auto message = Table(kInstance, {"unix:/ready", "unix:/starting"});
  message.mutable_routes(0)->set_ready_target_count(1);
  message.mutable_routes(0)->set_isolation_class(scheduling::v1::ISOLATION_CLASS_POOLED);
  table.Apply(message);
  const auto route = table.Find(kInstance);
  EXPECT_EQ(route->isolation_class, "pooled");
  route->replicas[0]->outstanding_tokens = 100;
  EXPECT_EQ(PickReplica(*route, {})->target, "unix:/ready");
  const std::vector<std::string> failed{"unix:/ready"};
  EXPECT_EQ(PickReplica(*route, failed)->target, "unix:/starting");
}

TEST(RouteTable, ReplicaKeepsItsCountAcrossUpdates) {
  RouteTable table;
  table.Apply(Table(kInstance, {"unix:/a"}));
  const auto before = table.Find(kInstance)->replicas[0];
  table.Apply(Table(kInstance, {"unix:/b", "unix:/a"}));
  EXPECT_EQ(table.Find(kInstance)->replicas[1], before);
}

TEST(RouteTable, EachUpdateIsTheWholeTable) {
  RouteTable table;
  EXPECT_FALSE(table.synced());
  table.Apply(Table(kInstance, {}));
  EXPECT_TRUE(table.synced());
  table.Apply(Table("tenants/ke/projects/p/instances/j", {}));
  EXPECT_EQ(table.Find(kInstance), nullptr);
}

TEST(RouteTable, ListsOneProjectOnly) {
  RouteTable table;
  auto message = Table(kInstance, {});
  for (const char* other : {"tenants/ke/projects/p2/instances/x", "tenants/tz/projects/p/instances/y"}) {
    message.add_routes()->set_instance(other);
  }
  table.Apply(message);
  const auto listed = table.List("tenants/ke/projects/p");
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_EQ(listed[0]->instance, kInstance);
}

TEST(RouteTable, WaitersAreWokenOnceAndCanLeave) {
  RouteTable table;
  int first = 0;
  int second = 0;
  table.OnNextChange([&] { ++first; });
  table.Forget(table.OnNextChange([&] { ++second; }));
  table.Apply(Table(kInstance, {}));
  table.Apply(Table(kInstance, {}));
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 0);
}

}  // namespace
}  // namespace allod::gateway
