#include "scheduler/occupancy.h"

#include <gtest/gtest.h>

namespace allod::scheduler::occupancy_test {
namespace {

Demand Isolated(const std::string& weights) { return {{10, 5}, weights, 100, 0}; }
Demand Pooled(const std::string& weights) { return {{1, 5}, weights, 100, 40}; }
Demand Dedicated() { return {{110, 5}, "", 0, 0}; }

struct Case {
  const char* name;
  std::vector<Demand> there;
  Demand next;
  std::int64_t used;
  std::int64_t growth;
};

class OccupancyTable : public testing::TestWithParam<Case> {};

TEST_P(OccupancyTable, CountsWhatIsSharedOnce) {
  Occupancy occupancy;
  for (const Demand& demand : GetParam().there) occupancy.Add(demand);
  EXPECT_EQ(occupancy.Used().memory_bytes, GetParam().used);
  EXPECT_EQ(occupancy.Used().cpu_millis, static_cast<std::int64_t>(5 * GetParam().there.size()));
  EXPECT_EQ(occupancy.Growth(GetParam().next).memory_bytes, GetParam().growth);
  occupancy.Add(GetParam().next);
  EXPECT_EQ(occupancy.Used().memory_bytes, GetParam().used + GetParam().growth) << "growth is what adding adds";
}

INSTANTIATE_TEST_SUITE_P(
    All, OccupancyTable,
    testing::Values(Case{"EmptyNode", {}, Isolated("a"), 0, 110},
                    Case{"SecondIsolated", {Isolated("a")}, Isolated("a"), 110, 10},
                    Case{"OtherWeights", {Isolated("a")}, Isolated("b"), 110, 110},
                    Case{"FirstPooledBesideIsolated", {Isolated("a")}, Pooled("a"), 110, 41},
                    Case{"SecondPooled", {Pooled("a")}, Pooled("a"), 141, 1},
                    Case{"IsolatedBesidePooled", {Pooled("a")}, Isolated("a"), 141, 10},
                    Case{"DedicatedSharesNothing", {Isolated("a")}, Dedicated(), 110, 110},
                    Case{"DedicatedHelpsNobody", {Dedicated()}, Isolated("a"), 110, 110},
                    Case{"LargerEstimateOfTheSameWeights", {Isolated("a")}, Demand{{10, 5}, "a", 120, 0}, 110, 30}),
    [](const auto& c) { return std::string(c.param.name); });

}  // namespace
}  // namespace allod::scheduler::occupancy_test
