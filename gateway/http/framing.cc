#include "gateway/http/framing.h"

#include <charconv>

#include "gateway/http/host.h"

namespace allod::gateway::http {
namespace {

std::unexpected<Error> Bad(std::string message) { return InvalidArgument("INVALID_FRAMING", std::move(message)); }

// The only header of that name; `count` is how many there are.
std::string_view OnlyHeader(const Headers& headers, std::string_view name, int& count) {
  std::string_view found;
  count = 0;
  for (const auto& [key, value] : headers) {
    if (key != name) continue;
    found = value;
    ++count;
  }
  return found;
}

}  // namespace

Result<BodyFraming> FramingOf(const Headers& headers, bool http_1_1) {
  int hosts = 0;
  const std::string_view host = OnlyHeader(headers, "host", hosts);
  if (hosts > 1 || (hosts == 0 && http_1_1)) return Bad("a request must have exactly one Host header");
  if (hosts == 1 && !IsHost(host)) return Bad("the Host header must be a name or an address, with a port or without");
  int authorizations = 0;
  OnlyHeader(headers, "authorization", authorizations);
  if (authorizations > 1) return Bad("a request must not have more than one Authorization header");
  int codings = 0;
  int lengths = 0;
  const std::string_view coding = OnlyHeader(headers, "transfer-encoding", codings);
  const std::string_view length = OnlyHeader(headers, "content-length", lengths);
  if (codings > 0) {
    if (!http_1_1) return Bad("HTTP/1.0 has no Transfer-Encoding");
    if (lengths > 0) return Bad("a request must not have both Transfer-Encoding and Content-Length");
    if (codings > 1 || !SameToken(coding, "chunked")) {
      return Bad("the only Transfer-Encoding that is accepted is \"chunked\", once");
    }
    return BodyFraming{BodyFraming::Kind::kChunked, 0};
  }
  if (lengths == 0) return BodyFraming{};
  if (lengths > 1) return Bad("a request must not have more than one Content-Length");
  std::uint64_t bytes = 0;
  const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), bytes);
  if (error != std::errc() || end != length.data() + length.size() || length.front() == '-') {
    return Bad("Content-Length must be a decimal number of bytes");
  }
  if (bytes == 0) return BodyFraming{};
  return BodyFraming{BodyFraming::Kind::kLength, bytes};
}

Result<bool> ExpectsContinue(const Headers& headers, bool http_1_1) {
  if (!http_1_1) return false;
  bool expected = false;
  for (const auto& [name, value] : headers) {
    if (name != "expect" || value.empty()) continue;
    if (!SameToken(value, "100-continue")) {
      return InvalidArgument("EXPECTATION_FAILED", "the only expectation that can be met is \"100-continue\"");
    }
    expected = true;
  }
  return expected;
}

}  // namespace allod::gateway::http
