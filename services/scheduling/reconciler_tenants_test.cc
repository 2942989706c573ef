// What a tenant's life does to its instances: suspension, residency and weight as tenancy tells them.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "services/scheduling/testing/reconciler_fixture.h"

namespace allod::scheduling::reconciler_tenants_test {
namespace {

class ReconcilerTenantsTest : public ReconcilerTest {
 protected:
  // Every tenant's workers, node by node.
  std::size_t AllAssigned() {
    std::size_t count = 0;
    for (const auto& [node, session] : sessions_) count += Assigned(node).size();
    return count;
  }
  // Agents do what they are told, until nothing moves.
  void Settle() {
    for (int i = 0; i < 4; ++i) {
      Pass();
      for (const auto& [node, session] : sessions_) Ready(node);
    }
    Pass();
  }
  std::string ReasonOf(const std::string& id) { return Get(id).status.reason; }

  const TenantTerms active_{tenant_, true, 1, {{"ke"}}};
  const TenantTerms suspended_{tenant_, false, 1, {{"ke"}}};
};

TEST_F(ReconcilerTenantsTest, ASuspendedTenantRunsNothingAndKeepsEverything) {
  Join("n");
  Create("a");
  Create("b", 2);
  Settle();
  ASSERT_EQ(Assigned("n").size(), 3U);
  const Uuid id = Get("a").id;
  Tell(suspended_);
  Pass();
  EXPECT_EQ(Targets("a"), std::vector<std::string>{"stopped"});
  EXPECT_EQ(Targets("b"), std::vector<std::string>{"stopped"});
  EXPECT_TRUE(Assigned("n").empty()) << "the same pass tells the nodes";
  EXPECT_EQ(Get("a").status.state, InstanceState::kStopped);
  EXPECT_EQ(ReasonOf("a"), "TENANT_SUSPENDED");
  EXPECT_EQ(Get("a").status.message, "the tenant is suspended");
  EXPECT_EQ(Get("b").status.ready_replicas, 0);
  Settle();
  EXPECT_TRUE(Get("b").replicas.empty());
  EXPECT_TRUE(store_.ListNodes()->at(0).worker_count == 0) << "its room is free";

  Tell(active_);
  Settle();
  EXPECT_EQ(Get("a").id, id);
  EXPECT_EQ(Get("a").status.state, InstanceState::kReady);
  EXPECT_EQ(ReasonOf("a"), "");
  EXPECT_EQ(Targets("b").size(), 2U);
}

TEST_F(ReconcilerTenantsTest, WithoutCreditAnInstanceIsStoppedAndItsNeighbourIsNot) {
  Join("n");
  Create("a");
  Create("b");
  Settle();
  ASSERT_EQ(Assigned("n").size(), 2U);
  store_.SetStoppedForCredit(tenant_, Name("a"), true);
  reconciler_->Wake(tenant_, Name("a"));
  Settle();
  EXPECT_EQ(Targets("a"), std::vector<std::string>{"stopped"});
  EXPECT_EQ(Get("a").status.state, InstanceState::kStopped);
  EXPECT_EQ(ReasonOf("a"), "CREDIT_USED_UP");
  EXPECT_TRUE(Get("a").replicas.empty());
  EXPECT_EQ(Get("b").status.state, InstanceState::kReady);
  EXPECT_EQ(Targets("b").size(), 1U);
  // A restart does not forget it.
  Restart();
  sessions_.clear();
  Join("n");
  Settle();
  EXPECT_EQ(ReasonOf("a"), "CREDIT_USED_UP");
  store_.SetStoppedForCredit(tenant_, Name("a"), false);
  reconciler_->Wake(tenant_, Name("a"));
  Settle();
  EXPECT_EQ(Get("a").status.state, InstanceState::kReady);
  EXPECT_EQ(ReasonOf("a"), "");
  EXPECT_EQ(Targets("a").size(), 1U);
}

TEST_F(ReconcilerTenantsTest, OfATenantWhoseGraceIsOverNothingIsLeft) {
  const TenantTerms purged{tenant_, false, 1, {{"ke"}}, true};
  const TenantId other = *TenantId::FromName("tenants/ug");
  Join("n");
  Create("a");
  Create("b", 2);
  CreateFor(other, "tenants/ug", "a");
  Settle();
  ASSERT_EQ(Assigned("n").size(), 4U);
  Tell(purged);
  const auto rounds = [&](int count) {
    for (int i = 0; i < count; ++i) {
      Settle();
      clock_.Advance(seconds(1));
    }
  };
  Settle();
  Restart();  // in the middle of it, and tenancy has nothing new to say
  sessions_.clear();
  Join("n");
  rounds(8);
  EXPECT_EQ(store_.ListChanged("", std::nullopt, 10)->tenants.size(), 1U) << "the other's";
  EXPECT_TRUE(store_.ListOperations(tenant_, "", {"scope", 100, ""})->operations.empty());
  EXPECT_EQ(Targets("a"), std::vector<std::string>{"no route"});
  ASSERT_EQ(Assigned("n").size(), 1U);
  EXPECT_EQ(Assigned("n")[0].tenant, other);
  EXPECT_EQ(TargetsOf("tenants/ug/projects/p/instances/a").size(), 1U);
  const int calls = store_.calls();
  Pass();
  const int idle = store_.calls() - calls;
  Tell(purged);
  Pass();
  EXPECT_LE(store_.calls() - calls, 2 * idle + 1) << "being told again that it is gone costs nothing";
  reconciler_->Wake(tenant_);
  rounds(2);
  EXPECT_EQ(store_.ListChanged("", std::nullopt, 10)->tenants.size(), 1U);
}

TEST_F(ReconcilerTenantsTest, APurgeEndsWhateverItsRegionAndItsNodeHaveBecome) {
  Join("n", 1000, "ke-1", "ke");
  Create("a");
  Settle();
  ASSERT_EQ(Assigned("n").size(), 1U);
  RegionVersion elsewhere;
  elsewhere.id = "ke-1";
  elsewhere.jurisdiction = "tz";
  elsewhere.version = 2;
  board_->Put({elsewhere});
  Pass();
  EXPECT_TRUE(Assigned("n").empty());
  EXPECT_EQ(ReasonOf("a"), "REGION_OUTSIDE_RESIDENCY");
  // The node never says that it is rid of the worker.
  Tell({tenant_, false, 1, {{"ke"}}, true});
  for (int i = 0; i < 3; ++i) {
    Pass();
    clock_.Advance(seconds(1));
  }
  EXPECT_EQ(store_.ListChanged("", std::nullopt, 10)->tenants.size(), 1U) << "it may still run there";
  for (int i = 0; i < 50; ++i) {
    Pass();
    clock_.Advance(seconds(1));
  }
  EXPECT_TRUE(store_.ListChanged("", std::nullopt, 10)->tenants.empty());
}

TEST_F(ReconcilerTenantsTest, ATenantThatCannotBePurgedKeepsNoOtherWaiting) {
  const TenantId other = *TenantId::FromName("tenants/ug");
  Create("a");
  CreateFor(other, "tenants/ug", "a");
  Settle();
  store_.RefuseChanges(tenant_, Error{Code::kInternal, "INTERNAL", "odd rows"});
  Tell({tenant_, false, 1, {{"ke"}}, true});
  Tell({other, false, 1, {{"ke"}}, true});
  for (int i = 0; i < 8; ++i) {
    Settle();
    clock_.Advance(seconds(1));
  }
  const auto left = store_.ListChanged("", std::nullopt, 10)->tenants;
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].tenant, tenant_);
  store_.RefuseChanges(tenant_, std::nullopt);
  for (int i = 0; i < 8; ++i) {
    clock_.Advance(seconds(61));
    Settle();
  }
  EXPECT_TRUE(store_.ListChanged("", std::nullopt, 10)->tenants.empty());
}

