#include "gateway/http/cors.h"

#include <fmt/format.h>

#include <algorithm>

namespace allod::gateway::http {
namespace {

// Beyond what browsers show a page without asking.
constexpr char kExposed[] =
    "x-request-id, retry-after, retry-after-ms, x-should-retry, x-ratelimit-limit-requests, x-ratelimit-limit-tokens, "
    "x-ratelimit-remaining-requests, x-ratelimit-remaining-tokens, x-ratelimit-reset-requests, "
    "x-ratelimit-reset-tokens";
// Which is also the longest that browsers heed.
constexpr char kMaxAgeSeconds[] = "7200";
constexpr std::size_t kAskedHeadersBytesMax = 1024;

// A list of header names and nothing else: it is sent back.
bool IsNameList(std::string_view text) {
  return text.size() <= kAskedHeadersBytesMax && std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                  c == ',' || c == ' ';
         });
}

}  // namespace

Status Cors::Check(const std::vector<std::string>& origins) {
  for (const std::string& origin : origins) {
    if (origin == "*") {
      if (origins.size() == 1) continue;
      return InvalidArgument("INVALID_ORIGIN", "\"*\" allows every origin and must stand alone");
    }
    const std::size_t scheme = origin.find("://");
    const bool complete = scheme != std::string::npos && scheme > 0 && scheme + 3 < origin.size();
    const bool plain = std::ranges::all_of(origin, [](char c) { return c > ' ' && c < 0x7f && (c < 'A' || c > 'Z'); });
    if (!complete || !plain || origin.find_first_of("/?#*,", scheme + 3) != std::string::npos) {
      return InvalidArgument(
          "INVALID_ORIGIN",
          fmt::format("{} is not an origin: write scheme, host and port as a browser does, in lower case and without a "
                      "path, e.g. https://portal.example.org",
                      origin));
    }
  }
  return {};
}

bool Cors::Allows(std::string_view origin) const {
  if (origin.empty() || origins_.empty()) return false;
  return origins_.front() == "*" || std::ranges::find(origins_, origin) != origins_.end();
}

Headers Cors::HeadersFor(const Request& request) const {
  Headers out;
  if (origins_.empty()) return out;
  // What a cache keeps for one page is no answer to another.
  out.emplace_back("vary", "origin");
  const std::string_view origin = request.Header("origin");
  if (!Allows(origin)) return out;
  out.emplace_back("access-control-allow-origin", origins_.front() == "*" ? "*" : std::string(origin));
  out.emplace_back("access-control-expose-headers", kExposed);
  return out;
}

Headers Cors::PreflightHeaders(const Request& request, const std::string& methods) const {
  Headers out;
  if (!Allows(request.Header("origin")) || request.Header("access-control-request-method").empty()) return out;
  out.emplace_back("access-control-allow-methods", methods);
  // Clients of OpenAI's API send a dozen headers of their own; the key in one of them is what protects.
  const std::string_view asked = request.Header("access-control-request-headers");
  if (!asked.empty() && IsNameList(asked)) out.emplace_back("access-control-allow-headers", std::string(asked));
  out.emplace_back("access-control-max-age", kMaxAgeSeconds);
  return out;
}

}  // namespace allod::gateway::http
