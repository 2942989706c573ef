#include "scheduler/estimate.h"

#include <gtest/gtest.h>

namespace allod::scheduler {
namespace {

struct Known {
  const char* name;
  std::int64_t parameters;
  std::int64_t kv_bytes_per_token;  // what the published architecture needs at 16 bits
};

TEST(KvBytesPerToken, IsNotBelowWhatKnownArchitecturesNeed) {
  for (const Known& model : {Known{"Llama-2-7B", 6'738'000'000, 524'288}, Known{"Llama-3-8B", 8'030'000'000, 131'072},
                             Known{"Pythia-410M", 405'334'016, 98'304}, Known{"TinyLlama-1.1B", 1'100'000'000, 22'528},
                             Known{"SmolLM2-135M", 134'515'008, 23'040}}) {
    EXPECT_GE(KvBytesPerToken({1, model.parameters}), model.kv_bytes_per_token) << model.name;
  }
}

TEST(KvBytesPerToken, TakesAnUnknownParameterCountFromTheArtifact) {
  EXPECT_EQ(KvBytesPerToken({500, 0}), KvBytesPerToken({0, 1000}));
}

TEST(ReplicaMemoryBytes, AddsWeightsCacheAndProcess) {
  const ModelFacts model{1000, 12'000'000};
  EXPECT_EQ(ReplicaMemoryBytes(model, 0, 4), 1200 + (64 << 20));
  EXPECT_EQ(ReplicaMemoryBytes(model, 10, 2) - ReplicaMemoryBytes(model, 0, 2), 20 * KvBytesPerToken(model));
}

TEST(ReplicaMemoryBytes, SaturatesInsteadOfOverflowing) {
  EXPECT_EQ(ReplicaMemoryBytes({INT64_MAX, INT64_MAX}, INT32_MAX, 64), std::int64_t{1} << 62);
}

}  // namespace
}  // namespace allod::scheduler
