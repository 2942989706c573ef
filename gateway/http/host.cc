#include "gateway/http/host.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "gateway/http/message.h"

namespace allod::gateway::http {
namespace {

constexpr std::size_t kNameBytesMax = 253;
constexpr int kPortMax = 65535;

bool IsNameChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
         c == '_' || c == '~';
}

bool IsAddress(int family, std::string_view text) {
  unsigned char address[sizeof(in6_addr)];
  return inet_pton(family, std::string(text).c_str(), address) == 1;
}

bool IsPort(std::string_view text) {
  int port = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port >= 0 && port <= kPortMax;
}

bool IsLiteral(std::string_view name) {
  return name.starts_with('[') ? IsAddress(AF_INET6, name.substr(1, name.size() - 2)) : IsAddress(AF_INET, name);
}

// Without the port; nullopt if it is no host.
std::optional<std::string_view> NameOf(std::string_view text) {
  const std::size_t bracket = text.starts_with('[') ? text.find(']') : std::string_view::npos;
  const std::size_t end = bracket == std::string_view::npos ? text.find(':') : bracket + 1;
  const std::string_view name = text.substr(0, end);
  if (end < text.size() && (text[end] != ':' || !IsPort(text.substr(end + 1)))) return std::nullopt;
  if (name.empty() || name.size() > kNameBytesMax) return std::nullopt;
  if (bracket != std::string_view::npos ? !IsLiteral(name) : !std::ranges::all_of(name, IsNameChar))
    return std::nullopt;
  return name;
}

}  // namespace

bool IsHost(std::string_view text) { return NameOf(text).has_value(); }

bool IsAddressOrLocalhost(std::string_view host) {
  const std::optional<std::string_view> name = NameOf(host);
  return name && (IsLiteral(*name) || SameToken(*name, "localhost"));
}

}  // namespace allod::gateway::http
