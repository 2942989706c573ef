// Writes OpenAI's response bodies: chat.completion, text_completion, their chunks, and the model list. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "allod/inference/v1/worker.pb.h"

namespace allod::gateway {

struct TokenUsage {
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
};

// What all bodies of one answer share.
struct AnswerHead {
  bool chat = false;
  std::string id;            // "chatcmpl-..." or "cmpl-..."
  std::int64_t created = 0;  // seconds since the epoch
  std::string model;         // as the client named it
  bool include_usage = false;
};

// "stop" or "length"; null JSON while running.
std::string_view FinishReasonText(inference::v1::FinishReason reason);

// The whole answer.
std::string AnswerJson(const AnswerHead& head, std::string_view text, inference::v1::FinishReason reason,
                       const TokenUsage& usage);

// The chunks of a stream, in order: one Start (chat only: it carries the role), Deltas, one Finish, one Usage if asked
// for.
std::string StartChunkJson(const AnswerHead& head);
std::string DeltaChunkJson(const AnswerHead& head, std::string_view text);
std::string FinishChunkJson(const AnswerHead& head, inference::v1::FinishReason reason);
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

}  // namespace allod::gateway
