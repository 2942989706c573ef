#include "services/common/jose/token.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

#include "services/common/jose/base64url.h"
#include "services/common/jose/strict_json.h"
#include "services/common/text_check.h"

namespace allod::jose {
namespace {

using nlohmann::json;

constexpr JsonLimits kHeaderLimits{.depth_max = 3, .values_max = 64};
constexpr JsonLimits kClaimsLimits{.depth_max = 8, .values_max = 1024};
constexpr std::size_t kSubjectBytesMax = 1024;
constexpr std::size_t kPartsOfToken = 3;
// Of a time, in seconds since 1970: the end of 2199. Time ends in 2262, and what is later would turn into the past.
constexpr std::int64_t kTimeMax = 7'258'118'399;
static_assert(std::chrono::seconds(kTimeMax) + kSkew < std::chrono::floor<std::chrono::seconds>(Time::duration::max()));

std::unexpected<Error> Refused(std::string reason, std::string message) {
  return Fail(Code::kUnauthenticated, std::move(reason), std::move(message));
}

std::unexpected<Error> Malformed(std::string message) { return Refused("TOKEN_MALFORMED", std::move(message)); }

// "header.payload.signature", and nothing else.
std::optional<std::array<std::string_view, kPartsOfToken>> SplitParts(std::string_view text) {
  std::array<std::string_view, kPartsOfToken> out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const bool is_last = i + 1 == out.size();
    const std::size_t end = text.find('.');
    if ((end == std::string_view::npos) != is_last) return std::nullopt;
    out[i] = text.substr(0, end);
    if (out[i].empty()) return std::nullopt;
    if (!is_last) text.remove_prefix(end + 1);
  }
  return out;
}

Result<json> ReadPart(const char* what, std::string_view text, const JsonLimits& limits) {
  const auto bytes = DecodeBase64Url(text);
  if (!bytes) return Malformed(fmt::format("the token's {} is not base64url without padding", what));
  Result<json> out = ParseStrictObject(*bytes, limits);
  if (!out) return Malformed(fmt::format("the token's {} cannot be read: {}", what, out.error().message));
  return out;
}

// A claim or parameter that is text without control characters; empty if there is none.
Result<std::string> TextOf(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return std::string();
  if (!found->is_string()) return Malformed(fmt::format("the token's \"{}\" is not a string", name));
  std::string out = found->get<std::string>();
  if (FindNoText(out)) return Malformed(fmt::format("the token's \"{}\" has control characters", name));
  return out;
}

// "JWT", "at+jwt" (RFC 9068), with or without "application/"; tokens of other kinds (logout, DPoP, security events) are
// no credentials.
constexpr std::string_view kAccessTokenType = "at+jwt";

std::string ShortType(std::string type) {
  std::ranges::transform(type, type.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  constexpr std::string_view kPrefix = "application/";
  if (type.starts_with(kPrefix)) type.erase(0, kPrefix.size());
  return type;
}

bool IsCredential(std::string_view type) { return type.empty() || type == "jwt" || type == kAccessTokenType; }

// Seconds since 1970 (NumericDate). Nothing if there is none.
Result<std::optional<Time>> TimeOf(const json& claims, const char* name) {
  const auto found = claims.find(name);
  if (found == claims.end()) return std::nullopt;
  const double seconds = found->is_number() ? found->get<double>() : -1;
  if (!(seconds >= 0 && seconds <= static_cast<double>(kTimeMax))) {
    return Refused("TOKEN_CLAIM", fmt::format("the token's \"{}\" is no time in seconds from 1970 to 2199", name));
  }
  return Time(std::chrono::seconds(static_cast<std::int64_t>(std::floor(seconds))));
}

Result<Time> RequiredTime(const json& claims, const char* name) {
  ALLOD_TRY(const auto time, TimeOf(claims, name));
  if (!time) return Refused("TOKEN_CLAIM", fmt::format("the token has no \"{}\"", name));
  return *time;
}

struct Times {
  Time issue;
  Time expire;
};

Result<Times> CheckTimes(const json& claims, Time now) {
  ALLOD_TRY(const Time expire, RequiredTime(claims, "exp"));
  if (now >= expire + kSkew) return Refused("TOKEN_EXPIRED", "the token has expired");
  ALLOD_TRY(const Time issued, RequiredTime(claims, "iat"));
  ALLOD_TRY(const auto begin, TimeOf(claims, "nbf"));
  if (issued > now + kSkew || (begin && *begin > now + kSkew)) {
    return Refused("TOKEN_NOT_YET_VALID",
                   "the token is not valid yet; is the clock of its issuer or of this host wrong?");
  }
  return Times{issued, expire};
}

// `aud` is a string, or an array of them.
Status CheckAudience(const json& claims, const std::vector<std::string>& audiences) {
  const auto found = claims.find("aud");
  if (found == claims.end()) return Refused("TOKEN_CLAIM", "the token has no \"aud\"");
  std::vector<std::string> named;
  for (const json& one : found->is_array() ? *found : json::array({*found})) {
    if (!one.is_string()) return Refused("TOKEN_CLAIM", "the token's \"aud\" is not made of strings");
    named.push_back(one.get<std::string>());
  }
  const bool meant = std::ranges::any_of(
      named, [&](const std::string& one) { return std::ranges::find(audiences, one) != audiences.end(); });
  if (!meant)
    return Refused("TOKEN_AUDIENCE", "the token is meant for somebody else: its \"aud\" is none that is allowed");
  return {};
}

}  // namespace

Status UnverifiedToken::ReadHeader(const json& header) {
  ALLOD_TRY(const std::string name, TextOf(header, "alg"));
  const auto algorithm = AlgorithmOf(name);
  if (!algorithm) {
    return Refused("TOKEN_ALGORITHM", "the token's algorithm is none of RS256, ES256 and EdDSA");
  }
  algorithm_ = *algorithm;
  if (header.contains("crit"))
    return Refused("TOKEN_CRITICAL", "the token asks for extensions, and none is known here");
  ALLOD_TRY(std::string type, TextOf(header, "typ"));
  type = ShortType(std::move(type));
  is_access_token_ = type == kAccessTokenType;
  if (!IsCredential(type)) return Refused("TOKEN_TYPE", "the token's type is neither JWT nor at+jwt");
  ALLOD_TRY(kid_, TextOf(header, "kid"));
  if (kid_.empty()) return Refused("TOKEN_KEY_UNKNOWN", "the token does not say which key signed it (\"kid\")");
  return {};
}

Result<UnverifiedToken> UnverifiedToken::Parse(std::string_view compact) {
  if (compact.size() > kTokenBytesMax) {
    return Refused("TOKEN_TOO_LARGE", fmt::format("the token has more than {} bytes", kTokenBytesMax));
  }
  const auto parts = SplitParts(compact);
  if (!parts) return Malformed("the token is not three parts with dots between them");
  UnverifiedToken out;
  ALLOD_TRY(const json header, ReadPart("header", (*parts)[0], kHeaderLimits));
  ALLOD_CHECK_OK(out.ReadHeader(header));
  ALLOD_TRY(out.claims_, ReadPart("payload", (*parts)[1], kClaimsLimits));
  auto signature = DecodeBase64Url((*parts)[2]);
  if (!signature || signature->empty()) return Malformed("the token's signature is not base64url without padding");
  out.signature_ = *std::move(signature);
  out.signed_text_ = compact.substr(0, (*parts)[0].size() + 1 + (*parts)[1].size());
  ALLOD_TRY(out.issuer_, TextOf(out.claims_, "iss"));
  return out;
}

const json* Claims::Find(std::string_view name) const {
  const json* at = &all_;
  for (;;) {
    if (!at->is_object()) return nullptr;
    if (const auto whole = at->find(std::string(name)); whole != at->end()) return &*whole;
    const std::size_t slash = name.rfind('/');
    if (slash == std::string_view::npos) return nullptr;
    // The longest name that is there: names of Kubernetes' claims have slashes of their own.
    std::size_t end = slash;
    auto inner = at->find(std::string(name.substr(0, end)));
    while (inner == at->end()) {
      end = end == 0 ? std::string_view::npos : name.rfind('/', end - 1);
      if (end == std::string_view::npos) return nullptr;
      inner = at->find(std::string(name.substr(0, end)));
    }
    at = &*inner;
    name.remove_prefix(end + 1);
  }
}

std::optional<std::string> Claims::Text(std::string_view name) const {
  const json* found = Find(name);
  if (found == nullptr || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

bool Claims::Lists(std::string_view name, std::string_view value) const {
  const json* found = Find(name);
  return found != nullptr && found->is_array() && std::ranges::any_of(*found, [&](const json& one) {
           return one.is_string() && one.get_ref<const std::string&>() == value;
         });
}

bool Claims::IsTrue(std::string_view name) const {
  const json* found = Find(name);
  return found != nullptr && (*found == true || *found == "true");
}

std::vector<std::string> Claims::audiences() const {
  std::vector<std::string> out;
  const json& named = all_.at("aud");
  for (const json& one : named.is_array() ? named : json::array({named})) out.push_back(one.get<std::string>());
  return out;
}

Result<Claims> Verify(const UnverifiedToken& token, const KeySet& keys, const Expected& expected) {
  const json& claims = token.claims_;
  if (token.issuer_.empty()) return Refused("TOKEN_CLAIM", "the token has no \"iss\"");
  if (token.issuer_ != expected.issuer) return Refused("TOKEN_ISSUER", "the token is by another issuer");
  // Before every other claim: what is said of those is said to nobody who made a token up.
  ALLOD_CHECK_OK(keys.Verify(token.kid_, token.algorithm_, token.signed_text_, token.signature_));
  Claims out;
  ALLOD_TRY(const Times times, CheckTimes(claims, expected.now));
  out.issue_time_ = times.issue;
  out.expire_time_ = times.expire;
  ALLOD_TRY(out.subject_, TextOf(claims, "sub"));
  if (out.subject_.empty() || out.subject_.size() > kSubjectBytesMax) {
    return Refused("TOKEN_CLAIM", fmt::format("the token has no \"sub\" of 1 to {} bytes", kSubjectBytesMax));
  }
  ALLOD_CHECK_OK(CheckAudience(claims, expected.audiences));
  out.all_ = claims;
  return out;
}

}  // namespace allod::jose
