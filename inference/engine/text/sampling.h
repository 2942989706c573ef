// Choosing the next token from a row of logits: bias and penalties, then top-k, temperature, top-p, min-p, and a draw.
//
// Pure C++ without llama.cpp, so that a seed gives the same tokens with every version of it. top-k comes first because
// the steps after it then sort and exponentiate a few candidates and not the whole vocabulary: one pass over the logits
// finds them. A Sampler belongs to one sequence and one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <unordered_map>
#include <vector>

#include "inference/ports/sampling_options.h"
#include "services/common/result.h"

namespace allod::inference::engine::text {

// INVALID_ARGUMENT / INVALID_SAMPLING names the field, its value and the range. `vocabulary`: number of tokens.
Status CheckSampling(const ports::SamplingOptions& options, std::int32_t vocabulary);

// The numbers of std::mt19937, whose words are as wide as a long here, from half the memory: every sequence that runs
// has one.
using Mt19937 = std::mersenne_twister_engine<std::uint32_t, 32, 624, 397, 31, 0x9908b0df, 11, 0xffffffff, 7, 0x9d2c5680,
                                             15, 0xefc60000, 18, 1812433253>;

class Sampler {
 public:
  // `options` must have passed CheckSampling.
  explicit Sampler(const ports::SamplingOptions& options);

  // Prepare, Pick and Accept in one.
  std::int32_t Next(std::span<float> logits);

  // Adds bias and penalties to `logits`, in place. Once for each row.
  void Prepare(std::span<float> logits) const;
  // The index of the chosen logit. Never fails: NaN counts as impossible, and if nothing is possible the first token is
  // chosen. `logits` must not be empty. May be called again, after some were made impossible.
  std::int32_t Pick(std::span<const float> logits);
  // How many of the best possible ones Pick looks at; 0: all.
  std::size_t candidates_max() const;
  // `token` becomes part of the answer.
  void Accept(std::int32_t token);

 private:
  struct Candidate {
    float logit;
    std::int32_t token;
  };

  void CollectCandidates(std::span<const float> logits);
  std::int32_t Draw();

  const ports::SamplingOptions options_;
  const bool penalised_;
  Mt19937 random_;
  std::unordered_map<std::int32_t, int> generated_;  // only filled when there are penalties
  std::vector<Candidate> candidates_;                // kept to reuse its memory
};

}  // namespace allod::inference::engine::text
