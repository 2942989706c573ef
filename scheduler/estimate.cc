#include "scheduler/estimate.h"

#include <algorithm>
#include <cmath>

namespace allod::scheduler {
namespace {

constexpr double kBytesMax = 1152921504606846976.0;  // 2^60: three of them still add up
constexpr double kMiB = 1024.0 * 1024;
constexpr double kHolderBytes = 64 * kMiB;
constexpr double kWorkerBytes = 8 * kMiB;
constexpr double kMemberBytes = kMiB;
constexpr double kRepackFactor = 1.2;

std::int64_t Saturate(double bytes) { return static_cast<std::int64_t>(std::min(std::ceil(bytes), kBytesMax)); }

double KvBytes(const ModelFacts& model, std::int64_t context_tokens, std::int64_t sequences) {
  return static_cast<double>(KvBytesPerToken(model)) * static_cast<double>(context_tokens) *
         static_cast<double>(sequences);
}

}  // namespace

std::int64_t KvBytesPerToken(const ModelFacts& model) {
  if (model.kv_bytes_per_token > 0) return model.kv_bytes_per_token;
  const double parameters = model.parameter_count > 0 ? static_cast<double>(model.parameter_count)
                                                      : 2.0 * static_cast<double>(model.artifact_bytes);
  const double width = std::cbrt(parameters * 64.0 / 12.0);
  return static_cast<std::int64_t>(std::ceil(width * width / 16.0));
}

Demand DemandOf(const ModelFacts& model, const ReplicaShape& shape, const PoolShape& pool) {
  const double weights = static_cast<double>(model.artifact_bytes) * kRepackFactor + kHolderBytes;
  const double worker = KvBytes(model, shape.context_tokens, shape.max_concurrency) + kWorkerBytes;
  Demand demand;
  demand.own.cpu_millis = shape.cpu_millis;
  switch (shape.isolation_class) {
    case IsolationClass::kDedicated:
      demand.own.memory_bytes = Saturate(weights + worker);
      return demand;
    case IsolationClass::kIsolated:
      demand.own.memory_bytes = Saturate(worker);
      break;
    case IsolationClass::kPooled: {
      demand.own.memory_bytes = Saturate(kMemberBytes);
      std::int64_t context = pool.context_tokens;
      if (model.trained_context_tokens > 0) context = std::min(context, model.trained_context_tokens);
      demand.pool_bytes = Saturate(KvBytes(model, context, pool.sequences) + kWorkerBytes);
      break;
    }
  }
  demand.shared_key = model.artifact_sha256;
  demand.weights_bytes = Saturate(weights);
  return demand;
}

}  // namespace allod::scheduler
