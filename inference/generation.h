// One generation in the engine's own terms: what is asked for, and the events that answer it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "inference/sampling.h"
#include "inference/text_assembler.h"
#include "services/common/result.h"

namespace allod::inference {

struct ChatMessage {
  std::string role;  // "system", "user" or "assistant"
  std::string content;
};

struct GenerationRequest {
  // Messages are rendered with the model's chat template; a string is taken as it is.
  std::variant<std::vector<ChatMessage>, std::string> prompt;
  std::int32_t max_completion_tokens = 0;  // 0: as far as the context reaches
  SamplingOptions sampling;
  std::vector<std::string> stop;  // at most 4, each of 1 to 256 bytes
};

struct Started {
  std::int32_t prompt_tokens = 0;
};

enum class FinishReason { kStop, kLength };

struct Finished {
  FinishReason reason = FinishReason::kStop;
  std::int32_t prompt_tokens = 0;
  std::int32_t completion_tokens = 0;  // the sum of the deltas' token counts
  std::int32_t sampled_tokens = 0;     // every sampled token, delivered or not
  double prefill_seconds = 0;
  double decode_seconds = 0;
};

// Started, any number of TextDeltas, Finished.
using Event = std::variant<Started, TextDelta, Finished>;

}  // namespace allod::inference