TEST_F(ReconcilerTenantsTest, ASuspensionIsNobodyElses) {
  Join("n");
  const TenantId other = *TenantId::FromName("tenants/ug");
  for (const auto& [tenant, name] : {std::pair(tenant_, "tenants/ke"), std::pair(other, "tenants/ug")}) {
    NewInstance instance = Wanted("a", 1);
    instance.tenant = tenant;
    instance.tenant_name = name;
    instance.name = std::string(name) + "/projects/p/instances/a";
    instance.revision.spec.isolation_class = IsolationClass::kPooled;
    instance.revision.demand = {{kMiB, 2}, std::string(64, 'a'), kMiB, kMiB};
    ASSERT_TRUE(store_.CreateInstance(instance, {}));
    reconciler_->Wake(tenant);
  }
  Tell({other, true, 1, {{"ke"}}});
  Settle();
  ASSERT_EQ(Assigned("n").size(), 2U) << "members of one pool";
  const Instance before = *store_.GetInstance(other, "tenants/ug/projects/p/instances/a");
  Tell(suspended_);
  Settle();
  ASSERT_EQ(Assigned("n").size(), 1U);
  EXPECT_EQ(Assigned("n")[0].tenant, other);
  EXPECT_EQ(Assigned("n")[0].epoch, before.replicas[0].placement.epoch) << "its worker stays as it is";
  EXPECT_EQ(TargetsOf(before.name).size(), 1U);
}

