#include "inference/engine/step_cost.h"

#include <algorithm>
#include <bit>

namespace allod::inference::engine {
namespace {

// Enough that a chunk of a prompt does not cost nearly as much as a larger one.
constexpr std::int32_t kRowsUnknown = 32;
constexpr double kNewWeight = 0.3;
// A budget is exceeded as far as this where fewer rows would cost half as much again by the row: where a step of one
// row reads all weights for one token, everybody's turns would be spent on that.
constexpr double kOverBudgetMax = 2;
constexpr double kWorthwhileSaving = 2.0 / 3;

int BucketOf(std::int32_t rows, int buckets) {
  return std::min(buckets - 1, static_cast<int>(std::bit_width(static_cast<std::uint32_t>(rows - 1))));
}

// Whole rows of four where there are that many.
std::int32_t Efficient(std::int32_t rows) { return rows < 4 ? std::max(rows, 1) : rows / 4 * 4; }

}  // namespace

void StepCost::Learn(std::int32_t rows, std::chrono::duration<double> took) {
  if (rows <= 0) return;
  double& average = row_seconds_[static_cast<std::size_t>(BucketOf(rows, kBuckets))];
  const double now = took.count() / rows;
  average = average == 0 ? now : (1 - kNewWeight) * average + kNewWeight * now;
}

double StepCost::SecondsOf(std::int32_t rows) const {
  const int bucket = BucketOf(rows, kBuckets);
  // A size that is not known costs what the next smaller one does by the row, or else the next larger one.
  for (int at = bucket; at >= 0; --at) {
    if (const double seconds = row_seconds_[static_cast<std::size_t>(at)]; seconds > 0) return seconds * rows;
  }
  for (int at = bucket + 1; at < kBuckets; ++at) {
    if (const double seconds = row_seconds_[static_cast<std::size_t>(at)]; seconds > 0) return seconds * rows;
  }
  return 0;
}

std::int32_t StepCost::RowsWithin(std::chrono::duration<double> budget, std::int32_t rows_max) const {
  bool knows = false;
  std::int32_t cap = rows_max;  // below the sizes that were found too long
  // From above: the first size whose own cost allows at least its smallest number of rows.
  for (int bucket = kBuckets - 1; bucket >= 0; --bucket) {
    const double seconds = row_seconds_[static_cast<std::size_t>(bucket)];
    if (seconds == 0) continue;
    const std::int32_t least = bucket == 0 ? 1 : (1 << (bucket - 1)) + 1;
    // Beyond a size that is known its cost per row is taken: larger steps are cheaper by the row.
    const double most = std::min(budget.count() / seconds, static_cast<double>(cap));
    if (most >= least) return Worthwhile(Efficient(static_cast<std::int32_t>(most)), budget, rows_max);
    knows = true;
    cap = std::min(cap, std::max(1, least - 1));
  }
  return knows ? Worthwhile(1, budget, rows_max) : Efficient(std::min(kRowsUnknown, rows_max));
}

std::int32_t StepCost::Worthwhile(std::int32_t rows, std::chrono::duration<double> budget,
                                  std::int32_t rows_max) const {
  double seconds = row_seconds_[static_cast<std::size_t>(BucketOf(rows, kBuckets))];
  for (int bucket = BucketOf(rows, kBuckets) + 1; bucket < kBuckets; ++bucket) {
    const double larger = row_seconds_[static_cast<std::size_t>(bucket)];
    const std::int32_t size = 1 << bucket;
    if (larger == 0) continue;
    if (size > rows_max || larger * size > kOverBudgetMax * budget.count()) break;
    if (seconds > 0 && larger > kWorthwhileSaving * seconds) continue;
    rows = size;
    seconds = larger;
  }
  return rows;
}

}  // namespace allod::inference::engine
