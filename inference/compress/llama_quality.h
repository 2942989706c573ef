// Measures what a compression costs: perplexity, mean Kullback-Leibler divergence, top-1 agreement and speed of a
// model, with libllama, on one text. Definitions: inference/compress/divergence.h and docs/compression.md.
//
// The text is cut into windows of at most 512 tokens (inference/compress/evaluation_plan.h); each starts from an empty
// context, its first token is replaced by BOS where the model wants one, and only the predictions in its second half
// are scored, as llama.cpp's perplexity tool does. Both models run in lockstep on the same batches, so no logits are
// ever stored.
//
// Blocks for the whole measurement and uses at most `threads` threads. Not safe to run twice at once on the same models
// if the speed figures matter.
#pragma once

#include <functional>
#include <string_view>

#include "services/common/result.h"

struct llama_model;

namespace allod::inference::compress {

struct Quality {
  double perplexity = 0;
  double source_perplexity = 0;
  double mean_kl_divergence = 0;  // nats
  double top1_agreement = 0;      // 0 to 1
  int evaluated_tokens = 0;       // scored positions
  double decode_tokens_per_second = 0;
  double prefill_tokens_per_second = 0;
  int threads = 0;  // that computed
};

// FAILED_PRECONDITION / MODEL_NOT_GENERATIVE unless the model is a causal decoder with a tokeniser (encoders,
// diffusion models and rerankers are not).
Status CheckGenerative(const llama_model& model);

// `variant` null: the source itself is measured (divergence 0, agreement 1). Both must have passed CheckGenerative;
// `progress` gets 0 to 1 on the calling thread. Only the first 128 KiB of `text` are used. FAILED_PRECONDITION /
// EVALUATION_TEXT_TOO_SHORT, CONTEXT_TOO_SHORT, VOCABULARY_MISMATCH, NON_FINITE_LOGITS; RESOURCE_EXHAUSTED /
// OUT_OF_MEMORY.
Result<Quality> MeasureQuality(llama_model& source, llama_model* variant, std::string_view text, int threads,
                               const std::function<void(double)>& progress);

}  // namespace allod::inference::compress