TEST_F(ReconcilerTenantsTest, AnOperationThatARuleKeepsFromItsEndFailsByName) {
  const Uuid created = Create("a");
  Pass();
  EXPECT_FALSE(GetOperation(created).done) << "there is no node";
  Tell(suspended_);
  Pass();
  ASSERT_TRUE(GetOperation(created).done);
  ASSERT_TRUE(GetOperation(created).error);
  EXPECT_EQ(GetOperation(created).error->reason, "TENANT_SUSPENDED");
  EXPECT_EQ(GetOperation(created).error->code, Code::kFailedPrecondition);
  const auto again = store_.CreateInstance(Wanted("a", 1), {});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_NE(again->id, created) << "who asks again is told how it goes now";
  EXPECT_FALSE(again->done);
  Tell(active_);
  Join("n");
  reconciler_->Wake(tenant_);
  Settle();
  EXPECT_TRUE(GetOperation(again->id).done);
  EXPECT_FALSE(GetOperation(again->id).error);

  Tell(suspended_);
  Settle();
  const auto deleted = store_.DeleteInstance(tenant_, Name("a"), Uuid::V7(), {});
  ASSERT_TRUE(deleted);
  reconciler_->Wake(tenant_);
  Settle();
  EXPECT_FALSE(GetOperation(deleted->id).error) << "deleting goes on";
  EXPECT_FALSE(store_.GetInstance(tenant_, Name("a")));
}

TEST_F(ReconcilerTenantsTest, ANarrowerResidencyStopsWhatIsOutsideUntilItIsAllowedOrMoved) {
  regions_ = {{"ke-1", "ke"}, {"tz-1", "tz"}};
  Restart();
  Join("n");
  Join("m", 1000, "tz-1");
  Tell({tenant_, true, 1, {{"ke", "tz"}}});
  Create("home");
  NewInstance away = Wanted("away", 1);
  away.revision.spec.region = "tz-1";
  ASSERT_TRUE(store_.CreateInstance(away, {}));
  Settle();
  ASSERT_EQ(Assigned("m").size(), 1U);

  Tell(active_);
  Pass();
  EXPECT_TRUE(Assigned("m").empty());
  EXPECT_EQ(Targets("away"), std::vector<std::string>{"stopped"});
  EXPECT_EQ(Get("away").status.state, InstanceState::kStopped);
  EXPECT_EQ(ReasonOf("away"), "REGION_OUTSIDE_RESIDENCY");
  EXPECT_EQ(Get("away").status.message,
            "region tz-1 lies in jurisdiction tz, outside the tenant's residency (ke), which holds for WEIGHTS");
  Settle();
  EXPECT_TRUE(Get("away").replicas.empty());
  EXPECT_EQ(Get("home").status.state, InstanceState::kReady) << "what is inside goes on";
  EXPECT_EQ(Targets("home").size(), 1U);

  Tell({tenant_, true, 1, {{"tz", "ke"}}});
  Settle();
  EXPECT_EQ(Get("away").status.state, InstanceState::kReady) << "it is allowed again";
  EXPECT_EQ(Assigned("m").size(), 1U);

  Tell(active_);
  Settle();
  Revision moved = Get("away").current();
  moved.spec.region = "ke-1";
  const auto updated = store_.UpdateInstance({tenant_, Uuid::V7(), Name("away"), EtagOf(Get("away")), moved}, {});
  ASSERT_TRUE(updated) << updated.error().message;
  reconciler_->Wake(tenant_);
  Settle();
  EXPECT_EQ(Get("away").status.state, InstanceState::kReady) << "it was moved";
  EXPECT_TRUE(Assigned("m").empty());
  EXPECT_EQ(Assigned("n").size(), 2U);
  EXPECT_TRUE(GetOperation(updated->id).done);
}

