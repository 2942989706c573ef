#include "gateway/openai/embedding_response.h"

#include <bit>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

namespace allod::gateway::openai {
namespace {

using Json = nlohmann::ordered_json;

std::string LittleEndianFloats(const inference::v1::Embedding& embedding) {
  std::string out;
  out.reserve(static_cast<std::size_t>(embedding.values_size()) * 4);
  for (const float value : embedding.values()) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(bits >> shift & 0xff);
  }
  return out;
}

std::string Base64(std::string_view bytes) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += i + k <= bytes.size() ? kAlphabet[group >> (18 - 6 * k) & 63] : '=';
    }
  }
  return out;
}

}  // namespace

std::string EmbeddingsJson(const std::string& model, const inference::v1::EmbedResponse& embedded, bool base64) {
  Json out;
  out["object"] = "list";
  out["data"] = Json::array();
  for (int i = 0; i < embedded.embeddings_size(); ++i) {
    Json entry;
    entry["object"] = "embedding";
    entry["index"] = i;
    const inference::v1::Embedding& embedding = embedded.embeddings(i);
    if (base64) {
      entry["embedding"] = Base64(LittleEndianFloats(embedding));
    } else {
      entry["embedding"] = Json::array();
      for (const float value : embedding.values()) entry["embedding"].push_back(value);
    }
    out["data"].push_back(std::move(entry));
  }
  out["model"] = model;
  out["usage"] = {{"prompt_tokens", embedded.prompt_tokens()}, {"total_tokens", embedded.prompt_tokens()}};
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace allod::gateway::openai
