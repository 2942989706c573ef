// Makes the partitions of usage records before their months begin. Several processes may do so; a record that comes
// before its partition is not lost, but kept in the default one until then.
#pragma once

#include "services/common/owned_thread.h"
#include "services/common/result.h"

namespace allod::billing::analysis {

class PartitionStore {
 public:
  virtual ~PartitionStore() = default;
  // Of this month and of `ahead` months (0 to 24) after it, by the clock of the database, those that are not there;
  // returns how many. UNAVAILABLE / LOCK_TIMEOUT and the like while others are in the way: nothing has changed then.
  virtual Result<int> MakePartitions(int ahead) = 0;
};

inline constexpr int kPartitionsAhead = 3;

// Owns one thread from Start() to Stop().
class PartitionMaker {
 public:
  explicit PartitionMaker(PartitionStore& store) : store_(store) {}  // outlives it
  ~PartitionMaker() { Stop(); }

  void Start();
  void Stop();  // joins; idempotent

 private:
  void Loop(const std::stop_token& stop);

  PartitionStore& store_;
  OwnedThread thread_;
};

}  // namespace allod::billing::analysis
