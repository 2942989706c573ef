#include "gateway/http/client_address.h"

#include <algorithm>
#include <ranges>

namespace allod::gateway::http {
namespace {

constexpr int kHopsMax = 64;

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

bool LooksLikePort(std::string_view text) {
  return !text.empty() && text.size() <= 5 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// As proxies write it: an address, "[IPv6]", either with ":PORT".
std::optional<IpAddress> HopOf(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view rest = text.substr(end + 1);
    if (!rest.empty() && (rest.front() != ':' || !LooksLikePort(rest.substr(1)))) return std::nullopt;
    return IpAddress::Parse(text.substr(1, end - 1));
  }
  const std::size_t colon = text.find(':');
  if (colon != std::string_view::npos && colon == text.rfind(':') && LooksLikePort(text.substr(colon + 1))) {
    text = text.substr(0, colon);
  }
  return IpAddress::Parse(text);
}

}  // namespace

std::optional<IpAddress> ClientOf(const IpAddress& peer, const Headers& headers,
                                  std::span<const IpRange> trusted_proxies) {
  if (!AnyContains(trusted_proxies, peer)) return peer;
  IpAddress client = peer;
  int hops = 0;
  for (const auto& [name, value] : std::views::reverse(headers)) {
    if (name != "x-forwarded-for") continue;
    std::string_view left = value;
    while (!left.empty()) {
      const std::size_t comma = left.rfind(',');
      const std::string_view text = Trimmed(comma == std::string_view::npos ? left : left.substr(comma + 1));
      left = left.substr(0, comma == std::string_view::npos ? 0 : comma);
      if (++hops > kHopsMax) return std::nullopt;
      if (text.empty()) continue;  // as in every list of HTTP
      const std::optional<IpAddress> hop = HopOf(text);
      if (!hop) return std::nullopt;
      client = *hop;
      if (!AnyContains(trusted_proxies, client)) return client;
    }
  }
  return client;
}

std::string LimitedAddress(const IpAddress& address) {
  if (address.is_v4()) return address.ToString();
  auto bytes = address.bytes();
  std::fill(bytes.begin() + 8, bytes.end(), 0);
  return IpAddress::FromBytes(bytes).ToString() + "/64";
}

}  // namespace allod::gateway::http
