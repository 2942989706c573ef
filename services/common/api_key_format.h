// The text form of API keys: `ald_<kid>_<secret>_<crc>`. Pure: no I/O, so junk is rejected before anything is looked
// up.
//
//   kid     12 characters of lower-case base32 (RFC 4648: a-z, 2-7), public, finds the key
//   secret  52 characters of lower-case base32: 32 random bytes
//   crc     8 lower-case hex digits: CRC-32 (ISO-HDLC) of everything before the last underscore
//
// A server stores the digest only: HMAC-SHA256 of the secret's text under the installation's pepper.
//
//   ALLOD_TRY(const ApiKeyText key, ParseApiKey(text));          // no I/O
//   ... look up key.kid ...; SameDigest(stored, DigestApiKeySecret(pepper, key.secret))
#pragma once

#include <string>
#include <string_view>

#include "services/common/digest.h"
#include "services/common/result.h"

namespace allod {

using ApiKeyDigest = Digest256;

struct ApiKeyText {
  std::string kid;
  std::string secret;  // never log it
};

// From the operating system's random source. Thread-safe.
ApiKeyText NewApiKey();
std::string FormatApiKey(const ApiKeyText& key);
// UNAUTHENTICATED / INVALID_API_KEY; the message says which part is wrong and never repeats the text.
Result<ApiKeyText> ParseApiKey(std::string_view text);

ApiKeyDigest DigestApiKeySecret(std::string_view pepper, std::string_view secret);
// In constant time.
bool SameDigest(const ApiKeyDigest& a, const ApiKeyDigest& b);

}  // namespace allod
