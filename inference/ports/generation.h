// One generation: what is asked for, and the events that answer it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "inference/ports/output_constraint.h"
#include "inference/ports/sampling_options.h"

namespace allod::inference::ports {

// A function that the model wants called. `arguments` is a JSON object as the model wrote it: not necessarily valid.
struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;
};

struct ChatMessage {
  std::string role;  // "system", "user", "assistant" or "tool"
  std::string content;
  std::vector<ToolCall> tool_calls;  // of an assistant message
  std::string tool_call_id;          // of a tool message: which call it answers
};

// A function that the model may call; `parameters` is the JSON Schema of its arguments, an object.
struct Tool {
  std::string name;
  std::string description;
  std::string parameters;
};

enum class ToolChoice { kAuto, kNone, kRequired };

struct ChatPrompt {
  std::vector<ChatMessage> messages;
  std::vector<Tool> tools;
  ToolChoice tool_choice = ToolChoice::kAuto;
  bool parallel_tool_calls = false;
};

struct GenerationRequest {
  // A chat is rendered with the model's template; a string is taken as it is.
  std::variant<ChatPrompt, std::string> prompt;
  std::int32_t max_completion_tokens = 0;  // of each choice; 0: as far as the context reaches
  SamplingOptions sampling;
  std::vector<std::string> stop;  // at most 4, each of 1 to 256 bytes
  std::int32_t choices = 1;       // answers to the same prompt; choice i samples with seed + i
  bool logprobs = false;
  std::int32_t top_logprobs = 0;  // 0 to 20, with `logprobs`
  OutputConstraint constraint;
  std::string request_id;
  std::string tenant_uid;  // caches and budgets are kept apart by it
  std::string instance;    // must be a member, once Servable::SetMembers was called
  // Whether nobody waits for it any more; asked during Servable::Submit only, from any thread. None: never.
  std::function<bool()> is_cancelled;
};

struct Started {
  std::int32_t prompt_tokens = 0;
  std::int32_t cached_prompt_tokens = 0;  // of these: taken from the tenant's prefix cache
};

// Natural logarithm of the probability at temperature 1, before anything else is applied.
struct TokenLogprob {
  std::string token;  // may be part of a character
  float logprob = 0;
};
struct TokenLogprobs {
  TokenLogprob chosen;
  std::vector<TokenLogprob> top;
};

// The first piece of an index has id and name, all have a piece of the arguments.
struct ToolCallPiece {
  std::int32_t index = 0;
  std::string id;
  std::string name;
  std::string arguments;
};

struct Delta {
  std::int32_t choice = 0;
  std::string text;
  std::int32_t token_count = 0;  // how many tokens it stands for
  std::vector<TokenLogprobs> logprobs;
  std::vector<ToolCallPiece> tool_calls;
};

enum class FinishReason { kStop, kLength, kToolCalls };

struct ChoiceFinished {
  std::int32_t choice = 0;
  FinishReason reason = FinishReason::kStop;
};

// Totals over all choices.
struct Finished {
  FinishReason reason = FinishReason::kStop;  // of choice 0
  std::int32_t prompt_tokens = 0;
  std::int32_t cached_prompt_tokens = 0;
  std::int32_t completion_tokens = 0;  // the sum of the deltas' token counts
  std::int32_t sampled_tokens = 0;     // every sampled token, delivered or not
  double prefill_seconds = 0;          // from admission to the first sampled token
  double decode_seconds = 0;
};

// Started, any number of Deltas and one ChoiceFinished for each choice, Finished.
using Event = std::variant<Started, Delta, ChoiceFinished, Finished>;

}  // namespace allod::inference::ports
