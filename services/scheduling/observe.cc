#include "services/scheduling/observe.h"

#include <fmt/format.h>

#include <algorithm>

namespace allod::scheduling {
namespace {

using drivers::ObservedWorker;
using scheduler::ReplicaState;

// The database keeps what fits on a screen.
constexpr std::size_t kMessageBytesMax = 1024;

ReplicaState StateOf(ObservedWorker::State state) {
  switch (state) {
    case ObservedWorker::State::kStarting:
      return ReplicaState::kStarting;
    case ObservedWorker::State::kReady:
      return ReplicaState::kReady;
    case ObservedWorker::State::kFailed:
      return ReplicaState::kFailed;
    case ObservedWorker::State::kAsleep:
      return ReplicaState::kAsleep;
  }
  return ReplicaState::kStarting;
}

bool Current(const Instance& instance, const Replica& replica) {
  const ReplicaState state = replica.placement.state;
  return replica.placement.generation == instance.template_generation && state != ReplicaState::kStopping &&
         state != ReplicaState::kStopped;
}

}  // namespace

Sight::Sight(std::vector<scheduler::Node> nodes, const std::vector<drivers::WorkerView>& workers)
    : nodes_(std::move(nodes)) {
  std::ranges::sort(nodes_, {}, &scheduler::Node::id);
  for (const auto& view : workers) {
    if (view.observed) workers_[{view.replica, view.node}] = *view.observed;
  }
}

const scheduler::Node* Sight::FindNode(const std::string& id) const {
  const auto it = std::ranges::lower_bound(nodes_, id, {}, &scheduler::Node::id);
  return it == nodes_.end() || it->id != id ? nullptr : &*it;
}

bool Sight::Reports(const std::string& node) const {
  const scheduler::Node* found = FindNode(node);
  return found != nullptr && found->state == scheduler::NodeState::kReady;
}

const ObservedWorker* Sight::FindWorker(const Uuid& replica, const std::string& node) const {
  const auto it = workers_.find({replica, node});
  return it == workers_.end() ? nullptr : &it->second;
}

Replica Observe(const Replica& replica, const Sight& sight, Time now) {
  Replica out = replica;
  const scheduler::Node* node = sight.FindNode(replica.placement.node);
  if (node == nullptr || node->state != scheduler::NodeState::kReady || !node->reported) return out;
  const ObservedWorker* worker = sight.FindWorker(replica.placement.id, replica.placement.node);
  ReplicaState& state = out.placement.state;
  if (state == ReplicaState::kStopped) return out;
  if (state == ReplicaState::kStopping) {
    if (worker == nullptr) state = ReplicaState::kStopped;
  } else if (worker == nullptr) {
    state = ReplicaState::kPending;
    out.target.clear();
    out.message.clear();
  } else if (worker->epoch == replica.placement.epoch) {
    state = StateOf(worker->state);
    out.target = state == ReplicaState::kFailed ? "" : worker->target;
    out.message = worker->message.substr(0, kMessageBytesMax);
    out.start_count = worker->start_count;
  }
  if (state != replica.placement.state) out.placement.state_time = now;
  return out;
}

bool Answers(const Replica& replica, const Sight& sight) {
  const ReplicaState state = replica.placement.state;
  return (state == ReplicaState::kReady || state == ReplicaState::kAsleep) && !replica.target.empty() &&
         sight.Reports(replica.placement.node);
}

bool Listens(const Replica& replica, const Sight& sight) {
  return replica.placement.state == ReplicaState::kStarting && !replica.target.empty() &&
         sight.Reports(replica.placement.node);
}

bool IsForbidden(const Replica& replica, const Sight& sight, const Permit& permit) {
  if (permit.Refusal()) return true;
  const scheduler::Node* node = sight.FindNode(replica.placement.node);
  return node != nullptr && permit.RefusalOn(*node).has_value();
}

InstanceStatus StatusOf(const Instance& instance, const Sight& sight, const Permit& permit,
                        const std::string& unplaced) {
  InstanceStatus status;
  status.observed_generation = instance.status.observed_generation;
  int failed = 0;
  bool making_way = false;
  std::string failure;
  for (const Replica& replica : instance.replicas) {
    making_way = making_way || replica.placement.state == ReplicaState::kStopping;
    if (!Current(instance, replica)) continue;
    if (Answers(replica, sight)) {
      ++status.ready_replicas;
    } else if (replica.placement.state == ReplicaState::kFailed) {
      ++failed;
      failure = fmt::format("worker on nodes/{} does not start: {}", replica.placement.node, replica.message);
    } else if (!sight.Reports(replica.placement.node) && failure.empty()) {
      failure = fmt::format("nodes/{} does not report", replica.placement.node);
    }
  }
  const int wanted = instance.current().spec.replicas;
  if (instance.deleting) {
    status.state = InstanceState::kDeleting;
    status.message =
        fmt::format("{} worker{} left", instance.replicas.size(), instance.replicas.size() == 1 ? "" : "s");
  } else if (const auto refusal = permit.For(instance).RefusalIn(instance.current().spec.region)) {
    status.state = InstanceState::kStopped;
    status.reason = refusal->reason;
    status.message = refusal->message;
    status.ready_replicas = 0;
  } else if (status.ready_replicas >= wanted) {
    status.state = InstanceState::kReady;
    status.observed_generation = instance.generation;
  } else if (failed > 0 || !failure.empty()) {
    status.state = InstanceState::kFailing;
    status.message = failure;
  } else if (!unplaced.empty()) {
    status.state = making_way ? InstanceState::kProvisioning : InstanceState::kFailing;
    status.message = unplaced;
  } else {
    status.state = InstanceState::kProvisioning;
    status.message = fmt::format("{} of {} replicas ready", status.ready_replicas, wanted);
  }
  return status;
}

OperationChange ProgressOf(const Operation& operation, const Instance& instance, const InstanceStatus& status) {
  OperationChange change{operation.id, "", false};
  if (operation.kind == OperationKind::kDelete) {
    change.phase = fmt::format("stopping {}", instance.replicas.size());
  } else if (status.state == InstanceState::kStopped) {
    change.phase = "stopped: " + status.message;
    // That passes by itself, as soon as tenancy has told.
    if (status.reason == Permit::kTenantUnknown) return change;
    change.done = true;
    change.error =
        Error{Code::kFailedPrecondition, status.reason,
              fmt::format("{} cannot run now: {}; it does when that is over", instance.name, status.message)};
  } else if (status.state == InstanceState::kReady && status.observed_generation >= operation.generation) {
    change.phase = "ready";
    change.done = true;
  } else {
    const auto assigned =
        std::ranges::count_if(instance.replicas, [&](const Replica& replica) { return Current(instance, replica); });
    change.phase = assigned > 0 ? fmt::format("starting {}/{}", status.ready_replicas, instance.current().spec.replicas)
                                : std::string("placing");
    if (status.state == InstanceState::kFailing) change.phase += ": " + status.message;
  }
  return change;
}

std::optional<Route> RouteOf(const Instance& instance, const Sight& sight, const Permit& permit) {
  if (instance.deleting) return std::nullopt;
  using Targets = std::map<std::int64_t, std::vector<std::pair<std::string, std::string>>>;  // by generation
  Targets answering;
  Targets listening;
  for (const Replica& replica : instance.replicas) {
    if (IsForbidden(replica, sight, permit.For(instance))) continue;
    const bool answers = Answers(replica, sight);
    if (!answers && !Listens(replica, sight)) continue;
    const scheduler::Node* const node = sight.FindNode(replica.placement.node);
    (answers ? answering : listening)[replica.placement.generation].emplace_back(replica.target, node->jurisdiction);
  }
  const bool stopped = answering.empty() && permit.For(instance).RefusalIn(instance.current().spec.region);
  if (stopped) listening.clear();
  std::int64_t generation = instance.generation;
  if (!answering.empty()) {
    generation = answering.rbegin()->first;
  } else if (!listening.empty()) {
    generation = listening.rbegin()->first;
  }
  const Revision& revision = instance.revisions.at(generation);
  Route route{instance.name,
              revision.spec.variant,
              revision.price_book,
              revision.spec.context_tokens,
              revision.spec.max_concurrency,
              {},
              instance.create_time,
              revision.spec.isolation_class};
  route.ready_target_count = static_cast<int>(answering[generation].size());
  route.id = instance.id;
  route.generation = instance.generation;
  route.stopped = stopped;
  route.residency = permit.residency();
  for (Targets* const targets : {&answering, &listening}) {
    std::ranges::sort((*targets)[generation]);
    for (auto& [target, jurisdiction] : (*targets)[generation]) {
      route.targets.push_back(std::move(target));
      route.target_jurisdictions.push_back(std::move(jurisdiction));
    }
  }
  return route;
}

std::optional<drivers::DesiredWorker> DesiredOf(const Instance& instance, const Replica& replica) {
  const ReplicaState state = replica.placement.state;
  if (state == ReplicaState::kStopping || state == ReplicaState::kStopped) return std::nullopt;
  const Revision& revision = instance.revisions.at(replica.placement.generation);
  drivers::DesiredWorker worker;
  worker.replica = replica.placement.id;
  worker.tenant = instance.tenant;
  worker.instance = instance.name;
  worker.node = replica.placement.node;
  worker.epoch = replica.placement.epoch;
  worker.artifact_sha256 = revision.artifact_sha256;
  worker.artifact_bytes = revision.artifact_bytes;
  worker.context_tokens = revision.spec.context_tokens;
  worker.max_concurrency = revision.spec.max_concurrency;
  worker.isolation_class = revision.spec.isolation_class;
  worker.sleep_after_seconds = revision.spec.sleep_after_seconds;
  worker.variant = revision.spec.variant;
  return worker;
}

}  // namespace allod::scheduling
