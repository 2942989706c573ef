// Writes OpenAI's response bodies: chat.completion, text_completion, their chunks, and the model list. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "allod/inference/v1/worker.pb.h"
#include "gateway/openai/logprobs.h"

namespace allod::gateway::openai {

using AnswerDelta = inference::v1::GenerateResponse::Delta;

struct TokenUsage {
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
  std::int64_t cached_prompt_tokens = 0;  // of prompt_tokens
};

// What all bodies of one answer share.
struct AnswerHead {
  bool chat = false;
  std::string id;            // "chatcmpl-..." or "cmpl-..."
  std::int64_t created = 0;  // seconds since the epoch
  std::string model;         // as the client named it
  bool include_usage = false;
};

// One of the answers to a request, complete.
struct AnswerChoice {
  std::string text;
  TokenLogprobs logprobs;
  std::vector<inference::v1::ToolCall> tool_calls;
  inference::v1::FinishReason reason = inference::v1::FINISH_REASON_UNSPECIFIED;

  // Adds what `delta`, which is of this choice, says. False for a piece of a tool call that cannot be.
  bool Add(AnswerDelta&& delta);
};

// "stop", "length" or "tool_calls".
std::string_view FinishReasonText(inference::v1::FinishReason reason);

// The whole answer.
std::string AnswerJson(const AnswerHead& head, std::span<const AnswerChoice> choices, const TokenUsage& usage);

// The chunks of a stream: for each choice one Start (chat only: it carries the role), Deltas, one Finish; then one
// Usage if asked for.
std::string StartChunkJson(const AnswerHead& head, int choice);
// `text_offset`: characters of that choice delivered before; moved on (completions with logprobs only).
std::string DeltaChunkJson(const AnswerHead& head, const AnswerDelta& delta, std::int64_t& text_offset);
std::string FinishChunkJson(const AnswerHead& head, int choice, inference::v1::FinishReason reason);
std::string UsageChunkJson(const AnswerHead& head, const TokenUsage& usage);

struct ModelEntry {
  std::string id;
  std::int64_t created = 0;
  std::string owner;
};
std::string ModelJson(const ModelEntry& model);
std::string ModelListJson(const std::vector<ModelEntry>& models);

// Server-sent events (WHATWG HTML, section 9.2). `json` has no line break.
std::string SseData(std::string_view json);
std::string SseComment(std::string_view text);
inline constexpr std::string_view kSseDone = "data: [DONE]\n\n";

}  // namespace allod::gateway::openai
