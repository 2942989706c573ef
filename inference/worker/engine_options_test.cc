#include "inference/worker/engine_options.h"

#include <gtest/gtest.h>

namespace allod::inference::worker::engine_options_test {
namespace {

TEST(EngineOptions, AreThoseOfTheShape) {
  const auto own = EngineOptionsOf(
      {.context_tokens = 512, .max_sequences = 4, .kv_tokens = 0, .threads = 2, .chunk_tokens_max = 64});
  EXPECT_EQ(own.context_tokens, 512);
  EXPECT_EQ(own.max_sequences, 4);
  EXPECT_EQ(own.kv_tokens, 0);
  EXPECT_EQ(own.threads, 2);
  EXPECT_EQ(own.chunk_tokens_max, 64);
  EXPECT_EQ(EngineOptionsOf({}).chunk_tokens_max, engine::EngineOptions{}.chunk_tokens_max);
}

TEST(EngineOptions, NoMemberOfAPoolCanTakeAllPlaces) {
  struct Case {
    std::int32_t sequences, kv_tokens;
    std::int32_t queue, of_tenant, newcomer_sequences, newcomer_kv_tokens;
  };
  for (const Case& c : {Case{16, 16384, 128, 32, 1, 4096}, Case{4, 2048, 64, 16, 1, 512}, Case{3, 2048, 64, 16, 0, 512},
                        Case{4, 0, 64, 0, 0, 0}, Case{16, 0, 128, 0, 0, 0}}) {
    const auto options = EngineOptionsOf({.max_sequences = c.sequences, .kv_tokens = c.kv_tokens});
    EXPECT_EQ(options.queue_max, c.queue) << c.sequences << " " << c.kv_tokens;
    EXPECT_EQ(options.tenant_queue_max, c.of_tenant) << c.sequences << " " << c.kv_tokens;
    EXPECT_EQ(options.newcomer_sequences, c.newcomer_sequences) << c.sequences << " " << c.kv_tokens;
    EXPECT_EQ(options.newcomer_kv_tokens, c.newcomer_kv_tokens) << c.sequences << " " << c.kv_tokens;
  }
}

}  // namespace
}  // namespace allod::inference::worker::engine_options_test
