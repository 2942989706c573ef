#include "scheduler/schedule.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "scheduler/placement.h"

namespace allod::scheduler {
namespace {

using Replicas = std::vector<const Replica*>;

// Replicas of one instance by what they are good for.
struct Census {
  Replicas usable;     // newest generation, on a node that reports or may come back within the grace
  Replicas broken;     // newest generation, lost or failed for longer than the grace
  Replicas stale;      // older generations
  Replicas misplaced;  // where they must not be
  Replicas doubled;    // on a node whose pool holds the instance already
  Replicas stopping;
};

class Round {
 public:
  explicit Round(const Snapshot& snapshot) : snapshot_(snapshot), pool_(snapshot) {
    for (const Replica& replica : snapshot.replicas) replicas_[replica.instance].push_back(&replica);
  }

  Plan Run() {
    std::set<Uuid> known;
    for (const Instance& instance : snapshot_.instances) {
      known.insert(instance.id);
      const auto it = replicas_.find(instance.id);
      Reconcile(instance, it == replicas_.end() ? Replicas{} : it->second);
    }
    for (const auto& [id, replicas] : replicas_) {
      if (known.contains(id)) continue;
      Retire(replicas, "the instance does not exist");
      Sweep(replicas);
    }
    return std::move(plan_);
  }

 private:
  bool OverdueNode(const Replica& replica) const {
    const Node* node = pool_.FindNode(replica.node);
    if (node == nullptr) return true;
    return node->state == NodeState::kLost && snapshot_.now - node->last_report > snapshot_.policy.replace_after;
  }
  bool Broken(const Replica& replica) const {
    if (OverdueNode(replica)) return true;
    return replica.state == ReplicaState::kFailed &&
           snapshot_.now - replica.state_time > snapshot_.policy.replace_after;
  }
  // Answers requests: ready or asleep, and its node reports.
  bool Answers(const Replica& replica) const {
    const Node* node = pool_.FindNode(replica.node);
    const bool ready = replica.state == ReplicaState::kReady || replica.state == ReplicaState::kAsleep;
    return ready && node != nullptr && node->state == NodeState::kReady;
  }
  bool Misplaced(const Instance& instance, const Replica& replica) const {
    const Node* node = pool_.FindNode(replica.node);
    if (node == nullptr) return false;
    if (!pool_.RefusalOn(instance, *node).empty()) return true;
    return replica.generation == instance.generation && node->region != instance.region;
  }

  Census Count(const Instance& instance, const Replicas& replicas) const {
    Census census;
    for (const Replica* replica : replicas) {
      if (replica->state == ReplicaState::kStopped) continue;
      if (replica->state == ReplicaState::kStopping) {
        census.stopping.push_back(replica);
      } else if (Misplaced(instance, *replica)) {
        census.misplaced.push_back(replica);
      } else if (replica->generation != instance.generation) {
        census.stale.push_back(replica);
      } else if (Broken(*replica)) {
        census.broken.push_back(replica);
      } else {
        census.usable.push_back(replica);
      }
    }
    if (instance.one_per_node) MoveDoubled(census);
    return census;
  }

  // Of several on one node the pool answers for the newest, unless an older one answers alone.
  void MoveDoubled(Census& census) const {
    std::ranges::sort(census.usable, [this](const Replica* a, const Replica* b) {
      return std::tuple(Answers(*b), b->epoch, b->id) < std::tuple(Answers(*a), a->epoch, a->id);
    });
    std::set<std::string> held;
    for (Replicas* replicas : {&census.usable, &census.broken}) {
      std::erase_if(*replicas, [&](const Replica* replica) {
        const bool doubled =
            replicas == &census.usable ? !held.insert(replica->node).second : held.contains(replica->node);
        if (doubled) census.doubled.push_back(replica);
        return doubled;
      });
    }
  }

  // When one of them will count as broken or gone if nothing happens.
  void NoteWaiting(const Uuid& instance, const Replicas& replicas) {
    std::optional<Time> until;
    const auto consider = [&](Time begin) {
      const Time at = begin + snapshot_.policy.replace_after + Time::duration(1);
      if (at > snapshot_.now && (!until || at < *until)) until = at;
    };
    for (const Replica* replica : replicas) {
      const Node* node = pool_.FindNode(replica->node);
      if (node != nullptr && node->state == NodeState::kLost) consider(node->last_report);
      if (replica->state == ReplicaState::kFailed) consider(replica->state_time);
    }
    if (until) plan_.waiting.push_back({instance, *until});
  }

