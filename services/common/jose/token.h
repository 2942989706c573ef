// JSON Web Tokens (RFC 7519) in the compact form of a signed object (RFC 7515), read strictly and checked against what
// RFC 8725 lists. Pure: no I/O, no clock.
//
//   ALLOD_TRY(const UnverifiedToken token, UnverifiedToken::Parse(text));
//   ... token.issuer() chooses whose keys and rules apply, and nothing else ...
//   ALLOD_TRY(const Claims claims, Verify(token, keys, {.issuer = ..., .audiences = ..., .now = ...}));
//
// Errors are UNAUTHENTICATED with a reason; messages are safe to show and repeat nothing of the token.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/common/clock.h"
#include "services/common/jose/key_set.h"
#include "services/common/result.h"

namespace allod::jose {

inline constexpr std::size_t kTokenBytesMax = 16 << 10;
// How far two clocks may be apart.
inline constexpr std::chrono::seconds kSkew{60};

class Claims;
struct Expected;

// What nobody vouches for yet.
class UnverifiedToken {
 public:
  // TOKEN_TOO_LARGE; TOKEN_MALFORMED: not three parts of base64url, not JSON objects of bounded size without a member
  // twice; TOKEN_ALGORITHM: none of RS256, ES256 and EdDSA, "none" and HMACs above all; TOKEN_CRITICAL: extensions that
  // must be understood; TOKEN_TYPE: not a JWT or an access token; TOKEN_KEY_UNKNOWN: names no key.
  static Result<UnverifiedToken> Parse(std::string_view compact);

  // Of the claim `iss`; empty if there is none.
  const std::string& issuer() const { return issuer_; }
  // By its type (RFC 9068); it is no ID token then, which may have none.
  bool is_access_token() const { return is_access_token_; }
  // What is signed: two tokens with the same are one, however they are signed (of ECDSA there are two ways).
  const std::string& signed_text() const { return signed_text_; }

 private:
  friend Result<Claims> Verify(const UnverifiedToken& token, const KeySet& keys, const Expected& expected);
  Status ReadHeader(const nlohmann::json& header);

  Algorithm algorithm_{};
  std::string kid_;
  std::string signed_text_;
  std::string signature_;
  std::string issuer_;
  bool is_access_token_ = false;
  nlohmann::json claims_;
};

// What a verified token says.
class Claims {
 public:
  const std::string& subject() const { return subject_; }
  Time expire_time() const { return expire_time_; }
  Time issue_time() const { return issue_time_; }
  // A claim that is a string; nothing if there is none, or it is something else. A name may lead into objects:
  // "kubernetes.io/namespace" is looked for as it is, then as the member "namespace" of "kubernetes.io".
  std::optional<std::string> Text(std::string_view name) const;
  // Whether a claim, named likewise, is a list with this string in it.
  bool Lists(std::string_view name, std::string_view value) const;
  // Whether a claim is true; some issuers write "true".
  bool IsTrue(std::string_view name) const;
  // Of `aud`.
  std::vector<std::string> audiences() const;

 private:
  friend Result<Claims> Verify(const UnverifiedToken& token, const KeySet& keys, const Expected& expected);
  const nlohmann::json* Find(std::string_view name) const;
  std::string subject_;
  Time expire_time_;
  Time issue_time_;
  nlohmann::json all_;
};

struct Expected {
  std::string issuer;                  // exactly
  std::vector<std::string> audiences;  // the token must name one of them
  Time now;
};

// The errors of KeySet::Verify(), and TOKEN_ISSUER, TOKEN_AUDIENCE, TOKEN_EXPIRED, TOKEN_NOT_YET_VALID, TOKEN_CLAIM
// (iss, aud, sub, exp or iat is missing or makes no sense; times are from 1970 to 2199). Of a token whose signature is
// not good only the issuer is looked at, so errors of other claims are for holders of the issuer's tokens alone.
Result<Claims> Verify(const UnverifiedToken& token, const KeySet& keys, const Expected& expected);

}  // namespace allod::jose
