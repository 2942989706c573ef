// What replicas take of one node together: their own needs added up, shared memory counted once per key.
//
// A value; for one thread at a time. Cost: O(log keys) per replica.
#pragma once

#include <map>
#include <string>

#include "scheduler/model.h"

namespace allod::scheduler {

class Occupancy {
 public:
  void Add(const Demand& demand);
  Resources Used() const;
  // By how much Used() would grow with one more: less than its whole demand where what it shares is there already.
  Resources Growth(const Demand& demand) const;

 private:
  struct Shared {
    std::int64_t weights_bytes = 0;
    std::int64_t pool_bytes = 0;
  };
  Resources own_;
  std::map<std::string, Shared, std::less<>> shared_;
  std::int64_t shared_bytes_ = 0;
};

}  // namespace allod::scheduler
