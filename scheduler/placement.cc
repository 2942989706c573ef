#include "scheduler/placement.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <tuple>

namespace allod::scheduler {

Pool::Pool(const Snapshot& snapshot) : snapshot_(snapshot) {
  for (const Node& node : snapshot.nodes) nodes_[node.id] = &node;
  for (const Replica& replica : snapshot.replicas) {
    if (replica.state == ReplicaState::kStopped) continue;
    Occupancy& occupancy = occupancy_[replica.node];
    occupancy.used = occupancy.used + replica.demand;
    if (replica.state != ReplicaState::kStopping) ++occupancy.replicas[replica.instance];
  }
}

const Node* Pool::FindNode(std::string_view id) const {
  const auto it = nodes_.find(id);
  return it == nodes_.end() ? nullptr : it->second;
}

const Region* Pool::FindRegion(std::string_view id) const {
  const auto it = std::ranges::find(snapshot_.regions, id, &Region::id);
  return it == snapshot_.regions.end() ? nullptr : &*it;
}

Resources Pool::Free(const std::string& node) const {
  const Node* found = FindNode(node);
  if (found == nullptr) return {};
  const auto it = occupancy_.find(node);
  return it == occupancy_.end() ? found->capacity : found->capacity - it->second.used;
}

int Pool::CountOf(const Uuid& instance, const std::string& node) const {
  const auto it = occupancy_.find(node);
  if (it == occupancy_.end()) return 0;
  const auto count = it->second.replicas.find(instance);
  return count == it->second.replicas.end() ? 0 : count->second;
}

void Pool::Take(const std::string& node, const Uuid& instance, const Resources& demand) {
  Occupancy& occupancy = occupancy_[node];
  occupancy.used = occupancy.used + demand;
  ++occupancy.replicas[instance];
}

std::string Pool::ResidencyRefusal(const Instance& instance, const std::string& region) const {
  const Region* found = FindRegion(region);
  if (found == nullptr) return fmt::format("region {} is not declared in this installation", region);
  if (std::ranges::find(instance.residency, found->jurisdiction) == instance.residency.end()) {
    return fmt::format("region {} lies in jurisdiction {}, outside the tenant's residency ({})", region,
                       found->jurisdiction, fmt::join(instance.residency, ", "));
  }
  return "";
}

std::expected<std::string, std::string> Pool::Place(const Instance& instance,
                                                    const std::set<std::string>& excluded) const {
  if (std::string refusal = ResidencyRefusal(instance, instance.region); !refusal.empty()) {
    return std::unexpected(std::move(refusal));
  }
  int in_region = 0;
  int reporting = 0;
  int allowed = 0;
  Resources best_free{-1, -1};
  const Node* best = nullptr;
  std::tuple<int, std::int64_t, std::string_view> best_score;
  for (const Node& node : snapshot_.nodes) {
    if (node.region != instance.region) continue;
    ++in_region;
    if (node.state != NodeState::kReady) continue;
    ++reporting;
    if (excluded.contains(node.id)) continue;
    ++allowed;
    const Resources free = Free(node.id);
    best_free.memory_bytes = std::max(best_free.memory_bytes, free.memory_bytes);
    best_free.cpu_millis = std::max(best_free.cpu_millis, free.cpu_millis);
    if (!free.Fits(instance.demand)) continue;
    const std::tuple score(CountOf(instance.id, node.id), free.memory_bytes - instance.demand.memory_bytes,
                           std::string_view(node.id));
    if (best == nullptr || score < best_score) {
      best = &node;
      best_score = score;
    }
  }
  if (best != nullptr) return best->id;

  const std::string have = fmt::format("region {} has {} node{}", instance.region,
                                       in_region == 0 ? "no" : std::to_string(in_region), in_region == 1 ? "" : "s");
  if (in_region == 0) return std::unexpected(fmt::format("region {} has no node", instance.region));
  if (reporting == 0)
    return std::unexpected(have + (in_region == 1 ? "; it does not report" : "; none of them reports"));
  if (allowed == 0) return std::unexpected(have + "; there is no other one to replace a failed replica on");
  if (best_free.memory_bytes < instance.demand.memory_bytes) {
    return std::unexpected(fmt::format("{}; needs {}, {} free", have, FormatBytes(instance.demand.memory_bytes),
                                       FormatBytes(std::max<std::int64_t>(0, best_free.memory_bytes))));
  }
  if (best_free.cpu_millis < instance.demand.cpu_millis) {
    return std::unexpected(fmt::format("{}; needs {} thousandths of a core, {} free", have, instance.demand.cpu_millis,
                                       std::max<std::int64_t>(0, best_free.cpu_millis)));
  }
  return std::unexpected(fmt::format("{}; none of them has both {} and {} thousandths of a core free", have,
                                     FormatBytes(instance.demand.memory_bytes), instance.demand.cpu_millis));
}

std::string FormatBytes(std::int64_t bytes) {
  constexpr std::int64_t kMiB = 1024 * 1024;
  if (bytes >= 1024 * kMiB / 2) {
    return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / (1024.0 * static_cast<double>(kMiB)));
  }
  return fmt::format("{} MiB", (bytes + kMiB - 1) / kMiB);
}

}  // namespace allod::scheduler
