// Reads the head of a request off a connection. The only file pair that knows the HTTP library.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <expected>
#include <optional>

#include "gateway/http/awaitable.h"
#include "gateway/http/framing.h"
#include "gateway/http/message.h"
#include "services/common/result.h"

namespace allod::gateway::http {

struct MessageHead {
  Request request;  // with an empty body, which stays on the connection
  BodyFraming framing;
  bool http_1_1 = true;
  bool keep_alive = true;
  bool expects_continue = false;
};

// nullopt: the connection is over, there is nobody to tell.
template <typename T>
using ReadResult = std::expected<T, std::optional<Error>>;

// What was read past the head stays in `buffer`. INVALID_ARGUMENT / MALFORMED_HTTP, HEADERS_TOO_LARGE, and those of
// FramingOf, ExpectsContinue and SetTarget; after each of them the connection must be closed.
Awaitable<ReadResult<MessageHead>> ReadHead(boost::asio::ip::tcp::socket& socket, boost::beast::flat_buffer& buffer,
                                            std::size_t bytes_max);

}  // namespace allod::gateway::http
