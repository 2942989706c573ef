#include "services/common/jose/key_set.h"

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "services/common/jose/base64url.h"
#include "services/common/jose/strict_json.h"

namespace allod::jose {
namespace {

using nlohmann::json;

constexpr JsonLimits kSetLimits{.depth_max = 6, .values_max = 4096};
constexpr int kRsaBitsMin = 2048;  // RFC 7518 section 3.3
constexpr int kRsaBitsMax = 8192;  // a signature of a larger one costs milliseconds
constexpr std::size_t kExponentBytesMax = 4;
constexpr std::size_t kCoordinateBytes = 32;
constexpr std::size_t kEd25519Bytes = 32;
constexpr std::size_t kKidBytesMax = 256;

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* value) const {
    Free(value);
  }
};
using Bignum = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using PkeyContext = std::unique_ptr<EVP_PKEY_CTX, Deleter<EVP_PKEY_CTX_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Deleter<OSSL_PARAM_free>>;
using ParamsBuilder = std::unique_ptr<OSSL_PARAM_BLD, Deleter<OSSL_PARAM_BLD_free>>;
using PublicKey = std::shared_ptr<EVP_PKEY>;

std::unexpected<Error> Unusable(std::string why) { return InvalidArgument("INVALID_KEY", std::move(why)); }

std::unexpected<Error> NotByKey(std::string reason, std::string message) {
  return Fail(Code::kUnauthenticated, std::move(reason), std::move(message));
}

const unsigned char* Bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

// A member that is text; empty when there is none.
Result<std::string> Text(const json& jwk, const char* name) {
  const auto found = jwk.find(name);
  if (found == jwk.end()) return std::string();
  if (!found->is_string()) return Unusable(fmt::format("{} is not a string", name));
  return found->get<std::string>();
}

Result<std::string> Octets(const json& jwk, const char* name) {
  ALLOD_TRY(const std::string text, Text(jwk, name));
  const auto bytes = DecodeBase64Url(text);
  if (!bytes || bytes->empty()) return Unusable(fmt::format("{} is not base64url", name));
  return *bytes;
}

Result<PublicKey> FromData(const char* type, OSSL_PARAM_BLD* builder) {
  const Params params(OSSL_PARAM_BLD_to_param(builder));
  const PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    return Unusable("its numbers are no key");
  }
  PublicKey out(key, &EVP_PKEY_free);
  const PkeyContext check(EVP_PKEY_CTX_new_from_pkey(nullptr, out.get(), nullptr));
  if (!check || EVP_PKEY_public_check(check.get()) != 1) return Unusable("its numbers are no valid key");
  return out;
}

Result<PublicKey> RsaKey(const json& jwk) {
  ALLOD_TRY(const std::string modulus, Octets(jwk, "n"));
  ALLOD_TRY(const std::string exponent, Octets(jwk, "e"));
  if (modulus.size() > kRsaBitsMax / 8 || exponent.size() > kExponentBytesMax) {
    return Unusable(fmt::format("it has more than {} bits, or a large exponent", kRsaBitsMax));
  }
  const Bignum n(BN_bin2bn(Bytes(modulus), static_cast<int>(modulus.size()), nullptr));
  const Bignum e(BN_bin2bn(Bytes(exponent), static_cast<int>(exponent.size()), nullptr));
  if (!n || !e || BN_num_bits(n.get()) < kRsaBitsMin) {
    return Unusable(fmt::format("it has less than {} bits", kRsaBitsMin));
  }
  const ParamsBuilder builder(OSSL_PARAM_BLD_new());
  if (!builder || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return Unusable("its numbers are no key");
  }
  return FromData("RSA", builder.get());
}

Result<PublicKey> EcKey(const json& jwk) {
  ALLOD_TRY(const std::string curve, Text(jwk, "crv"));
  if (curve != "P-256") return Unusable("its curve is not P-256");
  ALLOD_TRY(const std::string x, Octets(jwk, "x"));
  ALLOD_TRY(const std::string y, Octets(jwk, "y"));
  if (x.size() != kCoordinateBytes || y.size() != kCoordinateBytes) return Unusable("its coordinates have wrong sizes");
  const std::string point = "\x04" + x + y;
  const ParamsBuilder builder(OSSL_PARAM_BLD_new());
  if (!builder || OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) != 1) {
    return Unusable("its numbers are no key");
  }
  return FromData("EC", builder.get());
}

Result<PublicKey> OkpKey(const json& jwk) {
  ALLOD_TRY(const std::string curve, Text(jwk, "crv"));
  if (curve != "Ed25519") return Unusable("its curve is not Ed25519");
  ALLOD_TRY(const std::string x, Octets(jwk, "x"));
  if (x.size() != kEd25519Bytes) return Unusable("its x has a wrong size");
  PublicKey out(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, Bytes(x), x.size()), &EVP_PKEY_free);
  if (!out) return Unusable("its x is no key");
  return out;
}

// Whether it is there to verify signatures.
Status CheckUse(const json& jwk) {
  ALLOD_TRY(const std::string use, Text(jwk, "use"));
  if (!use.empty() && use != "sig") return Unusable("it is not for signatures");
  const auto operations = jwk.find("key_ops");
  if (operations == jwk.end()) return {};
  if (operations->is_array() && std::ranges::find(*operations, json("verify")) != operations->end()) return {};
  return Unusable("it is not to verify with");
}

