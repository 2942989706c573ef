// When EscrowFunds looks at which tenant.
#include <utility>

#include "gateway/metering/escrow_parts.h"

namespace allod::gateway::metering {
namespace {

using std::chrono::steady_clock;

}  // namespace

void EscrowFunds::WakeAt(Tenant& tenant, SteadyTime when) {
  if (when >= tenant.due) return;
  tenant.due = when;
  Schedule(when, tenant.name);
}

void EscrowFunds::Schedule(SteadyTime when, const std::string& tenant) {
  {
    const std::lock_guard lock(timer_mutex_);
    timer_.emplace(when, tenant);
  }
  timer_changed_.notify_one();
}

void EscrowFunds::Loop(const std::stop_token& stop) {
  std::unique_lock lock(timer_mutex_);
  while (!stop.stop_requested()) {
    if (timer_.empty()) {
      timer_changed_.wait(lock, stop, [this] { return !timer_.empty(); });
      continue;
    }
    const SteadyTime first = timer_.begin()->first;
    if (steady_clock::now() < first) {
      timer_changed_.wait_until(lock, stop, first, [&] { return timer_.begin()->first < first; });
      continue;
    }
    const std::string tenant = std::move(timer_.begin()->second);
    timer_.erase(timer_.begin());
    lock.unlock();
    if (tenant.empty()) {
      StartEndCall();
    } else {
      Visit(tenant, first);
    }
    lock.lock();
  }
}

void EscrowFunds::Visit(const std::string& name, std::optional<SteadyTime> due) {
  Shard& shard = ShardOf(name);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.tenants.find(name);
  if (found == shard.tenants.end()) return;
  if (due && *due != found->second->due) return;  // another time took its place
  found->second->due = SteadyTime::max();
  Drive(shard, *found->second);
}

void EscrowFunds::VisitWaiting() {
  for (Shard& shard : shards_) {
    std::vector<std::string> names;
    {
      const std::lock_guard lock(shard.mutex);
      for (const auto& [name, tenant] : shard.tenants) {
        if (!tenant->waiting.empty()) names.push_back(name);
      }
    }
    for (const std::string& name : names) Visit(name, std::nullopt);
  }
}

}  // namespace allod::gateway::metering
