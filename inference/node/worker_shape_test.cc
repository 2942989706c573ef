#include "inference/node/worker_shape.h"

#include <gtest/gtest.h>

#include <string>

namespace allod::inference::node::worker_shape_test {
namespace {

using pool::IsolationClass;

const std::string kTenant = "01900000-0000-5000-8000-0000000000aa";
constexpr ShapePolicy kPolicy{.threads = 8,
                              .chunk_tokens_max = 64,
                              .strict = true,
                              .pool_sequences = 16,
                              .pool_context_tokens = 4096,
                              .pool_kv_tokens = 16384};

pool::DesiredWorker Of(IsolationClass isolation, std::int32_t context_tokens, std::int32_t max_concurrency) {
  return {.artifact_sha256 = "a",
          .isolation = isolation,
          .member = {.instance = "i",
                     .tenant_uid = kTenant,
                     .context_tokens = context_tokens,
                     .max_concurrency = max_concurrency,
                     .weight = 3}};
}

TEST(WorkerShape, IsTheInstancesOwnOrItsPools) {
  struct Case {
    IsolationClass isolation;
    std::int32_t context_tokens, max_sequences, kv_tokens;
    std::int64_t cells;
  };
  for (const Case& c :
       {Case{IsolationClass::kIsolated, 512, 4, 0, 2048}, Case{IsolationClass::kDedicated, 512, 4, 0, 2048},
        Case{IsolationClass::kPooled, 4096, 16, 16384, 16384}}) {
    const auto shape = ShapeOf(Of(c.isolation, 512, 4), kPolicy);
    EXPECT_EQ(shape, (zygote::WorkerShape{.artifact_sha256 = "a",
                                          .context_tokens = c.context_tokens,
                                          .max_sequences = c.max_sequences,
                                          .kv_tokens = c.kv_tokens,
                                          .threads = 0,
                                          .chunk_tokens_max = 64,
                                          .strict = true}));
    EXPECT_EQ(KvTokensOf(shape), c.cells);
  }
}

TEST(WorkerShape, TheEngineChoosesItsThreadsWhereThereAreSeveralCores) {
  for (const auto& [cores, threads] : {std::pair(1, 1), std::pair(2, 0), std::pair(64, 0)}) {
    EXPECT_EQ(ShapeOf(Of(IsolationClass::kIsolated, 512, 1), {.threads = cores}).threads, threads) << cores;
  }
}

TEST(WorkerShape, AMemberIsCountedForNoMoreThanItsPoolHas) {
  struct Case {
    IsolationClass isolation;
    std::int32_t context_tokens, max_concurrency;
    std::int32_t counted_tokens, counted_choices;
  };
  for (const Case& c :
       {Case{IsolationClass::kIsolated, 8192, 32, 8192, 32}, Case{IsolationClass::kPooled, 8192, 32, 4096, 16},
        Case{IsolationClass::kPooled, 512, 4, 512, 4}, Case{IsolationClass::kPooled, 0, 1, 4096, 1}}) {
    const auto worker = Of(c.isolation, c.context_tokens, c.max_concurrency);
    const auto members = RingMembersOf({worker}, kPolicy);
    ASSERT_EQ(members.size(), 1U);
    EXPECT_EQ(members[0].instance, "i");
    EXPECT_EQ(members[0].tenant.ToString(), kTenant);
    EXPECT_EQ(members[0].context_tokens, c.counted_tokens) << c.context_tokens;
    EXPECT_EQ(members[0].choices_max, c.counted_choices) << c.max_concurrency;
    EXPECT_EQ(MembersOf({worker}), std::vector{worker.member}) << "told as it is: the engine bounds it itself";
  }
}

}  // namespace
}  // namespace allod::inference::node::worker_shape_test
