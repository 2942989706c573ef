// The regions as they are, for all who decide by them: the newest version of each, kept in memory. Versions only grow,
// so whoever read rows of before cannot put an older one back. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "services/common/change_signal.h"
#include "services/scheduling/region.h"

namespace allod::scheduling {

struct Regions {
  std::vector<RegionVersion> rows;        // by id
  std::vector<scheduler::Region> places;  // the same, as decisions take them
};

class RegionBoard {
 public:
  // `news` wakes the reconciler; it outlives the board.
  explicit RegionBoard(ChangeSignal& news) : news_(news) {}

  struct Seen {
    std::uint64_t number = 0;                          // of what was put last
    std::shared_ptr<const Regions> regions = nullptr;  // null: they were never read
  };
  Seen Read() const;
  // Answers with a number that grows.
  std::uint64_t Put(const std::vector<RegionVersion>& versions);
  // Until what was put under this number is in force: routes are published accordingly. False when `wait` was over
  // first.
  bool AwaitInForce(std::uint64_t number, std::chrono::milliseconds wait);
  // For the reconciler.
  void SetInForce(std::uint64_t number);

 private:
  ChangeSignal& news_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, RegionVersion> newest_;
  Seen seen_;
  std::uint64_t in_force_ = 0;
};

// UNAVAILABLE / REGIONS_NOT_READ while the database was never asked for them.
Status CheckRead(const RegionBoard::Seen& seen);

}  // namespace allod::scheduling
