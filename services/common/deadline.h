// Until when something is to be done. On the steady clock, so that setting the system's clock moves no deadline.
// A value; thread-safe as such.
#pragma once

#include <algorithm>
#include <chrono>

#include "services/common/result.h"

namespace allod {

class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  static Deadline None() { return Deadline(Clock::time_point::max()); }
  static Deadline At(Clock::time_point when) { return Deadline(when); }
  static Deadline In(std::chrono::milliseconds left) { return Deadline(Clock::now() + left); }

  bool is_none() const { return when_ == Clock::time_point::max(); }
  // Less than a millisecond is left.
  bool passed() const { return !is_none() && Left() <= std::chrono::milliseconds(0); }
  // The shorter of `timeout` and what is left: 0 once it has passed, never less.
  std::chrono::milliseconds Bound(std::chrono::milliseconds timeout) const {
    return is_none() ? timeout : std::max(std::chrono::milliseconds(0), std::min(Left(), timeout));
  }

 private:
  explicit Deadline(Clock::time_point when) : when_(when) {}
  std::chrono::milliseconds Left() const { return std::chrono::floor<std::chrono::milliseconds>(when_ - Clock::now()); }

  Clock::time_point when_;
};

// DEADLINE_EXCEEDED / DEADLINE_EXCEEDED: of work that was not done, or given up, because nobody would wait for it.
inline Error DeadlineExceeded() {
  return Error{Code::kDeadlineExceeded, "DEADLINE_EXCEEDED",
               "the deadline of the call came before its work was done; allow more time"};
}

}  // namespace allod
