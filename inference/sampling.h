// Choosing the next token from a row of logits: penalties, then top-k, temperature, top-p, min-p, and a draw.
//
// Pure C++ without llama.cpp, so that a seed gives the same tokens with every version of it. top-k comes first because
// the steps after it then sort and exponentiate a few candidates and not the whole vocabulary: one pass over the logits
// finds them. A Sampler belongs to one sequence and one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <unordered_map>
#include <vector>

#include "services/common/result.h"

namespace allod::inference {

struct SamplingOptions {
  float temperature = 1.0F;  // 0 is greedy
  float top_p = 1.0F;        // 1 is off
  int top_k = 40;            // 0 is off
  float min_p = 0.0F;        // 0 is off
  // Subtracted from the logit of a token for each time (frequency) or once it was (presence) generated in this answer.
  float frequency_penalty = 0.0F;
  float presence_penalty = 0.0F;
  std::optional<std::uint32_t> seed;  // unset: a random one
};

// INVALID_ARGUMENT / INVALID_SAMPLING names the field, its value and the range.
Status CheckSampling(const SamplingOptions& options);

class Sampler {
 public:
  // `options` must have passed CheckSampling.
  explicit Sampler(const SamplingOptions& options);

  // Applies the penalties to `logits` in place and returns the index of the chosen one. Never fails: NaN counts as
  // impossible, and if nothing is possible the first token is chosen. `logits` must not be empty.
  std::int32_t Next(std::span<float> logits);

 private:
  struct Candidate {
    float logit;
    std::int32_t token;
  };

  void Penalise(std::span<float> logits) const;
  void CollectCandidates(std::span<const float> logits);
  std::int32_t Draw();

  const SamplingOptions options_;
  const bool penalised_;
  std::mt19937 random_;
  std::unordered_map<std::int32_t, int> generated_;  // only filled when there are penalties
  std::vector<Candidate> candidates_;                // kept to reuse its memory
};

}  // namespace allod::inference
