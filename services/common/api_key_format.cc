#include "services/common/api_key_format.h"

#include <fmt/format.h>

#include <boost/crc.hpp>
#include <vector>

namespace allod {
namespace {

constexpr std::string_view kPrefix = "ald_";
constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";
constexpr std::size_t kKidChars = 12;
constexpr std::size_t kSecretChars = 52;
constexpr std::size_t kCrcChars = 8;
constexpr std::size_t kKeyChars = kPrefix.size() + kKidChars + 1 + kSecretChars + 1 + kCrcChars;

// Each character from 5 bits of a random byte, so every character is uniform.
std::string RandomBase32(std::size_t chars) {
  std::vector<std::uint8_t> bytes(chars);
  FillRandom(bytes);
  std::string out;
  for (const std::uint8_t byte : bytes) out.push_back(kAlphabet[byte & 31]);
  return out;
}

bool IsBase32(std::string_view text) { return text.find_first_not_of(kAlphabet) == std::string_view::npos; }

std::string Crc(std::string_view text) {
  boost::crc_32_type crc;
  crc.process_bytes(text.data(), text.size());
  return fmt::format("{:08x}", crc.checksum());
}

std::unexpected<Error> Malformed(std::string_view what) {
  return Fail(
      Code::kUnauthenticated, "INVALID_API_KEY",
      fmt::format("this is not an API key of this installation: {}; keys look like ald_<kid>_<secret>_<crc>", what));
}

}  // namespace

ApiKeyText NewApiKey() { return {RandomBase32(kKidChars), RandomBase32(kSecretChars)}; }

std::string FormatApiKey(const ApiKeyText& key) {
  const std::string body = fmt::format("{}{}_{}", kPrefix, key.kid, key.secret);
  return fmt::format("{}_{}", body, Crc(body));
}

Result<ApiKeyText> ParseApiKey(std::string_view text) {
  if (!text.starts_with(kPrefix)) return Malformed("it does not start with 'ald_'");
  if (text.size() != kKeyChars) {
    return Malformed(fmt::format("it has {} characters instead of {}", text.size(), kKeyChars));
  }
  const std::string_view body = text.substr(0, kKeyChars - kCrcChars - 1);
  const std::string_view kid = body.substr(kPrefix.size(), kKidChars);
  const std::string_view secret = body.substr(kPrefix.size() + kKidChars + 1);
  if (!IsBase32(kid) || !IsBase32(secret) || body[kPrefix.size() + kKidChars] != '_' || text[body.size()] != '_') {
    return Malformed("a part has characters that keys do not have");
  }
  if (text.substr(body.size() + 1) != Crc(body))
    return Malformed("its checksum does not match, so it was mistyped or cut");
  return ApiKeyText{std::string(kid), std::string(secret)};
}

ApiKeyDigest DigestApiKeySecret(std::string_view pepper, std::string_view secret) { return HmacSha256(pepper, secret); }

bool SameDigest(const ApiKeyDigest& a, const ApiKeyDigest& b) {
  const auto text = [](const ApiKeyDigest& d) {
    return std::string_view(reinterpret_cast<const char*>(d.data()), d.size());
  };
  return EqualInConstantTime(text(a), text(b));
}

}  // namespace allod
