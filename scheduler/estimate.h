// How much memory one worker needs, before it was ever started.
#pragma once

#include <cstdint>

namespace allod::scheduler {

struct ModelFacts {
  std::int64_t artifact_bytes = 0;
  std::int64_t parameter_count = 0;  // 0: unknown
};

// Bytes of KV cache for one token, an upper bound for dense transformers without shared key/value heads.
//
// A layer of width d has about 12 d^2 parameters, and a model about d / 64 layers, so d = cbrt(parameters * 64 / 12).
// Keys and values at 16 bits take 2 * 2 * d bytes a layer: d^2 / 16 in all. Embeddings make d come out larger than it
// is, and models with grouped-query attention need 2 to 8 times less: the estimate errs to the safe side. An unknown
// parameter count is taken from the artifact at half a byte each (4-bit weights), the most that the file can hold.
std::int64_t KvBytesPerToken(const ModelFacts& model);

// artifact * 1.2 (weights are repacked at load) + KV cache of all sequences + 64 MiB for the process.
// Saturates at 2^62 bytes instead of overflowing. All arguments must be >= 0.
std::int64_t ReplicaMemoryBytes(const ModelFacts& model, std::int64_t context_tokens, std::int64_t max_concurrency);

}  // namespace allod::scheduler
