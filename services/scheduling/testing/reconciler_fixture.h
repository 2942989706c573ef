// What the tests of the reconciler share: one installation in memory, driven by hand.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "services/scheduling/drivers/process_driver.h"
#include "services/scheduling/drivers/restore_nodes.h"
#include "services/scheduling/reconciler.h"
#include "services/scheduling/testing/fake_store.h"
#include "tests/support/fake_clock.h"

namespace allod::scheduling {

using drivers::ObservedWorker;
using scheduler::ReplicaState;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline constexpr std::int64_t kMiB = 1 << 20;

// One installation in memory: rows, reconciler and node agents, all driven by hand.
class ReconcilerTest : public testing::Test {
 protected:
  ReconcilerTest() {
    Tell({tenant_, true, 1, {{"ke"}}});
    Restart();
  }

  // As if allod-scheduling had been killed and started again.
  void Restart() {
    reconciler_.reset();
    driver_ = std::make_unique<drivers::ProcessDriver>(seconds(6), news_);
    board_ = std::make_unique<RegionBoard>(news_);
    board_->Put(FirstVersions(regions_));
    reconciler_ = std::make_unique<Reconciler>(
        store_, *driver_, inbox_, *board_, news_, clock_,
        ReconcilerConfig{.policy = {seconds(30)}, .tick = std::chrono::hours(1), .prepare = [this] {
                           return drivers::RestoreNodes(store_, clock_, *driver_);
                         }});
  }
  // What tenancy says: of this tenant, beside what it said of the others.
  void Tell(const TenantTerms& terms) {
    told_[terms.tenant] = terms;
    std::vector<TenantTerms> all;
    for (const auto& [tenant, one] : told_) all.push_back(one);
    inbox_.Put(all, true);
  }
  void Join(const std::string& id, std::int64_t memory_mib = 1000, const std::string& region = "ke-1",
            const std::string& jurisdiction = "") {
    // Where its region lies, if it is not said.
    const std::string stands = jurisdiction.empty() ? region.substr(0, 2) : jurisdiction;
    const scheduler::Node node{id,    region, scheduler::NodeState::kReady, {memory_mib * kMiB, 1000}, clock_.Now(),
                               false, stands};
    sessions_[id] = *store_.JoinNode(node);
    ASSERT_TRUE(driver_->Join(node, sessions_[id], clock_.Now()));
  }
  NewInstance Wanted(const std::string& id, int replicas) {
    NewInstance instance;
    instance.tenant = tenant_;
    instance.tenant_name = "tenants/ke";
    instance.id = Uuid::V7();
    instance.operation = Uuid::V7();
    instance.name = Name(id);
    instance.revision = MakeRevision("q4", replicas);
    return instance;
  }
  Uuid Create(const std::string& id, int replicas = 1) {
    const NewInstance instance = Wanted(id, replicas);
    EXPECT_TRUE(store_.CreateInstance(instance, {}));
    reconciler_->Wake(tenant_);
    return instance.operation;
  }
  static Revision MakeRevision(const std::string& variant, int replicas) {
    Revision revision;
    revision.spec = {"listings/l", "models/m/versions/1/variants/" + variant, "ke-1", {}, replicas, 512, 2};
    revision.artifact_sha256 = std::string(64, 'a');
    revision.residency = {"ke"};
    revision.demand = {{100 * kMiB, 50}};
    return revision;
  }
  // Of another tenant than the one that all else is about.
  Uuid CreateFor(const TenantId& tenant, const std::string& tenant_name, const std::string& id) {
    NewInstance instance = Wanted(id, 1);
    instance.tenant = tenant;
    instance.tenant_name = tenant_name;
    instance.name = tenant_name + "/projects/p/instances/" + id;
    if (!told_.contains(tenant)) Tell({tenant, true, 1, {{"ke"}}});
    EXPECT_TRUE(store_.CreateInstance(instance, {}));
    reconciler_->Wake(tenant);
    return instance.operation;
  }
  static std::string Name(const std::string& id) { return "tenants/ke/projects/p/instances/" + id; }
  Instance Get(const std::string& id) { return *store_.GetInstance(tenant_, Name(id)); }
  Operation GetOperation(const Uuid& id) { return *store_.GetOperation(tenant_, id); }
  void Pass() {
    const auto done = reconciler_->RunOnce();
    ASSERT_TRUE(done) << done.error().message;
  }

  // What the agent of `node` was handed last.
  std::vector<drivers::DesiredWorker> Assigned(const std::string& node) {
    return driver_->AwaitSet(node, sessions_.at(node), 0, milliseconds(0))
        .workers.value_or(std::vector<drivers::DesiredWorker>());
  }
  // The agent runs exactly what it was handed, all in one state.
  void ReportAll(const std::string& node, ObservedWorker::State state) {
    std::vector<ObservedWorker> workers;
    for (const auto& worker : Assigned(node)) {
      const bool ready = state == ObservedWorker::State::kReady;
      workers.push_back({worker.replica, worker.epoch, state, ready ? Target(node, worker.replica) : "",
                         state == ObservedWorker::State::kFailed ? "no such artifact" : "", 1});
    }
    ASSERT_TRUE(driver_->Report(node, workers, clock_.Now()));
  }
  void Ready(const std::string& node) { ReportAll(node, ObservedWorker::State::kReady); }
  static std::string Target(const std::string& node, const Uuid& replica) {
    return "unix:/" + node + "/" + replica.ToString();
  }
  std::vector<std::string> Targets(const std::string& id) { return TargetsOf(Name(id)); }
  std::vector<std::string> TargetsOf(const std::string& name) {
    const auto table = reconciler_->routes().Await(0, milliseconds(0)).value;
    if (table == nullptr) return {"no table"};
    for (const Route& route : *table) {
      if (route.instance == name && route.stopped) return {"stopped"};
      if (route.instance == name) return route.targets;
    }
    return {"no route"};
  }

  Route FindRoute(const std::string& id) {
    const auto table = reconciler_->routes().Await(0, milliseconds(0)).value;
    for (const Route& route : *table) {
      if (route.instance == Name(id)) return route;
    }
    ADD_FAILURE() << "no route to " << id;
    return {};
  }

  const TenantId tenant_ = *TenantId::FromName("tenants/ke");
  std::vector<scheduler::Region> regions_{{"ke-1", "ke"}};
  std::map<TenantId, TenantTerms> told_;
  FakeClock clock_;
  FakeStore store_{clock_};
  std::map<std::string, std::int64_t> sessions_;
  ChangeSignal news_;
  TermsInbox inbox_{news_};
  std::unique_ptr<drivers::ProcessDriver> driver_;
  std::unique_ptr<RegionBoard> board_;
  std::unique_ptr<Reconciler> reconciler_;
};

}  // namespace allod::scheduling
