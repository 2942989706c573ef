// Undoes the Content-Encoding of a request's body (RFC 9110 section 8.4): gzip and deflate, to a bounded size. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "gateway/http/message.h"
#include "services/common/result.h"

namespace allod::gateway::http {

enum class ContentEncoding { kIdentity, kGzip, kDeflate };

// What may be sent, for the Accept-Encoding header of a 415.
inline constexpr std::string_view kAcceptedEncodings = "gzip, deflate, identity";

// INVALID_ARGUMENT / UNSUPPORTED_CONTENT_ENCODING for another one, or for more than one.
Result<ContentEncoding> ContentEncodingOf(const Headers& headers);

// At most `bytes_max` bytes; decoding stops there, whatever `body` would expand to. INVALID_ARGUMENT /
// REQUEST_TOO_LARGE; INVALID_ENCODING when `body` is damaged, cut short or followed by something else.
Result<std::string> DecodeContent(ContentEncoding encoding, std::string body, std::size_t bytes_max);

}  // namespace allod::gateway::http
