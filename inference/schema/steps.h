// A bound on the work that one schema or grammar may make here.
//
// Few bytes of foreign text can ask for endless work: a definition used twice by the next one, and so on, doubles with
// each; and work that allocates nothing passes every look that AllocationBudget takes at the clock. So while a
// StepBudget is in force on a thread, all loops and recursions of this folder whose length foreign text decides, other
// than once through the text, count what they do, and the one that exceeds the budget throws TooLarge
// (inference/schema/grammar.h).
//
// The same input always takes the same steps: tens of thousands for an ordinary schema, some million for a pattern of
// thousands of states.
#pragma once

#include <cstdint>

namespace allod::inference::schema {

class StepBudget {
 public:
  // Some nanoseconds each.
  static constexpr std::uint64_t kStepsMax = 20'000'000;

  // In force until its end.
  StepBudget() : outer_(left_) { left_ = kStepsMax; }
  ~StepBudget() { left_ = outer_; }
  StepBudget(const StepBudget&) = delete;
  StepBudget& operator=(const StepBudget&) = delete;

  static void Spend(std::uint64_t steps = 1) {
    if (steps > left_) [[unlikely]]
      RunOut();
    left_ -= steps;
  }

 private:
  [[noreturn]] static void RunOut();

  inline static constinit thread_local std::uint64_t left_ = ~std::uint64_t{0};  // as good as endless
  const std::uint64_t outer_;
};

}  // namespace allod::inference::schema
