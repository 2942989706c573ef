#include "services/common/private_url.h"

namespace allod {
namespace {

constexpr std::string_view kHttps = "https://";
constexpr std::string_view kHttp = "http://";

std::string_view AfterScheme(std::string_view url) {
  if (url.starts_with(kHttps)) return url.substr(kHttps.size());
  return url.starts_with(kHttp) ? url.substr(kHttp.size()) : std::string_view();
}

}  // namespace

bool IsPrivateUrl(std::string_view url) {
  const std::string_view rest = AfterScheme(url);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#\\"));
  if (authority.find('@') != std::string_view::npos) return false;
  const std::string_view host =
      authority.substr(0, authority.starts_with('[') ? authority.find(']') + 1 : authority.find(':'));
  const bool is_local = host == "127.0.0.1" || host == "[::1]" || host == "localhost";
  return !host.empty() && (url.starts_with(kHttps) || is_local);
}

bool IsPrivateOrigin(std::string_view url) {
  constexpr std::string_view kOfAuthorities = "abcdefghijklmnopqrstuvwxyz0123456789.-:[]";
  return IsPrivateUrl(url) && AfterScheme(url).find_first_not_of(kOfAuthorities) == std::string_view::npos;
}

}  // namespace allod
