// How much somebody may say in a second; what is more waits. For one thread.
#pragma once

#include <chrono>
#include <cstdint>

namespace allod::inference::node {

class RateBound {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;
  explicit RateBound(std::int64_t per_second) : per_second_(per_second) {}

  void Count(std::int64_t amount, SteadyTime now) {
    Roll(now);
    used_ += amount;
  }
  bool IsSpent(SteadyTime now) {
    Roll(now);
    return used_ >= per_second_;
  }

 private:
  void Roll(SteadyTime now) {
    const auto second = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch());
    if (second != second_) used_ = 0;
    second_ = second;
  }

  std::int64_t per_second_;
  std::int64_t used_ = 0;
  std::chrono::seconds second_{};
};

}  // namespace allod::inference::node
