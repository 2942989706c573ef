#include "inference/engine/text/sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>
#include <vector>

namespace allod::inference::engine::text::sampling_test {
namespace {

std::map<int, int> Draws(const ports::SamplingOptions& options, const std::vector<float>& logits, int draws) {
  Sampler sampler(options);
  std::map<int, int> counts;
  for (int i = 0; i < draws; ++i) {
    std::vector<float> row = logits;
    ++counts[sampler.Next(row)];
  }
  return counts;
}

// [rand.predef] of the C++ standard names the 10,000th.
TEST(Mt19937Test, GivesTheStandardsNumbers) {
  Mt19937 random;
  random.discard(9999);
  EXPECT_EQ(random(), 4123659995U);
}

TEST(Sampler, GreedyTakesTheFirstOfTheGreatest) {
  Sampler sampler({.temperature = 0});
  std::vector<float> logits(5000, 0.0F);
  logits[4321] = logits[4999] = 2.0F;
  EXPECT_EQ(sampler.Next(logits), 4321);
}

TEST(Sampler, NeverChoosesWhatIsImpossible) {
  Sampler greedy({.temperature = 0});
  Sampler drawing({.seed = 1});
  std::vector<float> nothing = {NAN, -INFINITY, NAN};
  EXPECT_EQ(greedy.Next(nothing), 0);
  EXPECT_EQ(drawing.Next(nothing), 0);
  std::vector<float> one = {NAN, -INFINITY, -5.0F, NAN};
  EXPECT_EQ(greedy.Next(one), 2);
  EXPECT_EQ(drawing.Next(one), 2);
}

TEST(Sampler, DrawsInProportion) {
  const auto counts = Draws({.seed = 3}, {std::log(6.0F), std::log(3.0F), std::log(1.0F)}, 20000);
  EXPECT_NEAR(counts.at(0), 12000, 400);
  EXPECT_NEAR(counts.at(1), 6000, 400);
  EXPECT_NEAR(counts.at(2), 2000, 300);
}

TEST(Sampler, TopKKeepsTheBest) {
  std::vector<float> logits(1000);
  for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>((i * 7919) % 1000) * 1e-3F;
  const auto counts = Draws({.top_k = 3, .seed = 1}, logits, 3000);
  ASSERT_EQ(counts.size(), 3U);
  for (const auto& [token, count] : counts) EXPECT_GE(logits[static_cast<std::size_t>(token)], 0.997F);
}

TEST(Sampler, TopPKeepsTheSmallestSetThatReachesIt) {
  const std::vector<float> logits = {std::log(5.0F), std::log(3.0F), std::log(2.0F)};
  EXPECT_EQ(Draws({.top_p = 0.4F, .seed = 1}, logits, 500).size(), 1U);
  EXPECT_EQ(Draws({.top_p = 0.7F, .seed = 1}, logits, 500).size(), 2U);
  EXPECT_EQ(Draws({.top_p = 1.0F, .seed = 1}, logits, 500).size(), 3U);
}

TEST(Sampler, MinPIsRelativeToTheBest) {
  const std::vector<float> logits = {std::log(10.0F), std::log(4.0F), std::log(1.0F)};
  EXPECT_EQ(Draws({.min_p = 0.3F, .seed = 1}, logits, 500).size(), 2U);
}

TEST(Sampler, LowTemperatureSharpens) {
  const std::vector<float> logits = {std::log(6.0F), std::log(4.0F)};
  EXPECT_GT(Draws({.temperature = 0.1F, .seed = 1}, logits, 1000).at(0), 950);
}

TEST(Sampler, PenaltiesCountWhatWasGenerated) {
  Sampler sampler({.temperature = 0, .frequency_penalty = 1.0F});
  std::vector<int> tokens;
  for (int i = 0; i < 4; ++i) {
    std::vector<float> logits = {2.5F, 2.0F};
    tokens.push_back(sampler.Next(logits));
  }
  EXPECT_EQ(tokens, (std::vector<int>{0, 1, 0, 1}));
}

TEST(Sampler, PresencePenaltyCountsOnce) {
  Sampler sampler({.temperature = 0, .presence_penalty = 1.0F});
  std::vector<int> tokens;
  for (int i = 0; i < 4; ++i) {
    std::vector<float> logits = {2.5F, 2.0F};
    tokens.push_back(sampler.Next(logits));
  }
  EXPECT_EQ(tokens, (std::vector<int>{0, 1, 0, 0}));
}

TEST(Sampler, ASeedRepeatsItsDraws) {
  std::mt19937 random(5);
  std::vector<float> logits(300);
  for (float& logit : logits) logit = static_cast<float>(random() % 100) * 0.01F;
  const auto draw = [&](std::uint32_t seed) {
    Sampler sampler({.seed = seed});
    std::vector<int> tokens;
    for (int i = 0; i < 20; ++i) {
      std::vector<float> row = logits;
      tokens.push_back(sampler.Next(row));
    }
    return tokens;
  };
  EXPECT_EQ(draw(1), draw(1));
  EXPECT_NE(draw(1), draw(2));
}

TEST(CheckSampling, RefusesWhatIsOutOfRange) {
  EXPECT_TRUE(CheckSampling({}, 100));
  for (const ports::SamplingOptions& options :
       {ports::SamplingOptions{.temperature = 2.1F}, ports::SamplingOptions{.temperature = NAN},
        ports::SamplingOptions{.top_p = -0.1F}, ports::SamplingOptions{.top_k = -1},
        ports::SamplingOptions{.min_p = 1.5F}, ports::SamplingOptions{.frequency_penalty = 3},
        ports::SamplingOptions{.presence_penalty = -3}}) {
    ASSERT_FALSE(CheckSampling(options, 100));
    EXPECT_EQ(CheckSampling(options, 100).error().reason, "INVALID_SAMPLING");
  }
}

}  // namespace
}  // namespace allod::inference::engine::text::sampling_test
