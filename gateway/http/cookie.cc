#include "gateway/http/cookie.h"

#include <fmt/format.h>

#include <algorithm>

namespace allod::gateway::http {

std::string_view CookieOf(const Request& request, std::string_view name) {
  std::string_view found;
  int count = 0;
  for (const auto& [header, value] : request.headers) {
    if (header != "cookie") continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(';'), rest.size());
      std::string_view pair = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      pair.remove_prefix(std::min(pair.find_first_not_of(" \t"), pair.size()));
      if (pair.size() <= name.size() || !pair.starts_with(name) || pair[name.size()] != '=') continue;
      found = pair.substr(name.size() + 1);
      while (found.ends_with(' ') || found.ends_with('\t')) found.remove_suffix(1);
      ++count;
    }
  }
  return count == 1 ? found : std::string_view();
}

std::string SetCookie(const Cookie& cookie) {
  return fmt::format("{}={}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{}", cookie.name, cookie.value,
                     cookie.max_age.count(), cookie.secure ? "; Secure" : "");
}

}  // namespace allod::gateway::http
