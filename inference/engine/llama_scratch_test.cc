// The memory of a step goes back when nothing is computed, and comes back with the next one.
#include <fstream>

#include "inference/engine/llama_engine_fixture.h"

namespace allod::inference::engine::llama_scratch_test {
namespace {

class ScratchTest : public EngineTest {
 protected:
  static std::int64_t ResidentKib() {
    std::ifstream rollup("/proc/self/smaps_rollup");
    for (std::string field; rollup >> field;) {
      std::int64_t kib = 0;
      if (field == "Rss:" && rollup >> kib) return kib;
    }
    return 0;
  }
  static bool Eventually(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < deadline) {
      if (done()) return true;
      std::this_thread::sleep_for(1ms);
    }
    return false;
  }
};

TEST_F(ScratchTest, AnswersAreTheSameBeforeAndAfter) {
  StartStarter({.max_sequences = 2, .prefix_cache = false});
  const Answer first = Ask(Greedy("Where do I get", 24));
  for (int i = 0; i < 3; ++i) {
    engine_->GiveBackScratch();
    EXPECT_EQ(Ask(Greedy("Where do I get", 24)).text, first.text);
  }
}

TEST_F(ScratchTest, AskedForWhileSomethingRunsItWaits) {
  StartStarter({.max_sequences = 2, .prefix_cache = false});
  const std::string alone = Ask(Greedy("Where do I get", 60)).text;
  auto generation = engine_->Submit(Greedy("Where do I get", 60));
  ASSERT_TRUE(generation);
  std::atomic<bool> stop = false;
  std::thread asks([&] {
    while (!stop) engine_->GiveBackScratch();
  });
  const auto answer = ReadAll(**generation);
  stop = true;
  asks.join();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->text, alone);
}

TEST_F(ScratchTest, PagesGoBackToTheMachine) {
  StartStarter({.max_sequences = 4, .prefix_cache = false});
  Ask(Greedy("A long prompt, so that there is a step with much in it: where do I get a passport?", 8));
  const std::int64_t before = ResidentKib();
  ASSERT_GT(before, 0);
  engine_->GiveBackScratch();
  EXPECT_TRUE(Eventually([&] { return ResidentKib() <= before - 256; })) << before << " and " << ResidentKib();
}

// A cache of 64 MB, in which nothing lies yet.
TEST_F(ScratchTest, CellsThatHoldNothingTakeNoMemory) {
  const std::int64_t before = ResidentKib();
  EngineOptions options{.context_tokens = 4096, .max_sequences = 8, .kv_tokens = 8 * 4096, .prefix_cache = false};
  options.is_made_alone = true;
  StartStarter(options);
  EXPECT_LT(ResidentKib() - before, 40 << 10);
  const std::string answer = Ask(Greedy("Where do I get", 24)).text;
  StartStarter({.max_sequences = 2, .prefix_cache = false});
  EXPECT_EQ(Ask(Greedy("Where do I get", 24)).text, answer);
}

}  // namespace
}  // namespace allod::inference::engine::llama_scratch_test
