#include "gateway/serving/routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "allod/scheduling/v1/node.grpc.pb.h"
#include "gateway/telemetry/gateway_metrics.h"
#include "gateway/telemetry/instance_metrics.h"
#include "services/common/log.h"
#include "services/common/rpc/residency.h"
#include "services/common/rpc/watch.h"

namespace allod::gateway::serving {

namespace {

// Of targets: below it, those that nobody routes to any more are not looked for.
constexpr std::size_t kReapAtLeast = 64;

std::string IsolationClassText(scheduling::v1::IsolationClass isolation) {
  switch (isolation) {
    case scheduling::v1::ISOLATION_CLASS_POOLED:
      return "pooled";
    case scheduling::v1::ISOLATION_CLASS_ISOLATED:
      return "isolated";
    case scheduling::v1::ISOLATION_CLASS_DEDICATED:
      return "dedicated";
    default:
      return "";
  }
}

bool MayBeSentTo(const InstanceRoute& route, const std::string& target, const std::string& jurisdiction) {
  const std::string why = WhyOutside(route.residency, kClassesRouted, jurisdiction);
  if (why.empty()) return true;
  telemetry::CountTargetOutsideResidency();
  Log(LogLevel::kError, "a target of a route stands where the tenant's data may not be",
      {{"instance", route.instance}, {"target", target}, {"jurisdiction", jurisdiction}, {"why", why}});
  return false;
}

// null if the route has no replica there.
const std::string* MadeIn(const InstanceRoute& route, const std::string& target) {
  for (std::size_t i = 0; i < route.replicas.size(); ++i) {
    if (route.replicas[i]->target == target) return &route.made_in[i];
  }
  return nullptr;
}

}  // namespace

std::shared_ptr<const InstanceRoute> RouteTable::EntryOf(const scheduling::v1::Route& route) {
  auto entry = std::make_shared<InstanceRoute>();
  entry->instance = route.instance();
  entry->variant = route.variant();
  entry->price_book = route.price_book();
  entry->context_tokens = route.context_tokens();
  entry->max_concurrency = route.max_concurrency();
  entry->isolation_class = IsolationClassText(route.isolation_class());
  entry->create_time = route.create_time().seconds();
  entry->stopped = route.stopped();
  const auto& created = route.create_time();
  entry->revision = fmt::format("{}.{}/{}", created.seconds(), created.nanos(), route.generation());
  const auto known_as = routes_.find(entry->instance);
  const InstanceRoute* before = known_as == routes_.end() ? nullptr : known_as->second.get();
  // Rules that nobody understands allow nothing.
  entry->residency = ResidencyFrom(route.residency()).value_or(ResidencyRules());
  for (int i = 0; i < route.targets_size(); ++i) {
    const std::string& target = route.targets(i);
    if (!MayBeSentTo(*entry, target, i < route.target_jurisdictions_size() ? route.target_jurisdictions(i) : "")) {
      continue;
    }
    if (i < route.ready_target_count()) ++entry->ready_count;
    std::weak_ptr<Replica>& known = replicas_[target];
    std::shared_ptr<Replica> replica = known.lock();
    if (!replica) known = replica = std::make_shared<Replica>(target);
    const std::string* made_in = before ? MadeIn(*before, target) : nullptr;
    entry->made_in.push_back(made_in ? *made_in : entry->revision);
    entry->replicas.push_back(std::move(replica));
  }
  return entry;
}

void RouteTable::ReapReplicas() {
  if (replicas_.size() < reap_at_) return;
  std::erase_if(replicas_, [](const auto& item) { return item.second.expired(); });
  reap_at_ = 2 * replicas_.size() + kReapAtLeast;
}

void RouteTable::BeginSnapshot() {
  const std::lock_guard lock(mutex_);
  in_snapshot_ = true;
  snapshot_.clear();
}

void RouteTable::Apply(const scheduling::v1::WatchRoutesResponse& message) {
  std::unordered_map<std::uint64_t, std::function<void()>> woken;
  std::vector<std::string> gone;
  std::vector<std::function<void()>> ended;
  std::vector<std::shared_ptr<const InstanceRoute>> old;  // destroyed without the lock
  {
    const std::lock_guard lock(mutex_);
    const bool whole = message.version() == 0;
    if (whole) snapshot_.clear();
    const bool staged = whole || in_snapshot_;
    bool may_end = false;
    Routes& routes = staged ? snapshot_ : routes_;
    for (const std::string& instance : message.removed_instances()) {
      const auto found = routes.find(instance);
      if (found == routes.end()) continue;
      old.push_back(std::move(found->second));
      routes.erase(found);
      gone.push_back(instance);
    }
    for (const auto& route : message.routes()) {
      std::shared_ptr<const InstanceRoute>& entry = routes[route.instance()];
      old.push_back(std::exchange(entry, EntryOf(route)));
      if (!route.stopped()) continue;
      gone.push_back(route.instance());
      may_end = true;
    }
    if (staged && (whole || message.synced())) {
      routes_.swap(snapshot_);
      in_snapshot_ = false;
      synced_ = current_ = may_end = true;
      for (auto& [instance, entry] : snapshot_) {
        if (!routes_.contains(instance)) gone.push_back(instance);
        old.push_back(std::move(entry));
      }
      snapshot_.clear();
    }
    ReapReplicas();
    woken.swap(waiters_);
    if (may_end) {
      for (auto run = runs_.begin(); run != runs_.end();) {
        if (!IsStoppedLocked(run->second.instance)) {
          ++run;
          continue;
        }
        ended.push_back(std::move(run->second.end));
        run = runs_.erase(run);
      }
    }
  }
  for (const std::string& instance : gone) telemetry::ForgetMetricsOf(instance);
  for (const auto& [id, wake] : woken) wake();
  for (const auto& end : ended) end();
}

void RouteTable::EndStream() {
  const std::lock_guard lock(mutex_);
  current_ = false;
}

bool RouteTable::synced() const {
  const std::lock_guard lock(mutex_);
  return synced_;
}

bool RouteTable::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

std::size_t RouteTable::targets_remembered() const {
  const std::lock_guard lock(mutex_);
  return replicas_.size();
}

std::shared_ptr<const InstanceRoute> RouteTable::Find(const std::string& instance) const {
  const std::lock_guard lock(mutex_);
  const auto it = routes_.find(instance);
  return it == routes_.end() || it->second->stopped ? nullptr : it->second;
}

bool RouteTable::IsStoppedLocked(const std::string& instance) const {
  const auto it = routes_.find(instance);
  return it != routes_.end() && it->second->stopped;
}

bool RouteTable::IsStopped(const std::string& instance) const {
  const std::lock_guard lock(mutex_);
  return IsStoppedLocked(instance);
}

std::vector<std::shared_ptr<const InstanceRoute>> RouteTable::List(const std::string& project) const {
  const std::string prefix = project + "/instances/";
  std::vector<std::shared_ptr<const InstanceRoute>> out;
  const std::lock_guard lock(mutex_);
  for (auto it = routes_.lower_bound(prefix); it != routes_.end() && it->first.starts_with(prefix); ++it) {
    if (!it->second->stopped) out.push_back(it->second);
  }
  return out;
}

std::uint64_t RouteTable::OnNextChange(std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  waiters_[next_waiter_] = std::move(wake);
  return next_waiter_++;
}

std::uint64_t RouteTable::OnStopped(const std::string& instance, std::function<void()> end) {
  {
    const std::lock_guard lock(mutex_);
    if (!IsStoppedLocked(instance)) {
      runs_[next_waiter_] = {instance, std::move(end)};
      return next_waiter_++;
    }
  }
  end();
  return 0;
}

void RouteTable::Forget(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  waiters_.erase(id);
  runs_.erase(id);
}

bool EndedByChange(const InstanceRoute& then, const std::string& target, const InstanceRoute* now, bool was_ended) {
  if (!now) return true;
  if (MadeIn(*now, target)) return false;
  const std::string* made_in = MadeIn(then, target);
  return was_ended || (made_in && *made_in != now->revision);
}

std::shared_ptr<Replica> PickReplica(const InstanceRoute& route, std::span<const std::string> excluded) {
  std::shared_ptr<Replica> best;
  for (std::size_t i = 0; i < route.replicas.size(); ++i) {
    const std::shared_ptr<Replica>& replica = route.replicas[i];
    if (best && i == route.ready_count) break;
    if (std::ranges::find(excluded, replica->target) != excluded.end()) continue;
    if (!best || replica->outstanding_tokens.load() < best->outstanding_tokens.load()) best = replica;
  }
  return best;
}

std::unique_ptr<WatchLoop> WatchRoutes(std::shared_ptr<grpc::Channel> scheduling, RouteTable& table) {
  using Service = scheduling::v1::RouteService;
  return Watch("routes", Caller::Service("gateway"), Service::NewStub(scheduling),
               &Service::StubInterface::async_interface::WatchRoutes, &Service::Stub::AcknowledgeRoutes, table);
}

}  // namespace allod::gateway::serving
