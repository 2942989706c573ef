#include "services/common/web/address_policy.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>

namespace allod {
namespace {

// IANA's special-purpose ranges that are not the public internet's.
constexpr const char* kNotPublic[] = {
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/4", "240.0.0.0/4",
    // Of what is global unicast in IPv6: protocol assignments (Teredo among them), documentation and 6to4.
    "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"};
constexpr char kGlobalV6[] = "2000::/3";

IpRange RangeOf(const char* text) { return IpRange::Parse("range", text).value(); }

std::optional<IpAddress> AddressOf(const sockaddr& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes = nullptr;
  if (address.sa_family == AF_INET) bytes = &reinterpret_cast<const sockaddr_in&>(address).sin_addr;
  if (address.sa_family == AF_INET6) bytes = &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  if (bytes == nullptr) return std::nullopt;
  return IpAddress::Parse(inet_ntop(address.sa_family, bytes, text.data(), text.size()));
}

bool IsPublic(const IpAddress& address) {
  static const std::vector<IpRange> not_public = [] {
    std::vector<IpRange> out;
    std::ranges::transform(kNotPublic, std::back_inserter(out), RangeOf);
    return out;
  }();
  static const IpRange global_v6 = RangeOf(kGlobalV6);
  return (address.is_v4() || global_v6.Contains(address)) && !AnyContains(not_public, address);
}

}  // namespace

bool AddressPolicy::Allows(const sockaddr& address) const {
  const auto ip = AddressOf(address);
  return ip && (IsPublic(*ip) || AnyContains(allowed_, *ip));
}

bool AddressPolicy::AllowsHttp(std::string_view host) const {
  static const IpAddress v4_loopback = IpAddress::Parse("127.0.0.1").value();
  static const IpAddress v6_loopback = IpAddress::Parse("::1").value();
  if (host == "[::1]") return AnyContains(allowed_, v6_loopback);
  if (host == "127.0.0.1") return AnyContains(allowed_, v4_loopback);
  return host == "localhost" && (AnyContains(allowed_, v4_loopback) || AnyContains(allowed_, v6_loopback));
}

}  // namespace allod
