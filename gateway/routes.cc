#include "gateway/routes.h"

#include <algorithm>

#include "allod/scheduling/v1/node.grpc.pb.h"

namespace allod::gateway {

namespace {

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

}  // namespace

void RouteTable::Apply(const scheduling::v1::WatchRoutesResponse& message) {
  std::unordered_map<std::uint64_t, std::function<void()>> woken;
  {
    const std::lock_guard lock(mutex_);
    std::map<std::string, std::shared_ptr<const InstanceRoute>> routes;
    std::unordered_map<std::string, std::shared_ptr<Replica>> replicas;
    for (const auto& route : message.routes()) {
      auto entry = std::make_shared<InstanceRoute>();
      entry->instance = route.instance();
      entry->variant = route.variant();
      entry->price_book = route.price_book();
      entry->context_tokens = route.context_tokens();
      entry->isolation_class = IsolationClassText(route.isolation_class());
      entry->create_time = route.create_time().seconds();
      entry->ready_count = static_cast<std::size_t>(std::max(route.ready_target_count(), 0));
      for (const std::string& target : route.targets()) {
        std::shared_ptr<Replica>& replica = replicas[target];
        if (!replica) {
          const auto known = replicas_.find(target);
          replica = known == replicas_.end() ? std::make_shared<Replica>(target) : known->second;
        }
        entry->replicas.push_back(replica);
      }
      routes[route.instance()] = std::move(entry);
    }
    routes_ = std::move(routes);
    replicas_ = std::move(replicas);
    synced_ = true;
    woken.swap(waiters_);
  }
  for (const auto& [id, wake] : woken) wake();
}

bool RouteTable::synced() const {
  const std::lock_guard lock(mutex_);
  return synced_;
}

std::shared_ptr<const InstanceRoute> RouteTable::Find(const std::string& instance) const {
  const std::lock_guard lock(mutex_);
  const auto it = routes_.find(instance);
  return it == routes_.end() ? nullptr : it->second;
}

std::vector<std::shared_ptr<const InstanceRoute>> RouteTable::List(const std::string& project) const {
  const std::string prefix = project + "/instances/";
  std::vector<std::shared_ptr<const InstanceRoute>> out;
  const std::lock_guard lock(mutex_);
  for (auto it = routes_.lower_bound(prefix); it != routes_.end() && it->first.starts_with(prefix); ++it) {
    out.push_back(it->second);
  }
  return out;
}

std::uint64_t RouteTable::OnNextChange(std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  waiters_[next_waiter_] = std::move(wake);
  return next_waiter_++;
}

void RouteTable::Forget(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  waiters_.erase(id);
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
  return std::make_unique<WatchLoop>("routes", [scheduling, &table](grpc::ClientContext& context) {
    const auto stub = scheduling::v1::RouteService::NewStub(scheduling);
    const auto reader = stub->WatchRoutes(&context, scheduling::v1::WatchRoutesRequest());
    scheduling::v1::WatchRoutesResponse message;
    while (reader->Read(&message)) table.Apply(message);
    return reader->Finish();
  });
}

}  // namespace allod::gateway
