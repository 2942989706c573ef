#include "gateway/openai_response.h"

#include <nlohmann/json.hpp>

namespace allod::gateway {
namespace {

using Json = nlohmann::ordered_json;

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json UsageObject(const TokenUsage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens}};
}

Json Envelope(const AnswerHead& head, const char* object) {
  Json out;
  out["id"] = head.id;
  out["object"] = object;
  out["created"] = head.created;
  out["model"] = head.model;
  return out;
}

std::string ChunkJson(const AnswerHead& head, Json choice) {
  Json out = Envelope(head, head.chat ? "chat.completion.chunk" : "text_completion");
  out["choices"] = Json::array({std::move(choice)});
  if (head.include_usage) out["usage"] = nullptr;
  return Dump(out);
}

Json Choice(const char* key, Json content, Json finish_reason) {
  Json choice;
  choice["index"] = 0;
  choice[key] = std::move(content);
  choice["logprobs"] = nullptr;
  choice["finish_reason"] = std::move(finish_reason);
  return choice;
}

Json ModelObject(const ModelEntry& model) {
  return {{"id", model.id}, {"object", "model"}, {"created", model.created}, {"owned_by", model.owner}};
}

}  // namespace

std::string_view FinishReasonText(inference::v1::FinishReason reason) {
  return reason == inference::v1::FINISH_REASON_LENGTH ? "length" : "stop";
}

std::string AnswerJson(const AnswerHead& head, std::string_view text, inference::v1::FinishReason reason,
                       const TokenUsage& usage) {
  Json out = Envelope(head, head.chat ? "chat.completion" : "text_completion");
  const Json finish = std::string(FinishReasonText(reason));
  if (head.chat) {
    Json message;
    message["role"] = "assistant";
    message["content"] = std::string(text);
    message["refusal"] = nullptr;
    out["choices"] = Json::array({Choice("message", std::move(message), finish)});
  } else {
    out["choices"] = Json::array({Choice("text", std::string(text), finish)});
  }
  out["usage"] = UsageObject(usage);
  return Dump(out);
}

std::string StartChunkJson(const AnswerHead& head) {
  Json delta;
  delta["role"] = "assistant";
  delta["content"] = "";
  return ChunkJson(head, Choice("delta", std::move(delta), nullptr));
}

std::string DeltaChunkJson(const AnswerHead& head, std::string_view text) {
  if (!head.chat) return ChunkJson(head, Choice("text", std::string(text), nullptr));
  Json delta;
  delta["content"] = std::string(text);
  return ChunkJson(head, Choice("delta", std::move(delta), nullptr));
}

std::string FinishChunkJson(const AnswerHead& head, inference::v1::FinishReason reason) {
  const Json finish = std::string(FinishReasonText(reason));
  if (!head.chat) return ChunkJson(head, Choice("text", "", finish));
  return ChunkJson(head, Choice("delta", Json::object(), finish));
}

std::string UsageChunkJson(const AnswerHead& head, const TokenUsage& usage) {
  Json out = Envelope(head, head.chat ? "chat.completion.chunk" : "text_completion");
  out["choices"] = Json::array();
  out["usage"] = UsageObject(usage);
  return Dump(out);
}

std::string ModelJson(const ModelEntry& model) { return Dump(ModelObject(model)); }

std::string ModelListJson(const std::vector<ModelEntry>& models) {
  Json data = Json::array();
  for (const ModelEntry& model : models) data.push_back(ModelObject(model));
  Json out;
  out["object"] = "list";
  out["data"] = std::move(data);
  return Dump(out);
}

std::string SseData(std::string_view json) {
  std::string out = "data: ";
  out += json;
  out += "\n\n";
  return out;
}

std::string SseComment(std::string_view text) {
  std::string out = ": ";
  out += text;
  out += "\n\n";
  return out;
}

}  // namespace allod::gateway
