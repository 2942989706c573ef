// How much of the evaluation text is measured, and how: a pure function of the model's shape, never of the machine's
// speed, so that the variants of one version are always measured on the same tokens.
#pragma once

#include <cstdint>

#include "services/common/result.h"

namespace allod::inference::compress {

struct ModelShape {
  std::uint64_t parameters = 0;
  std::int32_t context_tokens = 0;     // that the model was trained for
  std::int32_t vocabulary_tokens = 0;  // width of a row of logits
};

struct EvaluationPlan {
  int window_tokens = 0;  // one context, cleared between windows
  int windows = 0;
  int first_scored = 0;    // in each window; the tokens before it are context only
  int batch_tokens = 0;    // per decode call, so that one batch of logits stays within kLogitBytesMax
  int prefill_tokens = 0;  // of one timed prefill
  int prefill_runs = 0;    // timed, after one warm-up
  int decode_tokens = 0;   // timed, after kDecodeWarmUpTokens
  int threads = 0;

  // The last token of a window has no successor to predict.
  int scored_per_window() const { return window_tokens - 1 - first_scored; }
  int scored_tokens() const { return windows * scored_per_window(); }
};

inline constexpr int kWindowTokensMax = 512;
inline constexpr int kWindowTokensMin = 16;
inline constexpr int kDecodeWarmUpTokens = 2;
inline constexpr std::int64_t kLogitBytesMax = 64 << 20;

// `text_tokens`: how many tokens the model makes of the evaluation text; `threads`: how many may be used (a small model
// gets one: its steps are so short that waiting for a second thread costs more than it brings, on a busy machine a
// hundredfold). FAILED_PRECONDITION / EVALUATION_TEXT_TOO_SHORT, CONTEXT_TOO_SHORT.
Result<EvaluationPlan> PlanEvaluation(const ModelShape& model, std::int64_t text_tokens, int threads);

}  // namespace allod::inference::compress
