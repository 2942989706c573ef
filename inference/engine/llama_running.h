// A generation that runs: its prompt, and for each choice what was sampled and what of it was delivered. Internal to
// llama_decode_loop.cc; everything here is on the decode thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "inference/engine/prefix_cache.h"
#include "inference/engine/text/llama_constraint.h"
#include "inference/engine/text/llama_vocabulary.h"
#include "inference/engine/text/sampling.h"
#include "inference/engine/text/text_assembler.h"
#include "inference/engine/text/token_draw.h"
#include "inference/engine/token_stream.h"
#include "inference/ports/generation.h"
#include "inference/ports/usage_recorder.h"
#include "services/common/result.h"

namespace allod::inference::engine {

using SteadyTime = std::chrono::steady_clock::time_point;
inline double SecondsBetween(SteadyTime from, SteadyTime to) {
  return std::chrono::duration<double>(to - from).count();
}

// A request that was checked and waits for room.
struct PendingGeneration {
  std::shared_ptr<TokenStream> stream;
  std::unique_ptr<ports::UsageSlot> usage;
  std::vector<std::int32_t> prompt;
  std::int32_t max_completion_tokens = 0;
  std::int32_t choices = 1;
  ports::SamplingOptions sampling;
  std::vector<std::string> stop;
  std::vector<std::unique_ptr<text::Constraint>> constraints;  // one for each choice, or none
  std::vector<std::int32_t> spoken_tokens;
  bool logprobs = false;
  std::int32_t top_logprobs = 0;
  std::string tenant;
  double weight = 1;
  std::string instance;
  std::int32_t instance_sequences_max = 0;
  SteadyTime submitted_at;

  // Cells of the KV cache when it runs to its end.
  std::int32_t tokens_max() const { return static_cast<std::int32_t>(prompt.size()) + choices * max_completion_tokens; }
};

// Counters of all generations, ahead of what readers were told.
struct TokenTotals {
  std::atomic<std::int64_t> prompt = 0;
  std::atomic<std::int64_t> cached = 0;
  std::atomic<std::int64_t> completion = 0;
  std::atomic<std::int64_t> sampled = 0;
};

// Tokens are in the KV cache under the slots of the choices; the prompt is computed under the first one's.
class RunningGeneration {
 public:
  struct Choice {
    Choice(std::int32_t number, std::int32_t slot_number, const ports::SamplingOptions& sampling,
           const std::vector<std::string>& stop)
        : index(number), slot(slot_number), sampler(sampling), assembler(stop) {}

    const std::int32_t index;
    std::int32_t slot;
    text::Sampler sampler;
    text::TextAssembler assembler;
    std::unique_ptr<text::Constraint> constraint;  // null: everything is allowed
    std::optional<text::TokenDraw> draw;           // under way: it sits out the steps until this is done
    std::vector<float> raw;                        // its logits before anything was applied, when logprobs are wanted
    std::int32_t next_token = 0;                   // sampled, not yet decoded
    std::vector<std::int32_t> decoded;             // in the KV cache after the prompt
    std::int32_t completion = 0;                   // sampled tokens that are part of the answer
    std::deque<ports::TokenLogprobs> logprobs;     // of tokens not yet counted
    std::int32_t output_index = -1;                // of its logits in this step's batch
    bool is_done = false;
    bool can_decode() const { return !is_done && !draw; }
  };

  RunningGeneration(PendingGeneration pending, const text::Vocabulary& vocabulary, TokenTotals& totals,
                    std::span<const std::int32_t> slots);

  // Samples for one choice from its row of logits, which is changed, and delivers; that may end the choice. What costs
  // time beside that of a step is only begun: constraints, probabilities, a sampler that looks at all tokens.
  void Advance(Choice& choice, std::span<float> logits);
  // Goes on with a draw under way; when it comes to its end, as above. INVALID_ARGUMENT / CONSTRAINT_TOO_COSTLY.
  Status GoOnDrawing(Choice& choice, SteadyTime until);
  void Fail(const Error& error);
  // After all choices are done.
  void Finish();

  bool is_prefilling() const { return prompt_in_cache < static_cast<std::int32_t>(request.prompt.size()); }
  bool is_done() const;
  std::int32_t live_choices() const;
  std::int32_t decodable_choices() const;
  bool is_drawing() const;

  PendingGeneration request;
  std::vector<Choice> choices;
  std::int32_t prompt_in_cache = 0;
  std::int32_t cached = 0;               // of the prompt: taken from the prefix cache
  PrefixCache::Entry* shared = nullptr;  // the entry whose cells it uses; pinned
  std::int32_t reserved = 0;             // cells of its own
  std::int32_t sampled = 0;
  std::int32_t delivered = 0;
  std::int32_t chunk = 0;  // tokens of the prompt in this step's batch
  SteadyTime admitted_at;
  SteadyTime prefilled_at;
  std::optional<SteadyTime> stalled_since;  // its reader takes nothing

 private:
  void TakeToken(Choice& choice, std::optional<std::int32_t> drawn);
  void Deliver(Choice& choice, text::TextDelta text);
  void EndChoice(Choice& choice, ports::FinishReason reason, text::TextDelta last);
  ports::TokenLogprobs LogprobsOf(std::int32_t token, std::span<const float> raw) const;
  std::string PieceOf(std::int32_t token, bool is_first) const;

  const text::Vocabulary& vocabulary_;
  TokenTotals& totals_;
  ports::FinishReason first_reason_ = ports::FinishReason::kStop;
};

}  // namespace allod::inference::engine
