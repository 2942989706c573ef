// An issuer of JSON Web Tokens for tests: makes keys with OpenSSL, publishes them as a JWK set and signs what it is
// told to, sense or nonsense.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

struct evp_pkey_st;

namespace allod {

class TokenIssuer {
 public:
  enum class Kind { kRsa2048, kRsa1024, kP256, kP384, kEd25519 };

  // Makes a key; the newest with this id signs.
  void AddKey(const std::string& kid, Kind kind);
  void RemoveKey(const std::string& kid);
  // {"keys": [...]}
  std::string KeySetJson() const;
  nlohmann::json Jwk(const std::string& kid) const;
  // The public key as PEM.
  std::string PublicPem(const std::string& kid) const;

  // "header.payload.signature"; header and claims are put in as they are, the signature is by the key `kid`.
  std::string Sign(const std::string& kid, std::string_view header, std::string_view claims) const;
  // With the header that belongs to the key.
  std::string Sign(const std::string& kid, const nlohmann::json& claims) const;
  // {"alg": ..., "typ": "JWT", "kid": ...}
  nlohmann::json Header(const std::string& kid) const;

 private:
  struct Key {
    std::string kid;
    Kind kind;
    std::shared_ptr<evp_pkey_st> key;
  };
  const Key& Find(const std::string& kid) const;

  std::vector<Key> keys_;
};

}  // namespace allod
