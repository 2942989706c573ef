#include "gateway/federation/address_policy.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

namespace allod::gateway::federation {
namespace {

using Address = std::array<std::uint8_t, 16>;

constexpr int kBitsOfV4 = 32;
constexpr int kBitsOfV6 = 128;
constexpr int kBitsBeforeV4 = kBitsOfV6 - kBitsOfV4;
constexpr std::size_t kBytesBeforeV4 = 12;

// IANA's special-purpose ranges that are not the public internet's.
constexpr const char* kNotPublicV4[] = {"0.0.0.0/8",      "10.0.0.0/8",     "100.64.0.0/10", "127.0.0.0/8",
                                        "169.254.0.0/16", "172.16.0.0/12",  "192.0.0.0/24",  "192.0.2.0/24",
                                        "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
                                        "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4"};
// Of what is global unicast in IPv6, protocol assignments (Teredo among them), documentation and 6to4.
constexpr char kGlobalV6[] = "2000::/3";
constexpr const char* kNotPublicV6[] = {"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"};

Address MapV4(const in_addr& v4) {
  Address out{};
  out[10] = out[11] = 0xff;
  std::memcpy(out.data() + kBytesBeforeV4, &v4, sizeof(v4));
  return out;
}

bool IsV4(const Address& address) {
  static const Address mapped = MapV4(in_addr{});
  return std::equal(mapped.begin(), mapped.begin() + kBytesBeforeV4, address.begin());
}

std::optional<Address> BytesOf(const sockaddr& address) {
  if (address.sa_family == AF_INET) return MapV4(reinterpret_cast<const sockaddr_in&>(address).sin_addr);
  if (address.sa_family != AF_INET6) return std::nullopt;
  Address out{};
  std::memcpy(out.data(), &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, out.size());
  return out;
}

template <std::size_t N>
std::vector<Network> ParseAll(const char* const (&texts)[N]) {
  std::vector<Network> out;
  for (const char* text : texts) out.push_back(*Network::Parse(text));
  return out;
}

bool AreIn(const std::vector<Network>& networks, const Address& address) {
  return std::ranges::any_of(networks, [&](const Network& network) { return network.Contains(address); });
}

bool IsPublic(const Address& address) {
  static const std::vector<Network> not_public_v4 = ParseAll(kNotPublicV4);
  static const std::vector<Network> not_public_v6 = ParseAll(kNotPublicV6);
  static const Network global_v6 = *Network::Parse(kGlobalV6);
  if (IsV4(address)) return !AreIn(not_public_v4, address);
  return global_v6.Contains(address) && !AreIn(not_public_v6, address);
}

}  // namespace

Result<Network> Network::Parse(std::string_view text) {
  const auto invalid = [&] {
    return InvalidArgument("INVALID_NETWORK",
                           fmt::format("'{}' is no network; write e.g. 10.0.0.0/8, fd00::/8 or 127.0.0.1", text));
  };
  const std::size_t slash = text.find('/');
  const std::string host(text.substr(0, slash));
  Network out;
  in_addr v4{};
  const bool is_v4 = inet_pton(AF_INET, host.c_str(), &v4) == 1;
  if (is_v4) {
    out.bytes_ = MapV4(v4);
  } else if (inet_pton(AF_INET6, host.c_str(), out.bytes_.data()) != 1) {
    return invalid();
  }
  const int most = is_v4 ? kBitsOfV4 : kBitsOfV6;
  int bits = most;
  if (slash != std::string_view::npos) {
    const std::string_view number = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), bits);
    if (error != std::errc() || end != number.data() + number.size() || bits < 0 || bits > most) return invalid();
  }
  out.bits_ = is_v4 ? bits + kBitsBeforeV4 : bits;
  return out;
}

bool Network::Contains(const Address& address) const {
  constexpr int kBitsOfByte = 8;
  for (int bit = 0; bit < bits_; bit += kBitsOfByte) {
    const auto at = static_cast<std::size_t>(bit / kBitsOfByte);
    const int compared = std::min(kBitsOfByte, bits_ - bit);
    const auto mask = static_cast<std::uint8_t>(0xff << (kBitsOfByte - compared));
    if (((bytes_[at] ^ address[at]) & mask) != 0) return false;
  }
  return true;
}

Result<AddressPolicy> AddressPolicy::Parse(const std::vector<std::string>& networks) {
  std::vector<Network> out;
  for (const std::string& text : networks) {
    ALLOD_TRY(const Network network, Network::Parse(text));
    out.push_back(network);
  }
  return AddressPolicy(std::move(out));
}

bool AddressPolicy::Allows(const sockaddr& address) const {
  const auto bytes = BytesOf(address);
  return bytes && (IsPublic(*bytes) || AreIn(allowed_, *bytes));
}

bool AddressPolicy::AllowsHttp(std::string_view host) const {
  static const Address v4_loopback = MapV4(in_addr{htonl(INADDR_LOOPBACK)});
  Address v6_loopback{};
  v6_loopback.back() = 1;
  if (host == "[::1]") return AreIn(allowed_, v6_loopback);
  if (host == "127.0.0.1") return AreIn(allowed_, v4_loopback);
  return host == "localhost" && (AreIn(allowed_, v4_loopback) || AreIn(allowed_, v6_loopback));
}

}  // namespace allod::gateway::federation
