// Where one replica may go: hard filters, then a score. The rules of residency live here.
#pragma once

#include <expected>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "scheduler/model.h"
#include "scheduler/occupancy.h"

namespace allod::scheduler {

// Why what an instance is on a node (kClassesOnNodes) may not be in `region`; empty if it may. A region that is not
// declared is refused: residency fails closed.
std::string ResidencyRefusal(const std::vector<Region>& regions, const ResidencyRules& residency,
                             const std::string& region);
// Why nothing may be on the node, whoever's it is: its region is not declared, or lies elsewhere than the node says.
// Empty if something may.
std::string NodeRefusal(const std::vector<Region>& regions, const Node& node);
// Of both.
std::string RefusalOn(const std::vector<Region>& regions, const ResidencyRules& residency, const Node& node);

// Free room and occupancy of every node, kept up to date while a plan grows. Refers to the snapshot; must not outlive
// it.
class Pool {
 public:
  explicit Pool(const Snapshot& snapshot);

  const Node* FindNode(std::string_view id) const;
  Resources Free(const std::string& node) const;
  int CountOf(const Uuid& instance, const std::string& node) const;
  void Take(const std::string& node, const Uuid& instance, const Demand& demand);
  // What one more such replica would take of the node: less where what it shares is there already.
  Resources Growth(const std::string& node, const Demand& demand) const;
  // Whether it would fit if these replicas were gone.
  bool FitsWithout(const std::string& node, const std::set<Uuid>& replicas, const Demand& demand) const;

  // Empty when the instance may run in `region`; else why not.
  std::string RefusalIn(const Instance& instance, const std::string& region) const;
  // Empty when the instance may run on `node`; else why not.
  std::string RefusalOn(const Instance& instance, const Node& node) const;

  // The node for one more replica: in the region, where it says that it is, reporting, not in `excluded`, not full,
  // with room for the demand. Nodes with fewer replicas of this instance come first (spread), then those that hold its
  // weights already, then those with the least memory left over (best fit), then by id. Otherwise the reason, for
  // people.
  std::expected<std::string, std::string> Place(const Instance& instance, const std::set<std::string>& excluded) const;

 private:
  struct Taken {
    Occupancy room;
    std::map<Uuid, int> replicas;  // by instance, those not stopping
    int count = 0;
    std::map<std::string, int, std::less<>> pool_members;  // by shared_key
    void Add(const Demand& demand);
  };
  // Why no further replica fits into the node's lists, however much room it has; empty when one does.
  std::string FullBecause(const std::string& node, const Demand& demand) const;
  const Snapshot& snapshot_;
  std::map<std::string, const Node*, std::less<>> nodes_;
  std::map<std::string, Taken, std::less<>> taken_;
};

// "1.2 GiB", "640 MiB": binary units, one decimal from GiB on.
std::string FormatBytes(std::int64_t bytes);

}  // namespace allod::scheduler
