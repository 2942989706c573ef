// The public keys of an issuer, from a JWK set (RFC 7517). Immutable once parsed; thread-safe.
//
// A key verifies signatures of one algorithm, which is decided here and never by a token (RFC 8725 section 3.1):
// RS256 for RSA keys of 2048 to 8192 bits, ES256 for P-256, EdDSA for Ed25519. Keys of other kinds, for other uses and
// too weak ones are left out, as RFC 7517 section 5 has it, and so are symmetric and private ones, which are no public
// keys.
#pragma once

#include <cstddef>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/common/result.h"

struct evp_pkey_st;

namespace allod::jose {

enum class Algorithm { kRs256, kEs256, kEdDsa };

// "RS256", "ES256", "EdDSA" (RFC 7518, RFC 8037).
std::string_view NameOf(Algorithm algorithm);
std::optional<Algorithm> AlgorithmOf(std::string_view name);

class KeySet {
 public:
  static constexpr std::size_t kBytesMax = 64 << 10;
  static constexpr std::size_t kKeysMax = 64;

  // INVALID_ARGUMENT / INVALID_KEY_SET when it is no JWK set, too large, or has no key that can be used; the message
  // says why each was left out.
  static Result<KeySet> Parse(std::string_view json);

  // Whether `signature` over `message` is by the key `kid`, made with `algorithm`. UNAUTHENTICATED / TOKEN_KEY_UNKNOWN
  // (no key has this id), TOKEN_KEY_AMBIGUOUS (several have), TOKEN_ALGORITHM (the key is for another one),
  // TOKEN_SIGNATURE.
  Status Verify(std::string_view kid, Algorithm algorithm, std::string_view message, std::string_view signature) const;

  std::size_t size() const { return keys_.size(); }

 private:
  struct Key {
    std::string kid;
    Algorithm algorithm;
    std::shared_ptr<evp_pkey_st> key;
  };
  static Result<Key> ParseKey(const nlohmann::json& jwk);

  std::vector<Key> keys_;
};

}  // namespace allod::jose
