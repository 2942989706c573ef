#include "services/scheduling/drivers/process_driver.h"

#include <fmt/format.h>

#include <utility>

#include "scheduler/schedule.h"

namespace allod::scheduling::drivers {
namespace {

std::unexpected<Error> StaleEpoch(const std::string& what, std::int64_t epoch, std::int64_t newest) {
  return Fail(Code::kAborted, "STALE_EPOCH",
              fmt::format("{}: epoch {} is older than {}, which was seen already", what, epoch, newest));
}

std::unexpected<Error> TooManyNodes() {
  return Fail(Code::kResourceExhausted, "TOO_MANY_NODES", fmt::format("at most {} nodes", ProcessDriver::kNodesMax));
}

}  // namespace

scheduler::Plan ProcessDriver::MakePlan(const scheduler::Snapshot& snapshot) const {
  return scheduler::Schedule(snapshot);
}

Status ProcessDriver::Apply(const DesiredWorker& worker) {
  const std::lock_guard lock(mutex_);
  const auto node = nodes_.find(worker.node);
  if (node == nodes_.end()) return NotFound(fmt::format("node {} is not known", worker.node));
  const auto newest = epochs_.find(worker.replica);
  if (newest == epochs_.end()) {
    if (epochs_.size() >= kWorkersMax) {
      return Fail(Code::kResourceExhausted, "TOO_MANY_WORKERS", fmt::format("at most {} workers", kWorkersMax));
    }
    epochs_[worker.replica] = worker.epoch;
  } else if (worker.epoch < newest->second) {
    return StaleEpoch("replica " + worker.replica.ToString(), worker.epoch, newest->second);
  } else {
    newest->second = worker.epoch;
  }
  if (const auto placed = node_of_.find(worker.replica); placed != node_of_.end() && placed->second != worker.node) {
    NodeEntry& before = nodes_.at(placed->second);
    before.desired.erase(worker.replica);
    ++before.set_version;
  }
  node_of_[worker.replica] = worker.node;
  auto& desired = node->second.desired;
  const auto it = desired.find(worker.replica);
  if (it != desired.end() && it->second == worker) return {};
  desired[worker.replica] = worker;
  ++node->second.set_version;
  sets_changed_.notify_all();
  return {};
}

Status ProcessDriver::Remove(const Uuid& replica, std::int64_t epoch) {
  const std::lock_guard lock(mutex_);
  const auto newest = epochs_.find(replica);
  if (newest != epochs_.end() && epoch < newest->second) {
    return StaleEpoch("replica " + replica.ToString(), epoch, newest->second);
  }
  const auto placed = node_of_.find(replica);
  if (placed == node_of_.end()) return {};
  NodeEntry& node = nodes_.at(placed->second);
  node.desired.erase(replica);
  ++node.set_version;
  if (!node.observed.contains(replica)) epochs_.erase(replica);
  node_of_.erase(placed);
  sets_changed_.notify_all();
  return {};
}

void ProcessDriver::Synced() {
  const std::lock_guard lock(mutex_);
  if (synced_) return;
  synced_ = true;
  sets_changed_.notify_all();
}

std::vector<WorkerView> ProcessDriver::List() const {
  const std::lock_guard lock(mutex_);
  std::vector<WorkerView> views;
  for (const auto& [id, node] : nodes_) {
    for (const auto& [replica, desired] : node.desired) {
      WorkerView view{replica, id, desired, std::nullopt};
      if (const auto it = node.observed.find(replica); it != node.observed.end()) view.observed = it->second;
      views.push_back(std::move(view));
    }
    for (const auto& [replica, observed] : node.observed) {
      if (!node.desired.contains(replica)) views.push_back({replica, id, std::nullopt, observed});
    }
  }
  return views;
}

std::vector<WorkerView> ProcessDriver::Find(std::span<const WorkerKey> keys) const {
  const std::lock_guard lock(mutex_);
  std::vector<WorkerView> views;
  views.reserve(keys.size());
  for (const WorkerKey& key : keys) {
    const auto node = nodes_.find(key.node);
    if (node == nodes_.end()) continue;
    WorkerView view{key.replica, key.node, std::nullopt, std::nullopt};
    const auto desired = node->second.desired.find(key.replica);
    if (desired != node->second.desired.end()) view.desired = desired->second;
    const auto observed = node->second.observed.find(key.replica);
    if (observed != node->second.observed.end()) view.observed = observed->second;
    if (view.desired || view.observed) views.push_back(std::move(view));
  }
  return views;
}

std::vector<Uuid> ProcessDriver::TakeChanged() {
  const std::lock_guard lock(mutex_);
  const std::set<Uuid> taken = std::exchange(changed_, {});
  return {taken.begin(), taken.end()};
}

std::vector<scheduler::Node> ProcessDriver::Capacity(Time now) const {
  const std::lock_guard lock(mutex_);
  std::vector<scheduler::Node> nodes;
  nodes.reserve(nodes_.size());
  for (const auto& [id, entry] : nodes_) {
    nodes.push_back(entry.node);
    nodes.back().state = Lost(entry, now) ? scheduler::NodeState::kLost : scheduler::NodeState::kReady;
  }
  return nodes;
}

Status ProcessDriver::Restore(const scheduler::Node& node, std::int64_t session_epoch) {
  const std::lock_guard lock(mutex_);
  if (nodes_.contains(node.id)) return {};
  if (nodes_.size() >= kNodesMax) return TooManyNodes();
  NodeEntry& entry = nodes_[node.id];
  entry.node = node;
  entry.node.reported = false;
  entry.session_epoch = session_epoch;
  news_.Notify();
  return {};
}

Status ProcessDriver::Join(const scheduler::Node& node, std::int64_t session_epoch, Time now) {
  const std::lock_guard lock(mutex_);
  auto it = nodes_.find(node.id);
  if (it == nodes_.end()) {
    if (nodes_.size() >= kNodesMax) return TooManyNodes();
    it = nodes_.emplace(node.id, NodeEntry{}).first;
  } else if (session_epoch < it->second.session_epoch) {
    return StaleEpoch("node " + node.id, session_epoch, it->second.session_epoch);
  }
  NodeEntry& entry = it->second;
  const bool reported = entry.node.reported;
  entry.node = node;
  entry.node.last_report = now;
  entry.node.reported = reported;
  entry.session_epoch = session_epoch;
  news_.Notify();
  sets_changed_.notify_all();
  return {};
}

ProcessDriver::SetUpdate ProcessDriver::AwaitSet(const std::string& node, std::int64_t session_epoch,
                                                 std::uint64_t seen, std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  const auto it = nodes_.find(node);
  if (it == nodes_.end()) return {.ended = true};
  const NodeEntry& entry = it->second;  // nodes are never erased, so the reference stays good
  const auto ended = [&] { return stopped_ || entry.session_epoch != session_epoch; };
  sets_changed_.wait_for(lock, timeout, [&] { return ended() || (synced_ && entry.set_version != seen); });
  SetUpdate update{.ended = ended(), .stopped = stopped_, .version = seen};
  if (update.ended || !synced_ || entry.set_version == seen) return update;
  update.version = entry.set_version;
  auto& workers = update.workers.emplace();
  workers.reserve(entry.desired.size());
  for (const auto& [replica, desired] : entry.desired) workers.push_back(desired);
  return update;
}

Status ProcessDriver::Report(const std::string& node, std::span<const ObservedWorker> workers, Time now) {
  if (workers.size() > kWorkersPerReportMax) {
    return Fail(Code::kResourceExhausted, "TOO_MANY_WORKERS",
                fmt::format("a report of {} workers; at most {}", workers.size(), kWorkersPerReportMax));
  }
  const std::lock_guard lock(mutex_);
  const auto it = nodes_.find(node);
  if (it == nodes_.end()) {
    return FailedPrecondition("NODE_NOT_JOINED", fmt::format("node {} must call WatchAssignments first", node));
  }
  NodeEntry& entry = it->second;
  std::map<Uuid, ObservedWorker> observed;
  for (const ObservedWorker& worker : workers) {
    const auto desired = entry.desired.find(worker.replica);
    if (desired != entry.desired.end() && worker.epoch < desired->second.epoch) continue;
    observed[worker.replica] = worker;
  }
  const bool back = Lost(entry, now) || !entry.node.reported;
  bool changed = back;
  for (const auto& [replica, worker] : entry.observed) {
    if (observed.contains(replica)) continue;
    changed = true;
    changed_.insert(replica);
    if (!node_of_.contains(replica)) epochs_.erase(replica);
  }
  for (const auto& [replica, worker] : observed) {
    const auto before = entry.observed.find(replica);
    if (before != entry.observed.end() && before->second == worker) continue;
    changed = true;
    changed_.insert(replica);
  }
  entry.observed = std::move(observed);
  entry.node.reported = true;
  entry.node.last_report = now;
  if (changed) news_.Notify();
  return {};
}

void ProcessDriver::Stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  sets_changed_.notify_all();
}

}  // namespace allod::scheduling::drivers
