// Cross-origin requests: which web pages of other origins a browser lets call this API (the Fetch standard, "CORS
// protocol"). Off unless origins are named. Pure, const after construction.
//
// Requests carry an API key in a header, never a cookie, so credentials are never allowed, and "*" is safe: a page can
// only use a key that it has.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/http/message.h"
#include "services/common/result.h"

namespace allod::gateway::http {

class Cors {
 public:
  // `origins`: as browsers send them, e.g. "https://portal.example.org", or "*" alone. Empty: no page may.
  explicit Cors(std::vector<std::string> origins) : origins_(std::move(origins)) {}

  // INVALID_ARGUMENT / INVALID_ORIGIN: no scheme and host, a path, or "*" beside others.
  static Status Check(const std::vector<std::string>& origins);

  // For every answer to `request`, errors and streams as well.
  Headers HeadersFor(const Request& request) const;
  // For the answer to an OPTIONS request, in addition: what the page may send to a resource that takes `methods`.
  Headers PreflightHeaders(const Request& request, const std::string& methods) const;

 private:
  bool Allows(std::string_view origin) const;

  const std::vector<std::string> origins_;
};

}  // namespace allod::gateway::http