TEST_F(ReconcilerTenantsTest, AMoveUnderWayIsJudgedPlaceByPlace) {
  regions_ = {{"ke-1", "ke"}, {"tz-1", "tz"}};
  Restart();
  Join("n");
  Tell({tenant_, true, 1, {{"ke", "tz"}}});
  Create("a");
  Settle();
  Revision moved = Get("a").current();
  moved.spec.region = "tz-1";
  const auto updated = store_.UpdateInstance({tenant_, Uuid::V7(), Name("a"), EtagOf(Get("a")), moved}, {});
  ASSERT_TRUE(updated);
  reconciler_->Wake(tenant_);
  Pass();
  ASSERT_FALSE(GetOperation(updated->id).done);
  Tell(active_);
  Pass();
  EXPECT_EQ(Targets("a").size(), 1U) << "what answers where it may goes on answering";
  EXPECT_EQ(ReasonOf("a"), "REGION_OUTSIDE_RESIDENCY");
  EXPECT_EQ(GetOperation(updated->id).error->reason, "REGION_OUTSIDE_RESIDENCY");
}

TEST_F(ReconcilerTenantsTest, AWeightChangesWhileTheWorkerRuns) {
  Join("n");
  Create("a");
  Settle();
  const auto before = Assigned("n").at(0);
  EXPECT_EQ(before.weight, 1);
  Tell({tenant_, true, 7, {{"ke"}}});
  Pass();
  EXPECT_EQ(Assigned("n").at(0).weight, 7);
  EXPECT_EQ(Assigned("n").at(0).epoch, before.epoch);
  EXPECT_EQ(Get("a").status.state, InstanceState::kReady);
}

TEST_F(ReconcilerTenantsTest, WhatWasToldHoldsOverARestartWithoutTenancy) {
  Join("n");
  Create("a");
  const TenantId other = *TenantId::FromName("tenants/ug");
  CreateFor(other, "tenants/ug", "a");
  Tell({other, false, 1, {{"ke"}}});
  Tell({tenant_, true, 5, {{"ke"}}});
  Settle();
  Restart();
  Settle();
  EXPECT_EQ(Targets("a").size(), 1U);
  ASSERT_EQ(Assigned("n").size(), 1U);
  EXPECT_EQ(Assigned("n")[0].weight, 5);
  EXPECT_EQ(TargetsOf("tenants/ug/projects/p/instances/a"), std::vector<std::string>{"stopped"});
}

TEST_F(ReconcilerTenantsTest, NothingIsDecidedBeforeAnythingWasEverTold) {
  Join("n");
  Create("a");
  Settle();
  ASSERT_TRUE(store_.SaveTerms({}, {tenant_}));  // as an installation that is older than these rows
  Restart();
  Settle();
  EXPECT_EQ(Targets("a"), std::vector<std::string>{"no table"});
  EXPECT_EQ(Get("a").status.state, InstanceState::kReady);
  EXPECT_EQ(Get("a").replicas.size(), 1U);
  Tell(active_);
  Settle();
  EXPECT_EQ(Targets("a").size(), 1U);
  EXPECT_EQ(Assigned("n").size(), 1U);
}

TEST_F(ReconcilerTenantsTest, OfATenantThatIsNotKnownNothingRuns) {
  Join("n");
  Create("a");
  Settle();
  inbox_.Put({{*TenantId::FromName("tenants/ug"), true, 1, {{"ke"}}}}, true);
  Pass();
  EXPECT_EQ(Targets("a"), std::vector<std::string>{"stopped"});
  EXPECT_TRUE(Assigned("n").empty());
  EXPECT_EQ(ReasonOf("a"), "TENANT_UNKNOWN");
  Settle();
  Restart();
  Settle();
  EXPECT_EQ(ReasonOf("a"), "TENANT_UNKNOWN") << "rows say so too";
  inbox_.Put({active_}, false);
  Settle();
  EXPECT_EQ(Get("a").status.state, InstanceState::kReady);
}

