#include "tests/support/token_issuer.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <stdexcept>

#include "services/common/jose/base64url.h"

namespace allod {
namespace {

using jose::EncodeBase64Url;
using nlohmann::json;

void Must(bool ok, const char* what) {
  if (!ok) throw std::runtime_error(what);
}

std::string Number(EVP_PKEY* key, const char* name, int bytes = 0) {
  BIGNUM* number = nullptr;
  Must(EVP_PKEY_get_bn_param(key, name, &number) == 1, name);
  std::string out(static_cast<std::size_t>(bytes > 0 ? bytes : BN_num_bytes(number)), '\0');
  BN_bn2binpad(number, reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size()));
  BN_free(number);
  return out;
}

const char* AlgorithmOf(TokenIssuer::Kind kind) {
  switch (kind) {
    case TokenIssuer::Kind::kRsa2048:
    case TokenIssuer::Kind::kRsa1024:
      return "RS256";
    case TokenIssuer::Kind::kP256:
      return "ES256";
    case TokenIssuer::Kind::kP384:
      return "ES384";
    case TokenIssuer::Kind::kEd25519:
      return "EdDSA";
  }
  return "";
}

// DER to r and s side by side.
std::string ToRaw(const std::string& der, int bytes) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  ECDSA_SIG* parts = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
  Must(parts != nullptr, "signature");
  std::string out(2 * static_cast<std::size_t>(bytes), '\0');
  auto* to = reinterpret_cast<unsigned char*>(out.data());
  BN_bn2binpad(ECDSA_SIG_get0_r(parts), to, bytes);
  BN_bn2binpad(ECDSA_SIG_get0_s(parts), to + bytes, bytes);
  ECDSA_SIG_free(parts);
  return out;
}

}  // namespace

void TokenIssuer::AddKey(const std::string& kid, Kind kind) {
  EVP_PKEY* key = nullptr;
  switch (kind) {
    case Kind::kRsa2048:
      key = EVP_RSA_gen(2048);
      break;
    case Kind::kRsa1024:
      key = EVP_RSA_gen(1024);
      break;
    case Kind::kP256:
      key = EVP_EC_gen("P-256");
      break;
    case Kind::kP384:
      key = EVP_EC_gen("P-384");
      break;
    case Kind::kEd25519:
      key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
      break;
  }
  Must(key != nullptr, "key");
  keys_.insert(keys_.begin(), {kid, kind, std::shared_ptr<EVP_PKEY>(key, &EVP_PKEY_free)});
}

void TokenIssuer::RemoveKey(const std::string& kid) {
  std::erase_if(keys_, [&](const Key& key) { return key.kid == kid; });
}

const TokenIssuer::Key& TokenIssuer::Find(const std::string& kid) const {
  const auto found = std::ranges::find(keys_, kid, &Key::kid);
  Must(found != keys_.end(), "no such key");
  return *found;
}

json TokenIssuer::Jwk(const std::string& kid) const {
  const Key& key = Find(kid);
  json out{{"kid", kid}, {"use", "sig"}, {"alg", AlgorithmOf(key.kind)}};
  switch (key.kind) {
    case Kind::kRsa2048:
    case Kind::kRsa1024:
      out["kty"] = "RSA";
      out["n"] = EncodeBase64Url(Number(key.key.get(), OSSL_PKEY_PARAM_RSA_N));
      out["e"] = EncodeBase64Url(Number(key.key.get(), OSSL_PKEY_PARAM_RSA_E));
      break;
    case Kind::kP256:
    case Kind::kP384: {
      const int bytes = key.kind == Kind::kP256 ? 32 : 48;
      out["kty"] = "EC";
      out["crv"] = key.kind == Kind::kP256 ? "P-256" : "P-384";
      out["x"] = EncodeBase64Url(Number(key.key.get(), OSSL_PKEY_PARAM_EC_PUB_X, bytes));
      out["y"] = EncodeBase64Url(Number(key.key.get(), OSSL_PKEY_PARAM_EC_PUB_Y, bytes));
      break;
    }
    case Kind::kEd25519: {
      std::string raw(32, '\0');
      std::size_t size = raw.size();
      EVP_PKEY_get_raw_public_key(key.key.get(), reinterpret_cast<unsigned char*>(raw.data()), &size);
      out["kty"] = "OKP";
      out["crv"] = "Ed25519";
      out["x"] = EncodeBase64Url(raw);
      break;
    }
  }
  return out;
}

std::string TokenIssuer::KeySetJson() const {
  json keys = json::array();
  for (const Key& key : keys_) keys.push_back(Jwk(key.kid));
  return json{{"keys", keys}}.dump();
}

std::string TokenIssuer::PublicPem(const std::string& kid) const {
  BIO* memory = BIO_new(BIO_s_mem());
  Must(PEM_write_bio_PUBKEY(memory, Find(kid).key.get()) == 1, "PEM");
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  std::string out(data, static_cast<std::size_t>(size));
  BIO_free(memory);
  return out;
}

std::string TokenIssuer::Sign(const std::string& kid, std::string_view header, std::string_view claims) const {
  const Key& key = Find(kid);
  std::string text = EncodeBase64Url(header) + "." + EncodeBase64Url(claims);
  const EVP_MD* digest = key.kind == Kind::kEd25519 ? nullptr : key.kind == Kind::kP384 ? EVP_sha384() : EVP_sha256();
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  const auto* data = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t size = 0;
  Must(EVP_DigestSignInit(context, nullptr, digest, nullptr, key.key.get()) == 1 &&
           EVP_DigestSign(context, nullptr, &size, data, text.size()) == 1,
       "sign");
  std::string signature(size, '\0');
  Must(EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size, data, text.size()) == 1,
       "sign");
  signature.resize(size);
  EVP_MD_CTX_free(context);
  if (key.kind == Kind::kP256) signature = ToRaw(signature, 32);
  if (key.kind == Kind::kP384) signature = ToRaw(signature, 48);
  return text + "." + EncodeBase64Url(signature);
}

json TokenIssuer::Header(const std::string& kid) const {
  return {{"alg", AlgorithmOf(Find(kid).kind)}, {"typ", "JWT"}, {"kid", kid}};
}

std::string TokenIssuer::Sign(const std::string& kid, const json& claims) const {
  return Sign(kid, Header(kid).dump(), claims.dump());
}

}  // namespace allod
