#include "gateway/openai/response.h"

#include <nlohmann/json.hpp>

#include "gateway/openai/logprobs.h"

namespace allod::gateway::openai {
namespace {

using Json = nlohmann::ordered_json;

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json UsageObject(const TokenUsage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_prompt_tokens}}}};
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

Json Choice(int index, const char* key, Json content, Json logprobs, Json finish_reason) {
  Json choice;
  choice["index"] = index;
  choice[key] = std::move(content);
  choice["logprobs"] = std::move(logprobs);
  choice["finish_reason"] = std::move(finish_reason);
  return choice;
}

// A whole call, or with `index` >= 0 a piece of one: its first carries id and name.
Json ToolCallObject(int index, const std::string& id, const std::string& name, const std::string& arguments) {
  Json call;
  if (index >= 0) call["index"] = index;
  if (!id.empty()) {
    call["id"] = id;
    call["type"] = "function";
    call["function"]["name"] = name;
  }
  call["function"]["arguments"] = arguments;
  return call;
}

Json MessageObject(const AnswerChoice& choice) {
  Json message;
  message["role"] = "assistant";
  const bool no_text = choice.text.empty() && !choice.tool_calls.empty();
  message["content"] = no_text ? Json(nullptr) : Json(choice.text);
  message["refusal"] = nullptr;
  for (const auto& call : choice.tool_calls) {
    message["tool_calls"].push_back(ToolCallObject(-1, call.id(), call.name(), call.arguments()));
  }
  return message;
}

Json DeltaObject(const AnswerDelta& delta) {
  Json out = Json::object();
  if (!delta.text().empty() || delta.tool_calls_size() == 0) out["content"] = delta.text();
  for (const auto& piece : delta.tool_calls()) {
    out["tool_calls"].push_back(ToolCallObject(piece.index(), piece.id(), piece.name(), piece.arguments()));
  }
  return out;
}

Json ModelObject(const ModelEntry& model) {
  return {{"id", model.id}, {"object", "model"}, {"created", model.created}, {"owned_by", model.owner}};
}

}  // namespace

bool AnswerChoice::Add(AnswerDelta&& delta) {
  text += delta.text();
  for (auto& logprob : *delta.mutable_logprobs()) *logprobs.Add() = std::move(logprob);
  for (const auto& piece : delta.tool_calls()) {
    const auto index = static_cast<std::size_t>(piece.index());
    if (index > tool_calls.size()) return false;
    if (index == tool_calls.size()) tool_calls.emplace_back();
    auto& call = tool_calls[index];
    if (!piece.id().empty()) call.set_id(piece.id());
    if (!piece.name().empty()) call.set_name(piece.name());
    call.mutable_arguments()->append(piece.arguments());
  }
  return true;
}

std::string_view FinishReasonText(inference::v1::FinishReason reason) {
  if (reason == inference::v1::FINISH_REASON_TOOL_CALLS) return "tool_calls";
  return reason == inference::v1::FINISH_REASON_LENGTH ? "length" : "stop";
}

std::string AnswerJson(const AnswerHead& head, std::span<const AnswerChoice> choices, const TokenUsage& usage) {
  Json out = Envelope(head, head.chat ? "chat.completion" : "text_completion");
  out["choices"] = Json::array();
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const AnswerChoice& choice = choices[i];
    const int index = static_cast<int>(i);
    const Json finish = std::string(FinishReasonText(choice.reason));
    if (head.chat) {
      out["choices"].push_back(
          Choice(index, "message", MessageObject(choice), ChatLogprobsObject(choice.logprobs), finish));
    } else {
      std::int64_t text_offset = 0;
      out["choices"].push_back(
          Choice(index, "text", choice.text, TextLogprobsObject(choice.logprobs, text_offset), finish));
    }
  }
  out["usage"] = UsageObject(usage);
  return Dump(out);
}

std::string StartChunkJson(const AnswerHead& head, int choice) {
  Json delta;
  delta["role"] = "assistant";
  delta["content"] = "";
  return ChunkJson(head, Choice(choice, "delta", std::move(delta), nullptr, nullptr));
}

std::string DeltaChunkJson(const AnswerHead& head, const AnswerDelta& delta, std::int64_t& text_offset) {
  if (head.chat) {
    return ChunkJson(
        head, Choice(delta.choice(), "delta", DeltaObject(delta), ChatLogprobsObject(delta.logprobs()), nullptr));
  }
  return ChunkJson(
      head, Choice(delta.choice(), "text", delta.text(), TextLogprobsObject(delta.logprobs(), text_offset), nullptr));
}

std::string FinishChunkJson(const AnswerHead& head, int choice, inference::v1::FinishReason reason) {
  const Json finish = std::string(FinishReasonText(reason));
  if (!head.chat) return ChunkJson(head, Choice(choice, "text", "", nullptr, finish));
  return ChunkJson(head, Choice(choice, "delta", Json::object(), nullptr, finish));
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

}  // namespace allod::gateway::openai