TEST_F(ReconcilerTenantsTest, AnOperationWaitsUntilItsTenantIsKnown) {
  Join("n");
  inbox_.Put({{*TenantId::FromName("tenants/ug"), true, 1, {{"ke"}}}}, true);
  const Uuid created = Create("a");
  Settle();
  EXPECT_EQ(ReasonOf("a"), "TENANT_UNKNOWN");
  EXPECT_FALSE(GetOperation(created).done) << "it ends by itself";
  EXPECT_FALSE(GetOperation(created).error);
  EXPECT_EQ(GetOperation(created).phase, "stopped: " + Get("a").status.message);
  inbox_.Put({active_}, false);
  Settle();
  EXPECT_TRUE(GetOperation(created).done);
  EXPECT_FALSE(GetOperation(created).error);
}

TEST_F(ReconcilerTenantsTest, ASuspensionHoldsWhileTheDatabaseIsAway) {
  Join("n");
  Create("a");
  Settle();
  store_.SetUnavailable(true);
  Tell(suspended_);
  EXPECT_FALSE(reconciler_->RunOnce());
  EXPECT_EQ(Targets("a"), std::vector<std::string>{"stopped"});
  EXPECT_FALSE(reconciler_->RunOnce());
  EXPECT_TRUE(Assigned("n").empty());
  store_.SetUnavailable(false);
  Settle();
  EXPECT_EQ(ReasonOf("a"), "TENANT_SUSPENDED");
  Restart();
  Settle();
  EXPECT_TRUE(Assigned("n").empty()) << "it was written when the database was back";
}

TEST_F(ReconcilerTenantsTest, ATenantThatCannotBeLookedAtIsStillSuspended) {
  Join("n");
  const TenantId other = *TenantId::FromName("tenants/aa");
  CreateFor(other, "tenants/aa", "a");
  Settle();
  ASSERT_EQ(TargetsOf("tenants/aa/projects/p/instances/a").size(), 1U);
  store_.RefuseChanges(other, Error{Code::kInternal, "ROWS_BROKEN", "broken"});
  Tell({other, false, 1, {{"ke"}}});
  Pass();
  EXPECT_EQ(TargetsOf("tenants/aa/projects/p/instances/a"), std::vector<std::string>{"stopped"});
}

TEST_F(ReconcilerTenantsTest, TellsWhenItIsInForce) {
  Join("n");
  Create("a");
  Settle();
  const std::uint64_t number = inbox_.Put({suspended_}, false);
  EXPECT_FALSE(inbox_.AwaitInForce(number, milliseconds(0)));
  Pass();
  EXPECT_TRUE(inbox_.AwaitInForce(number, milliseconds(0)));
}

TEST_F(ReconcilerTenantsTest, ChangesOfIdleTenantsLoadNobody) {
  std::vector<TenantTerms> all{active_};
  for (int i = 0; i < 10'000; ++i) {
    all.push_back({*TenantId::FromName("tenants/t" + std::to_string(i)), true, 1, {{"ke"}}});
  }
  inbox_.Put(all, true);
  Join("n");
  Create("a");
  Settle();
  const int before = store_.calls();
  inbox_.Put(all, true);
  Pass();
  EXPECT_EQ(store_.calls(), before) << "the same again";
  all[5000].weight = 2;
  inbox_.Put({all[5000]}, false);
  Pass();
  EXPECT_LE(store_.calls(), before + 1) << "it is written down";
}

