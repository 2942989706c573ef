// Cookies (RFC 6265): one that is read, and one that is set. Pure.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "gateway/http/message.h"

namespace allod::gateway::http {

// The value of the cookie; empty if there is none, or more than one of the name: whose it is would be in doubt.
std::string_view CookieOf(const Request& request, std::string_view name);

struct Cookie {
  std::string name;
  std::string value;                // of characters that need no quotes
  std::chrono::seconds max_age{0};  // 0: it is taken away
  bool secure = true;
};

// As the value of Set-Cookie: for all of this origin, never for scripts, and not sent by pages of others but for links.
std::string SetCookie(const Cookie& cookie);

}  // namespace allod::gateway::http