  void Stop(const Replica& replica, std::string reason) {
    plan_.stops.push_back({replica.id, replica.epoch, std::move(reason)});
  }

  void Retire(const Replicas& replicas, const std::string& reason) {
    for (const Replica* replica : replicas) {
      if (replica->state != ReplicaState::kStopping && replica->state != ReplicaState::kStopped) Stop(*replica, reason);
    }
  }

  // Forgets what is gone.
  void Sweep(const Replicas& replicas) {
    for (const Replica* replica : replicas) {
      const bool gone = replica->state == ReplicaState::kStopped ||
                        (replica->state == ReplicaState::kStopping && OverdueNode(*replica));
      if (gone) plan_.removes.push_back({replica->id, replica->epoch});
    }
  }

  // Stops `count` of `replicas`, the least useful first: those that do not answer, then the youngest.
  void StopLeastUseful(Replicas replicas, std::size_t count, const std::string& reason) {
    std::ranges::sort(replicas, [this](const Replica* a, const Replica* b) {
      return std::tuple(Answers(*a), -a->epoch, a->id) < std::tuple(Answers(*b), -b->epoch, b->id);
    });
    for (std::size_t i = 0; i < std::min(count, replicas.size()); ++i) Stop(*replicas[i], reason);
  }

  // Where old and new do not fit together: lets one old replica go if its node then has, or comes closer to having,
  // room.
  void MakeWay(const Instance& instance, const Census& census) {
    const bool moving = !census.stopping.empty() || std::ranges::any_of(census.usable, [this](const Replica* replica) {
      return !Answers(*replica);
    });
    if (moving) return;
    std::set<Uuid> reclaimable;
    for (const Replica* replica : census.stale) reclaimable.insert(replica->id);
    for (const Replica* replica : census.stale) {
      const Node* node = pool_.FindNode(replica->node);
      if (node == nullptr || node->region != instance.region || node->state != NodeState::kReady) continue;
      if (!pool_.FitsWithout(replica->node, reclaimable, instance.demand)) continue;
      Stop(*replica, "makes room for the new generation");
      return;
    }
  }

  void Reconcile(const Instance& instance, const Replicas& replicas) {
    Sweep(replicas);
    NoteWaiting(instance.id, replicas);
    if (instance.deleting) {
      Retire(replicas, "the instance is being deleted");
      return;
    }
    if (!instance.refused.empty()) {
      Retire(replicas, instance.refused);
      return;
    }
    const Census census = Count(instance, replicas);
    for (const Replica* replica : census.misplaced) Stop(*replica, "its node is outside the region or the residency");
    for (const Replica* replica : census.doubled) Stop(*replica, "the pool of its node holds the instance already");

    const auto wanted = static_cast<std::size_t>(std::max(0, instance.replicas));
    const auto answering = static_cast<std::size_t>(
        std::ranges::count_if(census.usable, [this](const Replica* replica) { return Answers(*replica); }));
    const std::size_t stale_wanted = wanted - std::min(wanted, answering);

    std::set<std::string> excluded;
    for (const Replica* replica : census.broken) excluded.insert(replica->node);
    if (instance.one_per_node) {
      for (const Replica* replica : census.usable) excluded.insert(replica->node);
    }
    std::size_t present = census.usable.size();
    for (; present < wanted; ++present) {
      const auto node = pool_.Place(instance, excluded);
      if (!node) {
        plan_.unplaced.push_back({instance.id, static_cast<int>(wanted - present), node.error()});
        if (census.stale.size() <= stale_wanted) MakeWay(instance, census);
        break;
      }
      plan_.creates.push_back({instance.id, instance.version, instance.generation, *node, instance.demand});
      pool_.Take(*node, instance.id, instance.demand);
      if (instance.one_per_node) excluded.insert(*node);
    }

    if (census.usable.size() > wanted) {
      StopLeastUseful(census.usable, census.usable.size() - wanted, "more replicas than wanted");
    }
    if (answering >= wanted) {
      for (const Replica* replica : census.broken) Stop(*replica, "was replaced");
    }
    if (census.stale.size() > stale_wanted) {
      StopLeastUseful(census.stale, census.stale.size() - stale_wanted, "a newer generation answers");
    }
  }

  const Snapshot& snapshot_;
  Pool pool_;
  std::map<Uuid, Replicas> replicas_;
  Plan plan_;
};

}  // namespace

Plan Schedule(const Snapshot& snapshot) { return Round(snapshot).Run(); }

}  // namespace allod::scheduler
