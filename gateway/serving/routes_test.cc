#include "gateway/serving/routes.h"

#include <gtest/gtest.h>

namespace allod::gateway::serving::routes_test {
namespace {

scheduling::v1::WatchRoutesResponse Table(const std::string& instance, std::initializer_list<const char*> targets) {
  scheduling::v1::WatchRoutesResponse out;
  auto& route = *out.add_routes();
  route.set_instance(instance);
  route.mutable_residency()->add_jurisdictions("ke");
  for (const char* target : targets) {
    route.add_targets(target);
    route.add_target_jurisdictions("ke");
  }
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

TEST(RouteTable, LeavesOutTargetsWhereTheTenantsDataMayNotBe) {
  RouteTable table;
  auto message = Table(kInstance, {"unix:/ke", "unix:/tz", "unix:/ug", "unix:/tz2", "unix:/unsaid"});
  auto& route = *message.mutable_routes(0);
  route.set_ready_target_count(3);
  route.set_target_jurisdictions(1, "tz");
  route.set_target_jurisdictions(2, "ug");
  route.set_target_jurisdictions(3, "tz");
  route.mutable_target_jurisdictions()->RemoveLast();
  const auto targets = [&] {
    table.Apply(message);
    std::vector<std::string> out;
    for (const auto& replica : table.Find(kInstance)->replicas) out.push_back(replica->target);
    return out;
  };
  using Targets = std::vector<std::string>;
  EXPECT_EQ(targets(), Targets{"unix:/ke"});
  EXPECT_EQ(table.Find(kInstance)->ready_count, 1U);
  route.mutable_residency()->add_jurisdictions("tz");
  EXPECT_EQ(targets(), (Targets{"unix:/ke", "unix:/tz", "unix:/tz2"}));
  EXPECT_EQ(table.Find(kInstance)->ready_count, 2U) << "one of those in front is left out";
  EXPECT_EQ(table.Find(kInstance)->made_in.size(), 3U);
  auto& rule = *route.mutable_residency()->add_rules();
  rule.set_data_class(residency::v1::DATA_CLASS_PROMPTS);
  rule.add_jurisdictions("tz");
  EXPECT_EQ(targets(), (Targets{"unix:/tz", "unix:/tz2"}));
  rule.set_data_class(residency::v1::DATA_CLASS_KV_CACHE);
  EXPECT_EQ(targets(), (Targets{"unix:/tz", "unix:/tz2"}));
  rule.set_data_class(residency::v1::DATA_CLASS_USAGE);
  EXPECT_EQ(targets(), (Targets{"unix:/ke", "unix:/tz", "unix:/tz2"})) << "usage is not there";
  rule.set_data_class(residency::v1::DATA_CLASS_UNSPECIFIED);
  EXPECT_EQ(targets(), Targets()) << "a rule that is not understood";
  route.clear_residency();
  EXPECT_EQ(targets(), Targets()) << "nothing is said";
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

// A message of a stream that sends changes.
scheduling::v1::WatchRoutesResponse Change(std::int64_t version, std::initializer_list<const char*> routed,
                                           std::initializer_list<const char*> removed = {}, bool synced = true) {
  scheduling::v1::WatchRoutesResponse out;
  for (const char* id : routed) {
    auto& route = *out.add_routes();
    route.set_instance(std::string("tenants/ke/projects/p/instances/") + id);
    route.add_targets(std::string("unix:/") + id);
    route.add_target_jurisdictions("ke");
    route.mutable_residency()->add_jurisdictions("ke");
  }
  for (const char* id : removed) out.add_removed_instances(std::string("tenants/ke/projects/p/instances/") + id);
  out.set_version(version);
  out.set_synced(synced);
  return out;
}

std::vector<std::string> Ids(const RouteTable& table) {
  std::vector<std::string> out;
  for (const auto& route : table.List("tenants/ke/projects/p")) {
    out.push_back(route->instance.substr(route->instance.rfind('/') + 1));
  }
  return out;
}

using Strings = std::vector<std::string>;

TEST(RouteTable, ASnapshotInPartsReplacesWhatWasKnownWhenItIsComplete) {
  RouteTable table;
  table.BeginSnapshot();
  table.Apply(Change(1, {"a", "b"}, {}, false));
  EXPECT_FALSE(table.synced());
  table.Apply(Change(1, {"c"}));
  EXPECT_TRUE(table.synced() && table.current());
  EXPECT_EQ(Ids(table), (Strings{"a", "b", "c"}));
  table.EndStream();
  EXPECT_TRUE(table.synced());
  EXPECT_FALSE(table.current()) << "there may be instances that are not known here";
  table.BeginSnapshot();
  table.Apply(Change(1, {"d"}, {}, false));
  EXPECT_EQ(Ids(table), (Strings{"a", "b", "c"})) << "the last table stands";
  table.Apply(Change(1, {"a"}));
  EXPECT_EQ(Ids(table), (Strings{"a", "d"}));
}

TEST(RouteTable, AChangeLeavesTheOtherRoutesAsTheyAre) {
  RouteTable table;
  table.BeginSnapshot();
  table.Apply(Change(1, {"a", "b", "c"}));
  const auto a = table.Find("tenants/ke/projects/p/instances/a");
  int woken = 0;
  table.OnNextChange([&] { ++woken; });
  table.Apply(Change(2, {"d"}, {"b"}));
  EXPECT_EQ(Ids(table), (Strings{"a", "c", "d"}));
  EXPECT_EQ(table.Find("tenants/ke/projects/p/instances/a"), a) << "not even made anew";
  EXPECT_EQ(woken, 1);
  table.Apply(Change(3, {}));
  EXPECT_EQ(Ids(table), (Strings{"a", "c", "d"}));
}

TEST(RouteTable, AReplicaIsTheSameWhileSomebodyRoutesToItOrUsesIt) {
  RouteTable table;
  table.BeginSnapshot();
  table.Apply(Change(1, {"a", "b"}));
  const std::string name = "tenants/ke/projects/p/instances/a";
  const Replica* first = table.Find(name)->replicas[0].get();
  table.Apply(Change(2, {"a"}));
  EXPECT_EQ(table.Find(name)->replicas[0].get(), first);
  const auto running = table.Find(name);
  table.Apply(Change(3, {}, {"a"}));
  table.Apply(Change(4, {"a"}));
  EXPECT_EQ(table.Find(name)->replicas[0].get(), first) << "a request still uses it";
  for (int i = 0; i < 300; ++i) {
    const std::string id = "i" + std::to_string(i);
    table.Apply(Change(5 + 2 * i, {id.c_str()}));
    table.Apply(Change(6 + 2 * i, {}, {id.c_str()}));
  }
  EXPECT_LE(table.targets_remembered(), 130U) << "targets that nobody routes to are forgotten";
}

TEST(RouteTable, AStoppedInstanceIsNotRoutedToAndEndsWhatRuns) {
  RouteTable table;
  table.BeginSnapshot();
  auto message = Table(kInstance, {"unix:/a"});
  message.set_synced(true);
  message.set_version(1);
  table.Apply(message);
  int ended = 0;
  const auto count = [&] { ++ended; };
  table.OnStopped(kInstance, count);
  table.OnStopped("tenants/ke/projects/p/instances/other", [] { ADD_FAILURE(); });
  const auto left = table.OnStopped(kInstance, [] { ADD_FAILURE() << "it was over before"; });
  table.Forget(left);
  message.mutable_routes(0)->set_stopped(true);
  message.mutable_routes(0)->clear_targets();
  message.set_version(2);
  table.Apply(message);
  EXPECT_EQ(ended, 1);
  EXPECT_TRUE(table.IsStopped(kInstance));
  EXPECT_EQ(table.Find(kInstance), nullptr);
  EXPECT_TRUE(table.List("tenants/ke/projects/p").empty());
  table.OnStopped(kInstance, count);
  EXPECT_EQ(ended, 2) << "it is stopped already";
  EXPECT_FALSE(table.IsStopped("tenants/ke/projects/p/instances/none"));

  message.mutable_routes(0)->set_stopped(false);
  message.set_version(3);
  table.Apply(message);
  EXPECT_NE(table.Find(kInstance), nullptr);
  table.OnStopped(kInstance, count);
  // A new stream, whose snapshot says so in the first of two parts.
  table.BeginSnapshot();
  message.mutable_routes(0)->set_stopped(true);
  message.set_synced(false);
  table.Apply(message);
  EXPECT_EQ(ended, 2) << "it is not complete";
  scheduling::v1::WatchRoutesResponse rest;
  rest.set_synced(true);
  rest.set_version(4);
  table.Apply(rest);
  EXPECT_EQ(ended, 3);
}

}  // namespace
}  // namespace allod::gateway::serving::routes_test
