#include "scheduler/placement.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <tuple>

namespace allod::scheduler {

std::string ResidencyRefusal(const std::vector<Region>& regions, const ResidencyRules& residency,
                             const std::string& region) {
  const auto found = std::ranges::find(regions, region, &Region::id);
  if (found == regions.end()) return fmt::format("region {} is not declared in this installation", region);
  const std::string why = WhyOutside(residency, kClassesOnNodes, found->jurisdiction);
  if (why.empty()) return "";
  return fmt::format("region {} lies in jurisdiction {}, {}", region, found->jurisdiction, why);
}

std::string NodeRefusal(const std::vector<Region>& regions, const Node& node) {
  const auto found = std::ranges::find(regions, node.region, &Region::id);
  if (found == regions.end()) return fmt::format("region {} is not declared in this installation", node.region);
  if (node.jurisdiction == found->jurisdiction) return "";
  if (node.jurisdiction.empty()) {
    return fmt::format("node {} does not say in which jurisdiction it stands", node.id);
  }
  return fmt::format("node {} says that it stands in jurisdiction {}, and its region {} lies in {}", node.id,
                     node.jurisdiction, node.region, found->jurisdiction);
}

std::string RefusalOn(const std::vector<Region>& regions, const ResidencyRules& residency, const Node& node) {
  std::string why = NodeRefusal(regions, node);
  return why.empty() ? ResidencyRefusal(regions, residency, node.region) : why;
}

Pool::Pool(const Snapshot& snapshot) : snapshot_(snapshot) {
  for (const Node& node : snapshot.nodes) nodes_[node.id] = &node;
  for (const auto* replicas : {&snapshot.replicas, &snapshot.neighbours}) {
    for (const Replica& replica : *replicas) {
      if (replica.state == ReplicaState::kStopped) continue;
      Taken& taken = taken_[replica.node];
      taken.Add(replica.demand);
      if (replica.state != ReplicaState::kStopping) ++taken.replicas[replica.instance];
    }
  }
}

void Pool::Taken::Add(const Demand& demand) {
  room.Add(demand);
  ++count;
  if (demand.pooled()) ++pool_members[demand.shared_key];
}

const Node* Pool::FindNode(std::string_view id) const {
  const auto it = nodes_.find(id);
  return it == nodes_.end() ? nullptr : it->second;
}

Resources Pool::Free(const std::string& node) const {
  const Node* found = FindNode(node);
  if (found == nullptr) return {};
  const auto it = taken_.find(node);
  return it == taken_.end() ? found->capacity : found->capacity - it->second.room.Used();
}

int Pool::CountOf(const Uuid& instance, const std::string& node) const {
  const auto it = taken_.find(node);
  if (it == taken_.end()) return 0;
  const auto count = it->second.replicas.find(instance);
  return count == it->second.replicas.end() ? 0 : count->second;
}

void Pool::Take(const std::string& node, const Uuid& instance, const Demand& demand) {
  Taken& taken = taken_[node];
  taken.Add(demand);
  ++taken.replicas[instance];
}

std::string Pool::FullBecause(const std::string& node, const Demand& demand) const {
  const auto it = taken_.find(node);
  if (it == taken_.end()) return "";
  const Policy& policy = snapshot_.policy;
  if (it->second.count >= policy.node_replicas_max) {
    return fmt::format("it has {} replicas, the most that one node takes", it->second.count);
  }
  if (!demand.pooled()) return "";
  const auto members = it->second.pool_members.find(demand.shared_key);
  if (members == it->second.pool_members.end() || members->second < policy.pool_members_max) return "";
  return fmt::format("its pool of this model has {} members, the most that one takes", members->second);
}

Resources Pool::Growth(const std::string& node, const Demand& demand) const {
  const auto it = taken_.find(node);
  return it == taken_.end() ? demand.Alone() : it->second.room.Growth(demand);
}

bool Pool::FitsWithout(const std::string& node, const std::set<Uuid>& replicas, const Demand& demand) const {
  const Node* found = FindNode(node);
  if (found == nullptr) return false;
  Occupancy rest;
  for (const auto* all : {&snapshot_.replicas, &snapshot_.neighbours}) {
    for (const Replica& replica : *all) {
      const bool there = replica.node == node && replica.state != ReplicaState::kStopped;
      if (there && !replicas.contains(replica.id)) rest.Add(replica.demand);
    }
  }
  return (found->capacity - rest.Used()).Fits(rest.Growth(demand));
}

std::string Pool::RefusalIn(const Instance& instance, const std::string& region) const {
  return ResidencyRefusal(snapshot_.regions, instance.residency, region);
}

std::string Pool::RefusalOn(const Instance& instance, const Node& node) const {
  return scheduler::RefusalOn(snapshot_.regions, instance.residency, node);
}

std::expected<std::string, std::string> Pool::Place(const Instance& instance,
                                                    const std::set<std::string>& excluded) const {
  if (std::string refusal = RefusalIn(instance, instance.region); !refusal.empty()) {
    return std::unexpected(std::move(refusal));
  }
  int in_region = 0;
  int reporting = 0;
  int allowed = 0;
  int full = 0;
  std::string full_because;
  int elsewhere = 0;
  std::string elsewhere_because;
  // Of the node that comes closest, for the refusal.
  Resources best_free{-1, -1};
  Resources least_growth = instance.demand.Alone();
  std::int64_t best_slack = std::numeric_limits<std::int64_t>::min();
  const Node* best = nullptr;
  std::tuple<int, std::int64_t, std::int64_t, std::string_view> best_score;
  for (const Node& node : snapshot_.nodes) {
    if (node.region != instance.region) continue;
    ++in_region;
    if (std::string because = RefusalOn(instance, node); !because.empty()) {
      ++elsewhere;
      elsewhere_because = std::move(because);
      continue;
    }
    if (node.state != NodeState::kReady) continue;
    ++reporting;
    if (excluded.contains(node.id)) continue;
    ++allowed;
    if (std::string because = FullBecause(node.id, instance.demand); !because.empty()) {
      ++full;
      full_because = std::move(because);
      continue;
    }
    const Resources free = Free(node.id);
    const Resources growth = Growth(node.id, instance.demand);
    const std::int64_t slack = free.memory_bytes - growth.memory_bytes;
    best_free.cpu_millis = std::max(best_free.cpu_millis, free.cpu_millis);
    if (slack > best_slack) {
      best_slack = slack;
      best_free.memory_bytes = free.memory_bytes;
      least_growth = growth;
    }
    if (!free.Fits(growth)) continue;
    const std::tuple score(CountOf(instance.id, node.id), growth.memory_bytes, slack, std::string_view(node.id));
    if (best == nullptr || score < best_score) {
      best = &node;
      best_score = score;
    }
  }
  if (best != nullptr) return best->id;

  const std::string have = fmt::format("region {} has {} node{}", instance.region,
                                       in_region == 0 ? "no" : std::to_string(in_region), in_region == 1 ? "" : "s");
  if (in_region == 0) return std::unexpected(fmt::format("region {} has no node", instance.region));
  if (elsewhere == in_region) return std::unexpected(fmt::format("{}; {}", have, elsewhere_because));
  if (reporting == 0)
    return std::unexpected(have + (in_region == 1 ? "; it does not report" : "; none of them reports"));
  if (allowed == 0 && instance.one_per_node) {
    return std::unexpected(have + "; the pooled class holds an instance once on each");
  }
  if (allowed == 0) return std::unexpected(have + "; there is no other one to replace a failed replica on");
  if (full == allowed) return std::unexpected(have + "; " + full_because);
  if (best_slack < 0) {
    return std::unexpected(fmt::format("{}; needs {}, {} free", have, FormatBytes(least_growth.memory_bytes),
                                       FormatBytes(std::max<std::int64_t>(0, best_free.memory_bytes))));
  }
  if (best_free.cpu_millis < least_growth.cpu_millis) {
    return std::unexpected(fmt::format("{}; needs {} thousandths of a core, {} free", have, least_growth.cpu_millis,
                                       std::max<std::int64_t>(0, best_free.cpu_millis)));
  }
  return std::unexpected(fmt::format("{}; none of them has both {} and {} thousandths of a core free", have,
                                     FormatBytes(least_growth.memory_bytes), least_growth.cpu_millis));
}

std::string FormatBytes(std::int64_t bytes) {
  constexpr std::int64_t kMiB = 1024 * 1024;
  if (bytes >= 1024 * kMiB / 2) {
    return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / (1024.0 * static_cast<double>(kMiB)));
  }
  return fmt::format("{} MiB", (bytes + kMiB - 1) / kMiB);
}

}  // namespace allod::scheduler
