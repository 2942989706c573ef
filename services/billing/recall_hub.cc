#include "services/billing/recall_hub.h"

#include <fmt/format.h>

namespace allod::billing {
namespace {

constexpr std::size_t kToldMax = 10'000;  // then those of before kRecallEvery are forgotten

}  // namespace

RecallHub::Place::~Place() {
  if (hub_ == nullptr) return;
  const std::lock_guard lock(hub_->mutex_);
  hub_->watchers_.erase(number_);
}

std::vector<RecallHub::Recall> RecallHub::Place::Next(std::chrono::milliseconds wait) {
  std::unique_lock lock(hub_->mutex_);
  std::set<Recall>& waiting = hub_->watchers_.at(number_).waiting;
  hub_->changed_.wait_for(lock, wait, [&] { return !waiting.empty(); });
  std::vector<Recall> out(waiting.begin(), waiting.end());
  waiting.clear();
  return out;
}

Result<RecallHub::Place> RecallHub::Join(Uuid gateway) {
  const std::lock_guard lock(mutex_);
  if (watchers_.size() >= static_cast<std::size_t>(kWatchersMax)) {
    return Fail(Code::kResourceExhausted, "TOO_MANY_WATCHERS",
                fmt::format("{} watchers of recalls are connected already; try again", kWatchersMax));
  }
  watchers_.emplace(next_, Watcher{.gateway = gateway, .waiting = {}});
  return Place(*this, next_++);
}

bool RecallHub::IsTooSoon(const std::string& tenant_name, SteadyTime now) {
  const auto last = told_.find(tenant_name);
  if (last != told_.end() && now - last->second < kRecallEvery) return true;
  if (told_.size() >= kToldMax) {
    std::erase_if(told_, [&](const auto& entry) { return now - entry.second >= kRecallEvery; });
  }
  if (told_.size() >= kToldMax) return true;
  told_[tenant_name] = now;
  return false;
}

void RecallHub::Tell(const std::string& tenant_name, const std::vector<LeaseRecall>& recalls, SteadyTime now) {
  if (recalls.empty()) return;
  const std::lock_guard lock(mutex_);
  if (IsTooSoon(tenant_name, now)) return;
  for (auto& [number, watcher] : watchers_) {
    for (const LeaseRecall& recall : recalls) {
      if (recall.gateway != watcher.gateway || watcher.waiting.size() >= kWaitingMax) continue;
      watcher.waiting.insert({tenant_name, recall.lease, recall.budget});
    }
  }
  changed_.notify_all();
}

void RecallHub::TellBudgets(const std::string& tenant_name) {
  const std::lock_guard lock(mutex_);
  for (auto& [number, watcher] : watchers_) {
    if (watcher.waiting.size() < kWaitingMax) watcher.waiting.insert({tenant_name, Uuid()});
  }
  changed_.notify_all();
}

}  // namespace allod::billing
