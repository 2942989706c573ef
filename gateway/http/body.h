// Reads the body of a request off a connection, whatever its framing.
#pragma once

#include <string>

#include "gateway/http/head.h"

namespace allod::gateway::http {

struct BodyLimits {
  std::size_t bytes_max;          // of a chunked body; the caller has checked a Content-Length
  std::size_t trailer_bytes_max;  // behind a chunked body
};

// The request's body as it was sent; `buffer` has what comes after it. INVALID_ARGUMENT / REQUEST_TOO_LARGE,
// INVALID_FRAMING; MALFORMED_HTTP when the client ended before the body did. After each the connection must be closed.
Awaitable<ReadResult<std::string>> ReadBody(boost::asio::ip::tcp::socket& socket, boost::beast::flat_buffer& buffer,
                                            const BodyFraming& framing, const BodyLimits& limits);

}  // namespace allod::gateway::http
