// IP addresses and ranges of them, as clients are told apart by. Pure; no name is ever looked up.
//
// An IPv4 address that is written or received as IPv6 (::ffff:192.0.2.7) is the IPv4 address. The families do not meet:
// ::/0 is every IPv6 address and no IPv4 address.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "services/common/result.h"

namespace allod {

class IpAddress {
 public:
  // Dotted decimal, or IPv6 as RFC 4291 has it, without brackets and without a zone. Nothing for anything else.
  static std::optional<IpAddress> Parse(std::string_view text);
  // From 16 bytes in network order, as a socket gives them.
  static IpAddress FromBytes(const std::array<std::uint8_t, 16>& bytes) { return IpAddress(bytes); }

  bool is_v4() const;
  // In its shortest form (RFC 5952).
  std::string ToString() const;
  // In network order; of an IPv4 address those of ::ffff:a.b.c.d.
  const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }

  auto operator<=>(const IpAddress&) const = default;

 private:
  explicit IpAddress(const std::array<std::uint8_t, 16>& bytes) : bytes_(bytes) {}
  std::array<std::uint8_t, 16> bytes_;
};

class IpRange {
 public:
  // "192.0.2.0/24", "2001:db8::/32", or one address. INVALID_ARGUMENT / INVALID_IP_RANGE names the field and, when
  // only bits behind the prefix are set, the range that was probably meant.
  static Result<IpRange> Parse(std::string_view field, std::string_view text);

  // Neither allocates.
  bool Contains(const IpAddress& address) const;
  bool Contains(const IpRange& range) const;
  // The one text of it: always with a prefix, "192.0.2.7/32".
  std::string ToString() const;

  auto operator<=>(const IpRange&) const = default;

 private:
  IpRange(const IpAddress& first, int bits) : first_(first), bits_(bits) {}
  IpAddress first_;
  int bits_;  // of 128, those of ::ffff:0:0/96 included
};

// Whether one of them has it.
bool AnyContains(std::span<const IpRange> ranges, const IpAddress& address);

// Sorted, each once. INVALID_ARGUMENT / INVALID_IP_RANGE names the one that is none ("FIELD[3]"), TOO_MANY_IP_RANGES
// beyond `count_max`.
Result<std::vector<IpRange>> ParseIpRanges(std::string_view field, std::span<const std::string> texts,
                                           std::size_t count_max);

}  // namespace allod
