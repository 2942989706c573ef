#include "services/common/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>
#include <vector>

namespace allod {
namespace {

constexpr std::size_t kReadBytes = 1 << 20;

// The digests fail only when memory is exhausted or the library is broken; there is no way on from either.
void Must(int ok) {
  if (ok != 1) std::abort();
}

}  // namespace

struct Sha256::Impl {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  Impl() { Begin(); }
  ~Impl() { EVP_MD_CTX_free(context); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  void Begin() { Must(EVP_DigestInit_ex(context, EVP_sha256(), nullptr)); }
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::Update(const void* data, std::size_t size) { Must(EVP_DigestUpdate(impl_->context, data, size)); }

Digest256 Sha256::Finish() {
  Digest256 out{};
  Must(EVP_DigestFinal_ex(impl_->context, out.data(), nullptr));
  impl_->Begin();
  return out;
}

std::string Sha256::FinishHex() { return ToHex(Finish()); }

std::string ToHex(std::span<const std::uint8_t> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const std::uint8_t b : bytes) {
    out.push_back(kDigits[b >> 4]);
    out.push_back(kDigits[b & 15]);
  }
  return out;
}

std::string Sha256Hex(std::string_view bytes) {
  Digest256 out{};
  Must(EVP_Digest(bytes.data(), bytes.size(), out.data(), nullptr, EVP_sha256(), nullptr));
  return ToHex(out);
}

std::optional<std::string> Sha256HexOfFile(int fd) {
  Sha256 digest;
  std::vector<char> buffer(kReadBytes);
  for (off_t at = 0;;) {
    const ssize_t bytes = pread(fd, buffer.data(), buffer.size(), at);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return std::nullopt;
    if (bytes == 0) return digest.FinishHex();
    digest.Update(buffer.data(), static_cast<std::size_t>(bytes));
    at += bytes;
  }
}

Digest256 HmacSha256(std::string_view key, std::string_view message) {
  // An empty view may have a null pointer, which HMAC() takes for "the key of last time".
  const char* key_data = key.empty() ? "" : key.data();
  Digest256 out{};
  const auto* ok = HMAC(EVP_sha256(), key_data, static_cast<int>(key.size()),
                        reinterpret_cast<const unsigned char*>(message.data()), message.size(), out.data(), nullptr);
  Must(ok != nullptr ? 1 : 0);
  return out;
}

std::string HmacSha256Hex(std::string_view key, std::string_view message) { return ToHex(HmacSha256(key, message)); }

Digest256 DeriveKey(std::string_view secret, std::string_view salt, std::string_view info) {
  const Digest256 extracted = HmacSha256(salt, secret);
  const std::string_view key(reinterpret_cast<const char*>(extracted.data()), extracted.size());
  return HmacSha256(key, std::string(info) + '\x01');
}

std::array<std::uint8_t, 20> Sha1(std::string_view bytes) {
  std::array<std::uint8_t, 20> out{};
  Must(EVP_Digest(bytes.data(), bytes.size(), out.data(), nullptr, EVP_sha1(), nullptr));
  return out;
}

bool EqualInConstantTime(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  volatile unsigned char difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
  }
  return difference == 0;
}

void FillRandom(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const ssize_t n = getrandom(out.data(), out.size(), 0);
    if (n < 0) {
      if (errno == EINTR) continue;
      std::abort();
    }
    out = out.subspan(static_cast<std::size_t>(n));
  }
}

}  // namespace allod
