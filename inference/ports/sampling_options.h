// How the next token is chosen: what a request says of it. The engine checks the ranges (CheckSampling).
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace allod::inference::ports {

struct SamplingOptions {
  float temperature = 1.0F;  // 0 is greedy
  float top_p = 1.0F;        // 1 is off
  int top_k = 40;            // 0 is off
  float min_p = 0.0F;        // 0 is off
  // Subtracted from the logit of a token for each time (frequency) or once it was (presence) generated in this answer.
  float frequency_penalty = 0.0F;
  float presence_penalty = 0.0F;
  std::optional<std::uint32_t> seed;  // unset: a random one
  // Added to the logits of these tokens; at most 300, each of -100 to 100.
  std::vector<std::pair<std::int32_t, float>> logit_bias;
};

}  // namespace allod::inference::ports
