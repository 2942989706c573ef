// Digests, keyed digests and random bytes: SHA-256, HMAC-SHA-256 (RFC 2104) and the operating system's random source.
// Everything here is thread-safe except that one Sha256 object belongs to one thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace allod {

using Digest256 = std::array<std::uint8_t, 32>;

// A digest computed piece by piece. After Finish() it starts again from nothing.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void Update(const void* data, std::size_t size);
  Digest256 Finish();
  std::string FinishHex();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Lower-case hex.
std::string ToHex(std::span<const std::uint8_t> bytes);
// 64 lower-case hex digits.
std::string Sha256Hex(std::string_view bytes);
// The same of a whole file, from its beginning: the descriptor's position does not count and is not moved. Nothing when
// it cannot be read to its end; errno says why.
std::optional<std::string> Sha256HexOfFile(int fd);

Digest256 HmacSha256(std::string_view key, std::string_view message);
std::string HmacSha256Hex(std::string_view key, std::string_view message);

// HKDF-SHA-256 (RFC 5869) of one block: a key for the purpose `info`, from which neither `secret` nor the key for
// another purpose can be told.
Digest256 DeriveKey(std::string_view secret, std::string_view salt, std::string_view info);

// SHA-1 (RFC 3174), for UUIDv5 only: it guards nothing.
std::array<std::uint8_t, 20> Sha1(std::string_view bytes);

// Takes the same time wherever the two differ; the lengths are not secret.
bool EqualInConstantTime(std::string_view a, std::string_view b);

void FillRandom(std::span<std::uint8_t> out);

}  // namespace allod
