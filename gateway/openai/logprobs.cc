#include "gateway/openai/logprobs.h"

#include <algorithm>
#include <string>

namespace allod::gateway::openai {
namespace {

using Json = nlohmann::ordered_json;
using inference::v1::TokenLogprob;

Json TokenObject(const TokenLogprob& token) {
  Json out;
  out["token"] = token.token();
  out["logprob"] = token.logprob();
  Json bytes = Json::array();
  for (const char c : token.token()) bytes.push_back(static_cast<unsigned char>(c));
  out["bytes"] = std::move(bytes);
  return out;
}

// Characters that start in `bytes`.
std::int64_t CountCharacters(const std::string& bytes) {
  return std::ranges::count_if(bytes, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
}

}  // namespace

Json ChatLogprobsObject(const TokenLogprobs& logprobs) {
  if (logprobs.empty()) return nullptr;
  Json content = Json::array();
  for (const auto& logprob : logprobs) {
    Json entry = TokenObject(logprob.token());
    entry["top_logprobs"] = Json::array();
    for (const TokenLogprob& other : logprob.top()) entry["top_logprobs"].push_back(TokenObject(other));
    content.push_back(std::move(entry));
  }
  Json out;
  out["content"] = std::move(content);
  out["refusal"] = nullptr;
  return out;
}

Json TextLogprobsObject(const TokenLogprobs& logprobs, std::int64_t& text_offset) {
  if (logprobs.empty()) return nullptr;
  Json out;
  for (const char* member : {"tokens", "token_logprobs", "top_logprobs", "text_offset"}) out[member] = Json::array();
  for (const auto& logprob : logprobs) {
    out["tokens"].push_back(logprob.token().token());
    out["token_logprobs"].push_back(logprob.token().logprob());
    Json top = Json::object();
    for (const TokenLogprob& other : logprob.top()) top[other.token()] = other.logprob();
    out["top_logprobs"].push_back(logprob.top().empty() ? Json(nullptr) : std::move(top));
    out["text_offset"].push_back(text_offset);
    text_offset += CountCharacters(logprob.token().token());
  }
  return out;
}

}  // namespace allod::gateway::openai
