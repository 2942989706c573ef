#include "inference/compress/evaluation_plan.h"

#include <fmt/format.h>

#include <algorithm>

namespace allod::inference::compress {
namespace {

constexpr std::uint64_t kMillion = 1'000'000;

// Larger models take fewer tokens: a row is chosen by the first bound that holds.
struct Effort {
  std::uint64_t parameters_max;
  int evaluated_tokens;
  int prefill_tokens;
  int prefill_runs;
  int decode_tokens;
  int threads_max;
};
constexpr Effort kEfforts[] = {
    {50 * kMillion, 2048, 256, 3, 48, 1},
    {1000 * kMillion, 2048, 128, 3, 32, 256},
    {~std::uint64_t{0}, 1024, 64, 3, 16, 256},
};

}  // namespace

Result<EvaluationPlan> PlanEvaluation(const ModelShape& model, std::int64_t text_tokens, int threads) {
  if (model.context_tokens < kWindowTokensMin) {
    return FailedPrecondition("CONTEXT_TOO_SHORT",
                              fmt::format("the model was trained for a context of {} tokens; measuring it needs {}",
                                          model.context_tokens, kWindowTokensMin));
  }
  if (text_tokens < kWindowTokensMin) {
    return FailedPrecondition("EVALUATION_TEXT_TOO_SHORT",
                              fmt::format("the evaluation text is only {} tokens for this model; it needs at least {}",
                                          text_tokens, kWindowTokensMin));
  }
  const Effort& effort =
      *std::ranges::find_if(kEfforts, [&](const Effort& e) { return model.parameters <= e.parameters_max; });
  EvaluationPlan plan;
  plan.window_tokens = static_cast<int>(std::min<std::int64_t>({kWindowTokensMax, model.context_tokens, text_tokens}));
  plan.windows = static_cast<int>(
      std::min<std::int64_t>(effort.evaluated_tokens / plan.window_tokens, text_tokens / plan.window_tokens));
  plan.windows = std::max(plan.windows, 1);
  plan.first_scored = plan.window_tokens / 2;
  const std::int64_t row_bytes =
      std::max<std::int64_t>(model.vocabulary_tokens, 1) * static_cast<std::int64_t>(sizeof(float));
  plan.batch_tokens = static_cast<int>(std::clamp<std::int64_t>(kLogitBytesMax / row_bytes, 16, plan.window_tokens));
  // A timed run stays inside one window: some architectures have no position beyond the trained context.
  plan.prefill_tokens = std::min(effort.prefill_tokens, plan.window_tokens / 2);
  plan.threads = std::clamp(threads, 1, effort.threads_max);
  plan.prefill_runs = effort.prefill_runs;
  plan.decode_tokens = std::min(effort.decode_tokens, plan.window_tokens / 2 - kDecodeWarmUpTokens);
  return plan;
}

}  // namespace allod::inference::compress
