#include "services/common/ip_range.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace allod {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr int kMappedBits = 96;
constexpr int kBits = 128;
// Of the longest address, and of one with its prefix.
constexpr std::size_t kAddressCharsMax = INET6_ADDRSTRLEN;
constexpr std::size_t kTextShown = 64;

using Bytes = std::array<std::uint8_t, 16>;

// The first `bits` bits, the others 0.
Bytes Masked(const Bytes& bytes, int bits) {
  Bytes out{};
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int left = std::clamp(bits - static_cast<int>(i) * 8, 0, 8);
    out[i] = static_cast<std::uint8_t>(bytes[i] & (0xff00 >> left));
  }
  return out;
}

// Decimal, without sign and leading zeros.
std::optional<int> ParseBits(std::string_view text) {
  int bits = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits);
  if (error != std::errc() || end != text.data() + text.size() || text.front() == '-') return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return bits;
}

std::unexpected<Error> NoRange(std::string_view field, std::string_view text, std::string_view why) {
  return InvalidArgument("INVALID_IP_RANGE",
                         fmt::format("{}: \"{}\" {}; write ADDRESS/PREFIX, e.g. 192.0.2.0/24 or 2001:db8::/32", field,
                                     text.substr(0, kTextShown), why));
}

}  // namespace

std::optional<IpAddress> IpAddress::Parse(std::string_view text) {
  if (text.empty() || text.size() >= kAddressCharsMax) return std::nullopt;
  std::array<char, kAddressCharsMax> terminated{};
  std::ranges::copy(text, terminated.begin());
  // Text behind a NUL would not be seen.
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  Bytes bytes{};
  if (text.find(':') != std::string_view::npos) {
    if (inet_pton(AF_INET6, terminated.data(), bytes.data()) != 1) return std::nullopt;
    return IpAddress(bytes);
  }
  std::ranges::copy(kMappedPrefix, bytes.begin());
  if (inet_pton(AF_INET, terminated.data(), bytes.data() + kMappedPrefix.size()) != 1) return std::nullopt;
  return IpAddress(bytes);
}

bool IpAddress::is_v4() const { return std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes_.begin()); }

std::string IpAddress::ToString() const {
  std::array<char, kAddressCharsMax> out{};
  const bool v4 = is_v4();
  inet_ntop(v4 ? AF_INET : AF_INET6, bytes_.data() + (v4 ? kMappedPrefix.size() : 0), out.data(), out.size());
  return out.data();
}

Result<IpRange> IpRange::Parse(std::string_view field, std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view address_text = text.substr(0, slash);
  const auto address = IpAddress::Parse(address_text);
  if (!address) return NoRange(field, text, "does not begin with an IPv4 or IPv6 address");
  // What is written as IPv6 counts its bits as IPv6, mapped or not.
  const bool written_as_v4 = address_text.find(':') == std::string_view::npos;
  const int offset = written_as_v4 ? kMappedBits : 0;
  const int bits_max = kBits - offset;
  int bits = bits_max;
  if (slash != std::string_view::npos) {
    const std::string_view bits_text = text.substr(slash + 1);
    const auto parsed = bits_text.empty() ? std::nullopt : ParseBits(bits_text);
    if (!parsed || *parsed > bits_max) {
      return NoRange(field, text, fmt::format("has a prefix that is no number from 0 to {}", bits_max));
    }
    bits = *parsed;
  }
  const IpRange out(IpAddress::FromBytes(Masked(address->bytes(), bits + offset)), bits + offset);
  if (out.first_ != *address) {
    return NoRange(field, text,
                   fmt::format("has bits set behind its prefix; the range around it is {}", out.ToString()));
  }
  return out;
}

bool IpRange::Contains(const IpAddress& address) const {
  // A longer prefix has the family in it.
  if (bits_ < kMappedBits && address.is_v4()) return false;
  const auto whole = static_cast<std::size_t>(bits_ / 8);
  if (std::memcmp(address.bytes().data(), first_.bytes().data(), whole) != 0) return false;
  const int rest = bits_ % 8;
  return rest == 0 || (address.bytes()[whole] & (0xff00 >> rest) & 0xff) == first_.bytes()[whole];
}

bool IpRange::Contains(const IpRange& range) const { return range.bits_ >= bits_ && Contains(range.first_); }

std::string IpRange::ToString() const {
  return fmt::format("{}/{}", first_.ToString(), bits_ - (first_.is_v4() ? kMappedBits : 0));
}

bool AnyContains(std::span<const IpRange> ranges, const IpAddress& address) {
  return std::ranges::any_of(ranges, [&](const IpRange& range) { return range.Contains(address); });
}

Result<std::vector<IpRange>> ParseIpRanges(std::string_view field, std::span<const std::string> texts,
                                           std::size_t count_max) {
  if (texts.size() > count_max) {
    return InvalidArgument("TOO_MANY_IP_RANGES", fmt::format("{}: {} ranges, of which there may be {}; join some",
                                                             field, texts.size(), count_max));
  }
  std::vector<IpRange> out;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    ALLOD_TRY(const IpRange range, IpRange::Parse(fmt::format("{}[{}]", field, i), texts[i]));
    out.push_back(range);
  }
  std::ranges::sort(out);
  out.erase(std::ranges::unique(out).begin(), out.end());
  return out;
}

}  // namespace allod