// r and s side by side (RFC 7518 section 3.4) to what OpenSSL takes; empty for what is no signature.
std::string ToDer(std::string_view signature) {
  if (signature.size() != 2 * kCoordinateBytes) return {};
  const std::unique_ptr<ECDSA_SIG, Deleter<ECDSA_SIG_free>> parts(ECDSA_SIG_new());
  Bignum r(BN_bin2bn(Bytes(signature), kCoordinateBytes, nullptr));
  Bignum s(BN_bin2bn(Bytes(signature.substr(kCoordinateBytes)), kCoordinateBytes, nullptr));
  if (!parts || !r || !s || ECDSA_SIG_set0(parts.get(), r.get(), s.get()) != 1) return {};
  (void)r.release();
  (void)s.release();
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(parts.get(), &der);
  if (size <= 0) return {};
  std::string out(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return out;
}

bool IsBy(EVP_PKEY* key, Algorithm algorithm, std::string_view message, std::string_view signature) {
  const std::string der = algorithm == Algorithm::kEs256 ? ToDer(signature) : std::string(signature);
  if (der.empty()) return false;
  const std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  const EVP_MD* digest = algorithm == Algorithm::kEdDsa ? nullptr : EVP_sha256();
  // For RSA the padding is PKCS #1 v1.5, the default.
  return context && EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), Bytes(der), der.size(), Bytes(message), message.size()) == 1;
}

}  // namespace

std::string_view NameOf(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kRs256:
      return "RS256";
    case Algorithm::kEs256:
      return "ES256";
    case Algorithm::kEdDsa:
      return "EdDSA";
  }
  return "";
}

std::optional<Algorithm> AlgorithmOf(std::string_view name) {
  for (const Algorithm algorithm : {Algorithm::kRs256, Algorithm::kEs256, Algorithm::kEdDsa}) {
    if (NameOf(algorithm) == name) return algorithm;
  }
  return std::nullopt;
}

Result<KeySet::Key> KeySet::ParseKey(const json& jwk) {
  if (!jwk.is_object()) return Unusable("it is no object");
  if (jwk.contains("d") || jwk.contains("k")) return Unusable("it is secret, and a key set is public");
  ALLOD_CHECK_OK(CheckUse(jwk));
  ALLOD_TRY(std::string kid, Text(jwk, "kid"));
  if (kid.empty() || kid.size() > kKidBytesMax) return Unusable("it has no id that can be used");
  ALLOD_TRY(const std::string type, Text(jwk, "kty"));
  PublicKey key;
  Algorithm algorithm{};
  if (type == "RSA") {
    ALLOD_TRY(key, RsaKey(jwk));
    algorithm = Algorithm::kRs256;
  } else if (type == "EC") {
    ALLOD_TRY(key, EcKey(jwk));
    algorithm = Algorithm::kEs256;
  } else if (type == "OKP") {
    ALLOD_TRY(key, OkpKey(jwk));
    algorithm = Algorithm::kEdDsa;
  } else {
    return Unusable("its type is none of RSA, EC and OKP");
  }
  ALLOD_TRY(const std::string declared, Text(jwk, "alg"));
  // RFC 9864 calls EdDSA with this curve Ed25519.
  const bool same =
      declared.empty() || declared == NameOf(algorithm) || (algorithm == Algorithm::kEdDsa && declared == "Ed25519");
  if (!same) return Unusable("its algorithm is none of RS256, ES256 and EdDSA");
  return Key{std::move(kid), algorithm, std::move(key)};
}

Result<KeySet> KeySet::Parse(std::string_view text) {
  const auto invalid = [](std::string why) {
    return InvalidArgument("INVALID_KEY_SET", fmt::format("the key set cannot be used: {}", why));
  };
  if (text.size() > kBytesMax) return invalid(fmt::format("it has more than {} bytes", kBytesMax));
  const Result<json> set = ParseStrictObject(text, kSetLimits);
  if (!set) return invalid(set.error().message);
  const auto keys = set->find("keys");
  if (keys == set->end() || !keys->is_array()) return invalid("it has no array \"keys\"");
  if (keys->size() > kKeysMax) return invalid(fmt::format("it has more than {} keys", kKeysMax));
  KeySet out;
  std::string complaints;
  for (std::size_t i = 0; i < keys->size(); ++i) {
    Result<Key> key = ParseKey((*keys)[i]);
    if (key) {
      out.keys_.push_back(*std::move(key));
    } else {
      complaints += fmt::format("{}key {}: {}", complaints.empty() ? "" : "; ", i, key.error().message);
    }
  }
  if (out.keys_.empty())
    return invalid("no key in it can be used: " + (complaints.empty() ? "it is empty" : complaints));
  return out;
}

Status KeySet::Verify(std::string_view kid, Algorithm algorithm, std::string_view message,
                      std::string_view signature) const {
  const Key* found = nullptr;
  for (const Key& key : keys_) {
    if (key.kid != kid) continue;
    if (found != nullptr) return NotByKey("TOKEN_KEY_AMBIGUOUS", "the issuer has several keys of the id in the token");
    found = &key;
  }
  if (found == nullptr) return NotByKey("TOKEN_KEY_UNKNOWN", "the issuer has no key of the id in the token");
  if (found->algorithm != algorithm) {
    return NotByKey("TOKEN_ALGORITHM", fmt::format("the token says {}, and the key is for {}", NameOf(algorithm),
                                                   NameOf(found->algorithm)));
  }
  if (!IsBy(found->key.get(), algorithm, message, signature)) {
    return NotByKey("TOKEN_SIGNATURE", "the token's signature is not by the issuer's key");
  }
  return {};
}

}  // namespace allod::jose
