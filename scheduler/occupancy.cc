#include "scheduler/occupancy.h"

#include <algorithm>

namespace allod::scheduler {

Resources Occupancy::Growth(const Demand& demand) const {
  Resources growth = demand.own;
  if (demand.shared_key.empty()) return growth;
  const auto it = shared_.find(demand.shared_key);
  const Shared there = it == shared_.end() ? Shared{} : it->second;
  growth.memory_bytes += std::max<std::int64_t>(0, demand.weights_bytes - there.weights_bytes) +
                         std::max<std::int64_t>(0, demand.pool_bytes - there.pool_bytes);
  return growth;
}

void Occupancy::Add(const Demand& demand) {
  shared_bytes_ += Growth(demand).memory_bytes - demand.own.memory_bytes;
  own_ = own_ + demand.own;
  if (demand.shared_key.empty()) return;
  Shared& there = shared_[demand.shared_key];
  there.weights_bytes = std::max(there.weights_bytes, demand.weights_bytes);
  there.pool_bytes = std::max(there.pool_bytes, demand.pool_bytes);
}

Resources Occupancy::Used() const { return {own_.memory_bytes + shared_bytes_, own_.cpu_millis}; }

}  // namespace allod::scheduler
