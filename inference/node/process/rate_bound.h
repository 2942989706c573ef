// How much somebody may say in a second; what is more waits. For one thread.
#pragma once

#include <chrono>
#include <cstdint>

namespace allod::inference::node::process {

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
  // How many whole seconds in a row before this one were spent.
  int SecondsSpent(SteadyTime now) {
    Roll(now);
    return seconds_spent_;
  }

 private:
  void Roll(SteadyTime now) {
    const auto second = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch());
    if (second == second_) return;
    const bool was_spent = used_ >= per_second_ && second == second_ + std::chrono::seconds(1);
    seconds_spent_ = was_spent ? seconds_spent_ + 1 : 0;
    used_ = 0;
    second_ = second;
  }

  std::int64_t per_second_;
  std::int64_t used_ = 0;
  int seconds_spent_ = 0;
  std::chrono::seconds second_{};
};

}  // namespace allod::inference::node::process
