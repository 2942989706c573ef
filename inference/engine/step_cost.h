// What a compute step costs, learnt from the steps that were made, so that a step can be made to fit a time budget.
//
// The cost of a row (one token of the batch) falls with their number, because the weights are read once for all of
// them, and the processor's matrix code works in rows of four. So the seconds per row are kept as a moving average for
// each power of two of rows; between these they are taken as constant, which errs on the long side. Pure; one thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

namespace allod::inference::engine {

class StepCost {
 public:
  void Learn(std::int32_t rows, std::chrono::duration<double> took);
  // What a step of so many rows should take; 0 before anything was learnt.
  double SecondsOf(std::int32_t rows) const;
  // The most rows, up to `rows_max`, of a step that should take no longer than `budget`, or than twice of it where that
  // saves a third of what a row costs: a multiple of four, or less than four; at least 1. Before anything was learnt a
  // small number.
  std::int32_t RowsWithin(std::chrono::duration<double> budget, std::int32_t rows_max) const;

 private:
  std::int32_t Worthwhile(std::int32_t rows, std::chrono::duration<double> budget, std::int32_t rows_max) const;

  static constexpr int kBuckets = 12;           // 1, 2, 3-4, 5-8, ... rows
  std::array<double, kBuckets> row_seconds_{};  // 0: unknown
};

}  // namespace allod::inference::engine
