// Time, passed in so that decisions can be tested without waiting.
#pragma once

#include <chrono>

namespace allod {

using Time = std::chrono::system_clock::time_point;

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
