#include "services/tenancy/client_secrets.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "services/common/digest.h"
#include "services/common/jose/base64url.h"

namespace allod::tenancy {
namespace {

constexpr std::size_t kTagBytes = 16;
constexpr char kSalt[] = "allod client secrets";

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

// Encryption and its set-up fail only when memory is exhausted or the library is broken.
void Must(int ok) {
  if (ok != 1) std::abort();
}

const EVP_CIPHER* AesSiv() {
  static const EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, "AES-256-SIV", nullptr);
  if (cipher == nullptr) std::abort();
  return cipher;
}

const unsigned char* Bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

}  // namespace

ClientSecrets::ClientSecrets(std::string_view pepper) {
  const Digest256 tag = DeriveKey(pepper, kSalt, "tag, version 1");
  const Digest256 encryption = DeriveKey(pepper, kSalt, "encryption, version 1");
  std::ranges::copy(encryption, std::ranges::copy(tag, key_.begin()).out);
}

std::string ClientSecrets::Seal(std::string_view provider, std::string_view secret) const {
  const CipherContext context(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  std::string out(kTagBytes + secret.size(), '\0');
  int written = 0;
  Must(EVP_EncryptInit_ex2(context.get(), AesSiv(), key_.data(), nullptr, nullptr));
  Must(EVP_EncryptUpdate(context.get(), nullptr, &written, Bytes(provider), static_cast<int>(provider.size())));
  Must(EVP_EncryptUpdate(context.get(), Bytes(out) + kTagBytes, &written, Bytes(secret),
                         static_cast<int>(secret.size())));
  Must(EVP_EncryptFinal_ex(context.get(), Bytes(out) + kTagBytes, &written));
  Must(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes, out.data()));
  return jose::EncodeBase64Url(out);
}

std::optional<std::string> ClientSecrets::Open(std::string_view provider, std::string_view sealed) const {
  auto bytes = jose::DecodeBase64Url(sealed);
  if (!bytes || bytes->size() <= kTagBytes) return std::nullopt;
  const CipherContext context(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  const std::string_view encrypted = std::string_view(*bytes).substr(kTagBytes);
  std::string out(encrypted.size(), '\0');
  int written = 0;
  Must(EVP_DecryptInit_ex2(context.get(), AesSiv(), key_.data(), nullptr, nullptr));
  Must(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, bytes->data()));
  Must(EVP_DecryptUpdate(context.get(), nullptr, &written, Bytes(provider), static_cast<int>(provider.size())));
  if (EVP_DecryptUpdate(context.get(), Bytes(out), &written, Bytes(encrypted), static_cast<int>(encrypted.size())) !=
      1) {
    return std::nullopt;
  }
  return out;
}

}  // namespace allod::tenancy
