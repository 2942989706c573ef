// A driver as a cluster with a scheduler of its own would be: it lists its nodes by itself, nothing connects to it, and
// what is applied is ready when it is seen next. Fails for some tenants as it is told to. For tests of the reconciler;
// not thread-safe.
#pragma once

#include <map>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

#include "scheduler/schedule.h"
#include "services/scheduling/drivers/driver.h"

namespace allod::scheduling {

class FakeDriver final : public drivers::Driver {
 public:
  explicit FakeDriver(std::vector<scheduler::Node> nodes) : nodes_(std::move(nodes)) {}

  scheduler::Plan MakePlan(const scheduler::Snapshot& snapshot) const override { return scheduler::Schedule(snapshot); }
  Status EnsureTenant(const TenantId& tenant) override {
    if (const auto found = unprepared.find(tenant); found != unprepared.end()) return std::unexpected(found->second);
    return {};
  }
  Status Apply(const drivers::DesiredWorker& worker) override {
    if (throwing.contains(worker.tenant)) throw std::runtime_error("the cluster's client");
    if (const auto found = refused.find(worker.tenant); found != refused.end()) return std::unexpected(found->second);
    workers_[worker.replica] = worker;
    changed_.insert(worker.replica);
    return {};
  }
  Status Remove(const Uuid& replica, std::int64_t /*epoch*/) override {
    if (workers_.erase(replica) > 0) changed_.insert(replica);
    return {};
  }
  void Synced() override {}
  std::vector<drivers::WorkerView> List() const override {
    std::vector<drivers::WorkerView> views;
    for (const auto& [replica, worker] : workers_) views.push_back(ViewOf(worker));
    return views;
  }
  std::vector<drivers::WorkerView> Find(std::span<const drivers::WorkerKey> keys) const override {
    std::vector<drivers::WorkerView> views;
    for (const auto& key : keys) {
      const auto found = workers_.find(key.replica);
      if (found != workers_.end() && found->second.node == key.node) views.push_back(ViewOf(found->second));
    }
    return views;
  }
  std::vector<Uuid> TakeChanged() override {
    const std::set<Uuid> taken = std::exchange(changed_, {});
    return {taken.begin(), taken.end()};
  }
  std::vector<scheduler::Node> Capacity(Time now) const override {
    std::vector<scheduler::Node> nodes = nodes_;
    for (scheduler::Node& node : nodes) {
      node.last_report = now;
      node.reported = true;
    }
    return nodes;
  }

  // Set before the calls that shall meet them.
  std::map<TenantId, Error> unprepared;  // EnsureTenant fails
  std::map<TenantId, Error> refused;     // Apply fails
  std::set<TenantId> throwing;           // Apply throws

 private:
  static drivers::WorkerView ViewOf(const drivers::DesiredWorker& worker) {
    using State = drivers::ObservedWorker::State;
    const std::string target = "unix:/" + worker.node + "/" + worker.replica.ToString();
    return {worker.replica, worker.node, worker,
            drivers::ObservedWorker{worker.replica, worker.epoch, State::kReady, target, "", 1}};
  }

  const std::vector<scheduler::Node> nodes_;
  std::map<Uuid, drivers::DesiredWorker> workers_;
  std::set<Uuid> changed_;
};

}  // namespace allod::scheduling
