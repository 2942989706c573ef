#include "scheduler/estimate.h"

#include <algorithm>
#include <cmath>

namespace allod::scheduler {
namespace {

constexpr double kBytesMax = 4611686018427387904.0;  // 2^62
constexpr double kProcessBytes = 64.0 * 1024 * 1024;
constexpr double kRepackFactor = 1.2;

}  // namespace

std::int64_t KvBytesPerToken(const ModelFacts& model) {
  const double parameters = model.parameter_count > 0 ? static_cast<double>(model.parameter_count)
                                                      : 2.0 * static_cast<double>(model.artifact_bytes);
  const double width = std::cbrt(parameters * 64.0 / 12.0);
  return static_cast<std::int64_t>(std::ceil(width * width / 16.0));
}

std::int64_t ReplicaMemoryBytes(const ModelFacts& model, std::int64_t context_tokens, std::int64_t max_concurrency) {
  const double kv = static_cast<double>(KvBytesPerToken(model)) * static_cast<double>(context_tokens) *
                    static_cast<double>(max_concurrency);
  const double total = static_cast<double>(model.artifact_bytes) * kRepackFactor + kv + kProcessBytes;
  return static_cast<std::int64_t>(std::min(std::ceil(total), kBytesMax));
}

}  // namespace allod::scheduler
