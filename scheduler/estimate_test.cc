#include "scheduler/estimate.h"

#include <gtest/gtest.h>

namespace allod::scheduler::estimate_test {
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
    EXPECT_GE(KvBytesPerToken({"", 1, model.parameters}), model.kv_bytes_per_token) << model.name;
  }
}

TEST(KvBytesPerToken, TakesAnUnknownParameterCountFromTheArtifact) {
  EXPECT_EQ(KvBytesPerToken({"", 500, 0}), KvBytesPerToken({"", 0, 1000}));
}

TEST(KvBytesPerToken, BelievesWhatTheModelSaysOfItself) {
  EXPECT_EQ(KvBytesPerToken({.artifact_bytes = 1, .parameter_count = 8'030'000'000, .kv_bytes_per_token = 131'072}),
            131'072);
}

constexpr std::int64_t kMiB = 1 << 20;

// 1000 bytes of weights (1200 when loaded, and 64 MiB for who holds them), 10 bytes of KV a token.
ModelFacts Model() { return {"aa", 1000, 0, 10, 2048}; }

struct DemandCase {
  const char* name;
  ReplicaShape shape;
  Demand demand;
};

class DemandTable : public testing::TestWithParam<DemandCase> {};

TEST_P(DemandTable, AddsWeightsCacheAndProcess) {
  EXPECT_EQ(DemandOf(Model(), GetParam().shape, PoolShape{16, 4096}), GetParam().demand);
}

INSTANTIATE_TEST_SUITE_P(All, DemandTable,
                         testing::Values(DemandCase{"Isolated",
                                                    {IsolationClass::kIsolated, 100, 4, 20},
                                                    {{4000 + 8 * kMiB, 20}, "aa", 1200 + 64 * kMiB, 0}},
                                         DemandCase{"Dedicated",
                                                    {IsolationClass::kDedicated, 100, 4, 20},
                                                    {{4000 + 1200 + 72 * kMiB, 20}, "", 0, 0}},
                                         // 2048 tokens because the model was trained for no more.
                                         DemandCase{"Pooled",
                                                    {IsolationClass::kPooled, 100, 4, 2},
                                                    {{kMiB, 2}, "aa", 1200 + 64 * kMiB, 10 * 2048 * 16 + 8 * kMiB}}),
                         [](const auto& c) { return std::string(c.param.name); });

TEST(DemandOf, SaturatesInsteadOfOverflowing) {
  const ModelFacts huge{"aa", INT64_MAX, INT64_MAX, 0, 0};
  for (const auto isolation : {IsolationClass::kIsolated, IsolationClass::kPooled, IsolationClass::kDedicated}) {
    EXPECT_GE(DemandOf(huge, {isolation, INT32_MAX, 64, 1}, {}).Alone().memory_bytes, std::int64_t{1} << 60);
  }
}

}  // namespace
}  // namespace allod::scheduler::estimate_test
