#include "gateway/federation/sealed_json.h"

#include <utility>

#include "services/common/jose/base64url.h"

namespace allod::gateway::federation {
namespace {

using nlohmann::json;

constexpr char kPurpose[] = "seal, version 1";

std::string_view Text(const Digest256& digest) { return {reinterpret_cast<const char*>(digest.data()), digest.size()}; }

}  // namespace

SealedJson::SealedJson(std::string_view pepper, std::string_view salt, std::string prefix, std::size_t chars_max)
    : key_(DeriveKey(pepper, salt, kPurpose)), prefix_(std::move(prefix)), chars_max_(chars_max) {}

std::string SealedJson::Seal(const json& object) const {
  const std::string body = object.dump(-1, ' ', false, json::error_handler_t::replace);
  const Digest256 mac = HmacSha256(Text(key_), body);
  return prefix_ + jose::EncodeBase64Url(body + std::string(Text(mac)));
}

std::optional<json> SealedJson::Open(std::string_view text) const {
  if (!text.starts_with(prefix_) || text.size() > chars_max_) return std::nullopt;
  const auto bytes = jose::DecodeBase64Url(text.substr(prefix_.size()));
  if (!bytes || bytes->size() <= sizeof(Digest256)) return std::nullopt;
  const std::string_view body = std::string_view(*bytes).substr(0, bytes->size() - sizeof(Digest256));
  const Digest256 mac = HmacSha256(Text(key_), body);
  if (!EqualInConstantTime(Text(mac), std::string_view(*bytes).substr(body.size()))) return std::nullopt;
  json object = json::parse(body, nullptr, false);  // from here on it is our own words
  if (!object.is_object()) return std::nullopt;
  return object;
}

}  // namespace allod::gateway::federation