// Tenants, places and time at random: whatever comes, nothing is routed to or assigned where the newest terms forbid
// it.
TEST_F(ReconcilerTenantsTest, TwentyThousandChangesLeaveNothingOutside) {
  regions_ = {{"ke-1", "ke"}, {"tz-1", "tz"}, {"ug-1", "ug"}};
  Restart();
  const std::map<std::string, std::string> jurisdiction_of{{"n-ke", "ke"}, {"n-tz", "tz"}, {"n-ug", "ug"}};
  for (const auto& [node, jurisdiction] : jurisdiction_of) Join(node, 1000, jurisdiction + "-1");
  std::mt19937 random(8);
  const auto below = [&](unsigned n) { return random() % n; };
  const std::vector<std::string> places{"ke", "tz", "ug"};
  struct Of {
    TenantId id;
    std::string name;
  };
  std::vector<Of> tenants;
  for (const char* name : {"tenants/ke", "tenants/tz", "tenants/ug"}) {
    tenants.push_back({*TenantId::FromName(name), name});
    for (int i = 0; i < 2; ++i) {
      NewInstance instance = Wanted("a", 1 + static_cast<int>(below(2)));
      instance.tenant = tenants.back().id;
      instance.tenant_name = name;
      instance.name = std::string(name) + "/projects/p/instances/i" + std::to_string(i);
      instance.revision.spec.region = places[below(3)] + "-1";
      ASSERT_TRUE(store_.CreateInstance(instance, {}));
      reconciler_->Wake(tenants.back().id);
    }
  }
  const auto may_be = [&](const TenantId& tenant, const std::string& node) {
    const auto terms = told_.find(tenant);
    return terms != told_.end() && terms->second.active &&
           WhyOutside(terms->second.residency, kClassesOnNodes, jurisdiction_of.at(node)).empty();
  };
  const auto random_terms = [&](const TenantId& tenant) {
    TenantTerms terms{tenant, below(4) > 0, 1 + static_cast<int>(below(5)), {}};
    for (const std::string& place : places) {
      if (below(2) == 0) terms.residency.jurisdictions.push_back(place);
    }
    if (terms.residency.jurisdictions.empty()) terms.residency.jurisdictions = {places[below(3)]};
    return terms;
  };
  bool is_written = false;
  std::size_t routed = 0;
  std::size_t assigned = 0;
  for (int step = 0; step < 20'000; ++step) {
    const Of& tenant = tenants[below(3)];
    const unsigned what = below(100);
    if (what < 60) {
      Tell(random_terms(tenant.id));
    } else if (what < 65) {
      told_.erase(tenant.id);
      Tell(random_terms(tenants[(below(2) + 1) % 3].id));
    } else if (what < 80) {
      const std::string name = tenant.name + "/projects/p/instances/i" + std::to_string(below(2));
      const Instance instance = *store_.GetInstance(tenant.id, name);
      Revision next = instance.current();
      next.spec.region = places[below(3)] + "-1";
      next.spec.replicas = 1 + static_cast<int>(below(2));
      ASSERT_TRUE(store_.UpdateInstance({tenant.id, Uuid::V7(), name, EtagOf(instance), next}, {}));
      reconciler_->Wake(tenant.id);
    } else if (what < 82) {
      Restart();
      // What the process before could not write down comes with the new stream's snapshot.
      if (!is_written) Tell(random_terms(tenant.id));
    } else if (what < 84) {
      clock_.Advance(seconds(40));  // nodes were silent, and replicas are replaced
    }
    clock_.Advance(seconds(1));
    const bool away = below(20) == 0;
    store_.SetUnavailable(away);
    const Status done = reconciler_->RunOnce();
    store_.SetUnavailable(false);
    EXPECT_TRUE(done || away) << done.error().message;
    is_written = done.has_value();

    if (const auto table = reconciler_->routes().Await(0, milliseconds(0)).value) {
      for (const Route& route : *table) {
        ASSERT_TRUE(!route.stopped || route.targets.empty());
        for (const std::string& target : route.targets) {
          const std::string node = target.substr(6, target.find('/', 6) - 6);
          ASSERT_TRUE(may_be(*TenantId::FromName(route.instance), node))
              << "step " << step << ": " << route.instance << " is routed to " << node;
          ++routed;
        }
      }
    }
    for (const auto& [node, jurisdiction] : jurisdiction_of) {
      // A pass without the database hides in its second step what it unrouted in the first.
      if (done) {
        for (const auto& worker : Assigned(node)) {
          ASSERT_TRUE(may_be(worker.tenant, node)) << "step " << step << ": " << worker.instance << " is on " << node;
          ++assigned;
        }
      }
      // A scheduler that could not read its rows yet knows no node.
      if (below(10) > 0 && !driver_->Capacity(clock_.Now()).empty()) Ready(node);
    }
    if (step % 200 == 0) {
      for (const Of& one : tenants) store_.ForgetAllOperations(one.id);
    }
  }
  EXPECT_GT(routed, 1000U) << "the test looked at something";
  EXPECT_GT(assigned, 1000U);
  for (const Of& one : tenants) Tell({one.id, true, 1, places});
  clock_.Advance(seconds(40));
  Settle();
  Settle();
  for (const Of& one : tenants) {
    for (int i = 0; i < 2; ++i) {
      const auto instance = store_.GetInstance(one.id, one.name + "/projects/p/instances/i" + std::to_string(i));
      EXPECT_EQ(instance->status.state, InstanceState::kReady) << instance->name << ": " << instance->status.message;
    }
  }
}

}  // namespace
}  // namespace allod::scheduling::reconciler_tenants_test
