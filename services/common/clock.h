// Time, passed in so that decisions can be tested without waiting.
#pragma once

#include <chrono>

namespace allod {

using Time = std::chrono::system_clock::time_point;

// What the database resolves: so floored, what is answered now equals what is read later.
inline Time FloorToMicros(Time time) { return std::chrono::floor<std::chrono::microseconds>(time); }

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time Now() const = 0;  // thread-safe
};

class SystemClock final : public Clock {
 public:
  Time Now() const override { return std::chrono::system_clock::now(); }
};

}  // namespace allod
