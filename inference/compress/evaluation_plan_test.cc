#include "inference/compress/evaluation_plan.h"

#include <gtest/gtest.h>

namespace allod::inference::compress::evaluation_plan_test {
namespace {

constexpr ModelShape kSmall{5'000'000, 512, 4096};

TEST(EvaluationPlan, ScoresTheSecondHalfOfEachWindow) {
  const auto plan = PlanEvaluation(kSmall, 100'000, 2);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->window_tokens, 512);
  EXPECT_EQ(plan->windows, 4);
  EXPECT_EQ(plan->first_scored, 256);
  EXPECT_EQ(plan->scored_tokens(), 4 * 255);
}

TEST(EvaluationPlan, UsesWhatThereIsOfAShortText) {
  const auto plan = PlanEvaluation(kSmall, 1200, 2);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->windows, 2);
  const auto shorter = PlanEvaluation(kSmall, 100, 2);
  ASSERT_TRUE(shorter);
  EXPECT_EQ(shorter->window_tokens, 100);
  EXPECT_EQ(shorter->windows, 1);
}

TEST(EvaluationPlan, NeverLeavesTheTrainedContext) {
  for (const int context : {16, 17, 64, 300, 512, 100'000}) {
    const auto plan = PlanEvaluation({5'000'000, context, 4096}, 50'000, 2);
    ASSERT_TRUE(plan) << context;
    EXPECT_LE(plan->window_tokens, context);
    EXPECT_LE(plan->prefill_tokens + kDecodeWarmUpTokens + plan->decode_tokens, plan->window_tokens);
    EXPECT_GE(plan->decode_tokens, 1);
    EXPECT_GE(plan->scored_tokens(), 1);
    EXPECT_LE(plan->windows * plan->window_tokens, 8192);
  }
}

TEST(EvaluationPlan, LargerModelsAreMeasuredOnFewerTokensButNotUnder512) {
  int before = 1 << 30;
  for (const std::uint64_t parameters : {5'000'000ULL, 430'000'000ULL, 7'000'000'000ULL, 700'000'000'000ULL}) {
    const auto plan = PlanEvaluation({parameters, 4096, 32000}, 100'000, 2);
    ASSERT_TRUE(plan);
    EXPECT_LE(plan->scored_tokens(), before);
    EXPECT_GE(plan->windows * plan->window_tokens, 512);
    before = plan->scored_tokens();
  }
}

TEST(EvaluationPlan, BoundsTheLogitsOfOneBatch) {
  const auto plan = PlanEvaluation({7'000'000'000, 4096, 256'000}, 100'000, 2);
  ASSERT_TRUE(plan);
  EXPECT_LE(plan->batch_tokens * 256'000LL * 4, kLogitBytesMax);
  EXPECT_GE(plan->batch_tokens, 16);
}

TEST(EvaluationPlan, ASmallModelGetsOneThreadALargeOneAll) {
  EXPECT_EQ(PlanEvaluation(kSmall, 1000, 8)->threads, 1);
  EXPECT_EQ(PlanEvaluation({430'000'000, 4096, 32000}, 1000, 8)->threads, 8);
}

TEST(EvaluationPlan, RefusesWhatCannotBeMeasured) {
  EXPECT_EQ(PlanEvaluation(kSmall, 15, 2).error().reason, "EVALUATION_TEXT_TOO_SHORT");
  EXPECT_EQ(PlanEvaluation({5'000'000, 8, 4096}, 1000, 2).error().reason, "CONTEXT_TOO_SHORT");
  EXPECT_EQ(PlanEvaluation({5'000'000, 0, 4096}, 1000, 2).error().code, Code::kFailedPrecondition);
}

}  // namespace
}  // namespace allod::inference::compress::evaluation_plan_test
