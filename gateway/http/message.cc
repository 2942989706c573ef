#include "gateway/http/message.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/common/percent.h"

namespace allod::gateway::http {
namespace {

constexpr std::size_t kQueryPairsMax = 64;

}  // namespace

Trace TraceOf(const Headers& headers) {
  const auto is_trace = [](const auto& header) { return header.first == Trace::kKey; };
  const auto found = std::ranges::find_if(headers, is_trace);
  if (found == headers.end() || std::ranges::count_if(headers, is_trace) > 1) return Trace::New();
  return Trace::Parse(found->second).value_or(Trace::New());
}

std::string_view Request::Header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) return value;
  }
  return {};
}

bool SameToken(std::string_view text, std::string_view lower_case_token) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return std::ranges::equal(text, lower_case_token,
                            [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b; });
}

Status SetTarget(std::string_view target, Request& request) {
  const std::size_t scheme = target.find("://");
  if (scheme != std::string_view::npos &&
      (SameToken(target.substr(0, scheme), "http") || SameToken(target.substr(0, scheme), "https"))) {
    target.remove_prefix(std::min(target.find_first_of("/?", scheme + 3), target.size()));
    request.path = target.starts_with('/') ? "" : "/";
  } else if (!target.starts_with('/') && target != "*") {
    return InvalidArgument("INVALID_TARGET", "the request's target must be a path, e.g. /v1/models");
  }
  const std::size_t question = target.find('?');
  request.path += target.substr(0, question);
  if (question != std::string_view::npos) request.query = target.substr(question + 1);
  return {};
}

Status CheckTarget(const Request& request) {
  ALLOD_CHECK_OK(PercentDecode("path", request.path));
  ALLOD_CHECK_OK(PercentDecode("query", request.query));
  return {};
}

Result<std::vector<std::pair<std::string, std::string>>> ParseQuery(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> out;
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
    if (pair.empty()) continue;
    if (out.size() == kQueryPairsMax) {
      return InvalidArgument("INVALID_QUERY", fmt::format("the query has more than {} parameters", kQueryPairsMax));
    }
    const std::size_t equals = pair.find('=');
    const std::string_view raw_value = equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
    ALLOD_TRY(std::string name, PercentDecode("query parameter name", pair.substr(0, equals)));
    ALLOD_TRY(std::string value, PercentDecode("query parameter " + name, raw_value));
    out.emplace_back(std::move(name), std::move(value));
  }
  return out;
}

Result<Fields> ParseFields(std::string_view text) {
  ALLOD_TRY(const auto pairs, ParseQuery(text));
  Fields out;
  for (const auto& [name, value] : pairs) {
    if (!out.emplace(name, value).second) {
      return InvalidArgument("INVALID_QUERY", fmt::format("{} is there more than once", name));
    }
  }
  return out;
}

std::string ValueOf(const Fields& fields, std::string_view name) {
  const auto found = fields.find(name);
  return found == fields.end() ? "" : found->second;
}

std::string_view StatusPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 303:
      return "See Other";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Unknown";
  }
}

}  // namespace allod::gateway::http
