// How long a request's body is, by RFC 9112 section 6: decided from the head alone, and refused when two readers of the
// same bytes could disagree about where the next request begins. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "gateway/http/message.h"
#include "services/common/result.h"

namespace allod::gateway::http {

struct BodyFraming {
  enum class Kind { kNone, kLength, kChunked };
  Kind kind = Kind::kNone;
  std::uint64_t length = 0;  // of kLength; more than 0

  bool has_body() const { return kind != Kind::kNone; }
};

// `headers` as they came, names in lower case. INVALID_ARGUMENT / INVALID_FRAMING, after which the connection must be
// closed: a Transfer-Encoding other than one "chunked", one beside a Content-Length or in HTTP/1.0, a Content-Length
// that is repeated or not a plain number, a Host that is missing (in HTTP/1.1), repeated or none; and a repeated
// Authorization, of which two readers could take different ones.
Result<BodyFraming> FramingOf(const Headers& headers, bool http_1_1);

// Whether the client waits for "100 Continue" before it sends the body: never in HTTP/1.0, which has no such answer.
// INVALID_ARGUMENT / EXPECTATION_FAILED for an expectation that nobody here knows.
Result<bool> ExpectsContinue(const Headers& headers, bool http_1_1);

}  // namespace allod::gateway::http
