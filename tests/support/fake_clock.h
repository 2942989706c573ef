// A clock that stands still until a test moves it. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>

#include "services/common/clock.h"

namespace allod {

class FakeClock final : public Clock {
 public:
  FakeClock() : FakeClock(Time(std::chrono::sys_days(std::chrono::year(2030) / 1 / 1))) {}
  explicit FakeClock(Time now) : now_(now.time_since_epoch().count()) {}
  Time Now() const override { return Time(Time::duration(now_.load())); }
  void Set(Time now) { now_ = now.time_since_epoch().count(); }
  void Advance(std::chrono::nanoseconds by) { now_ += std::chrono::duration_cast<Time::duration>(by).count(); }

 private:
  std::atomic<Time::rep> now_;
};

}  // namespace allod
