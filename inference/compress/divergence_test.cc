#include "inference/compress/divergence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace allod::inference::compress::divergence_test {
namespace {

std::vector<float> Logits(std::vector<double> probabilities, double shift = 0) {
  std::vector<float> out;
  for (const double p : probabilities) out.push_back(static_cast<float>(std::log(p) + shift));
  return out;
}

TEST(Divergence, MatchesTheFormulaOnAKnownPair) {
  Divergence d;
  ASSERT_TRUE(d.Add(Logits({0.5, 0.25, 0.25}), Logits({0.25, 0.25, 0.5}), 0));
  EXPECT_NEAR(d.mean_kl_divergence(), 0.5 * std::log(2.0) + 0.25 * std::log(0.5), 1e-7);
  EXPECT_NEAR(d.source_perplexity(), 2.0, 1e-6);
  EXPECT_NEAR(d.perplexity(), 4.0, 1e-6);
  EXPECT_EQ(d.top1_agreement(), 0.0);
}

TEST(Divergence, IsNotSymmetricAndTakesTheSourceAsReference) {
  Divergence d;
  ASSERT_TRUE(d.Add(Logits({0.9, 0.1}), Logits({0.5, 0.5}), 0));
  EXPECT_NEAR(d.mean_kl_divergence(), 0.9 * std::log(0.9 / 0.5) + 0.1 * std::log(0.1 / 0.5), 1e-7);
}

TEST(Divergence, OfAModelFromItselfIsZeroAndItsAgreementOne) {
  Divergence d;
  const auto row = Logits({0.7, 0.2, 0.1});
  ASSERT_TRUE(d.Add(row, row, 1));
  EXPECT_EQ(d.mean_kl_divergence(), 0.0);
  EXPECT_EQ(d.top1_agreement(), 1.0);
  EXPECT_DOUBLE_EQ(d.perplexity(), d.source_perplexity());
}

TEST(Divergence, DoesNotChangeWhenAllLogitsAreShifted) {
  Divergence plain;
  Divergence shifted;
  ASSERT_TRUE(plain.Add(Logits({0.6, 0.4}), Logits({0.3, 0.7}), 0));
  ASSERT_TRUE(shifted.Add(Logits({0.6, 0.4}, 700), Logits({0.3, 0.7}, -700), 0));
  EXPECT_NEAR(plain.mean_kl_divergence(), shifted.mean_kl_divergence(), 1e-4);
  EXPECT_NEAR(plain.perplexity(), shifted.perplexity(), 1e-3);
}

TEST(Divergence, PerplexityIsTheGeometricMeanOverPositions) {
  Divergence d;
  const auto row = Logits({0.5, 0.125, 0.375});
  ASSERT_TRUE(d.AddSource(row, 0));
  ASSERT_TRUE(d.AddSource(row, 1));
  EXPECT_EQ(d.positions(), 2);
  EXPECT_NEAR(d.perplexity(), 4.0, 1e-6);
  EXPECT_EQ(d.mean_kl_divergence(), 0.0);
  EXPECT_EQ(d.top1_agreement(), 1.0);
}

TEST(Divergence, MergingThreadsGivesWhatOneThreadWouldHave) {
  Divergence whole;
  Divergence first;
  Divergence second;
  const auto a = Logits({0.5, 0.5});
  const auto b = Logits({0.2, 0.8});
  ASSERT_TRUE(whole.Add(a, b, 0) && whole.Add(b, a, 1));
  ASSERT_TRUE(first.Add(a, b, 0) && second.Add(b, a, 1));
  first.Merge(second);
  EXPECT_EQ(first.positions(), whole.positions());
  EXPECT_DOUBLE_EQ(first.perplexity(), whole.perplexity());
  EXPECT_DOUBLE_EQ(first.mean_kl_divergence(), whole.mean_kl_divergence());
}

TEST(Divergence, RefusesRowsThatNoModelShouldProduce) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> good{1, 2};
  Divergence d;
  EXPECT_FALSE(d.Add(good, std::vector<float>{nan, 1}, 0));
  EXPECT_FALSE(d.Add(good, std::vector<float>{1, nan}, 0));
  EXPECT_FALSE(d.Add(std::vector<float>{inf, 1}, good, 0));
  EXPECT_FALSE(d.Add(good, std::vector<float>{1, 2, 3}, 0));
  EXPECT_FALSE(d.Add(good, good, 2));
  EXPECT_FALSE(d.Add(good, good, -1));
  EXPECT_FALSE(d.AddSource({}, 0));
  EXPECT_EQ(d.positions(), 0);
}

TEST(Divergence, ATokenTheVariantRulesOutButTheSourceUsesIsRefusedAsInfinite) {
  const float inf = std::numeric_limits<float>::infinity();
  Divergence d;
  EXPECT_FALSE(d.Add(std::vector<float>{1, 1}, std::vector<float>{1, -inf}, 0));
  EXPECT_TRUE(d.Add(std::vector<float>{1, -inf}, std::vector<float>{1, 1}, 0));
  EXPECT_NEAR(d.mean_kl_divergence(), std::log(2.0), 1e-7);
}

}  // namespace
}  // namespace allod::inference::compress::divergence_test
