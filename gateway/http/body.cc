#include "gateway/http/body.h"

#include <algorithm>

#include "gateway/http/buffer_view.h"
#include "gateway/http/chunked_decoder.h"

namespace allod::gateway::http {
namespace {

namespace asio = boost::asio;
using boost::beast::flat_buffer;
using boost::system::error_code;

constexpr std::size_t kBodyStepBytes = 16 << 10;

// One more piece into `buffer`.
Awaitable<ReadResult<void>> ReadMore(asio::ip::tcp::socket& socket, flat_buffer& buffer) {
  error_code ec;
  const std::size_t n =
      co_await socket.async_read_some(buffer.prepare(kBodyStepBytes), asio::redirect_error(asio::use_awaitable, ec));
  buffer.commit(n);
  if (ec == asio::error::eof) {
    co_return std::unexpected(
        Error{Code::kInvalidArgument, "MALFORMED_HTTP", "the connection's sending side was closed within the body"});
  }
  if (ec) co_return std::unexpected(std::nullopt);
  co_return ReadResult<void>();
}

// Takes what belongs to the body off `buffer`; whether it is complete.
Result<bool> TakeChunks(flat_buffer& buffer, ChunkedDecoder& decoder, std::string& body) {
  ALLOD_TRY(const std::size_t used, decoder.Feed(View(buffer), body));
  buffer.consume(used);
  return decoder.done();
}

bool TakeLength(flat_buffer& buffer, std::size_t length, std::string& body) {
  const std::size_t n = std::min(buffer.size(), length - body.size());
  body.append(View(buffer).substr(0, n));
  buffer.consume(n);
  return body.size() == length;
}

}  // namespace

Awaitable<ReadResult<std::string>> ReadBody(asio::ip::tcp::socket& socket, flat_buffer& buffer,
                                            const BodyFraming& framing, const BodyLimits& limits) {
  std::string body;
  const bool chunked = framing.kind == BodyFraming::Kind::kChunked;
  if (!chunked) body.reserve(static_cast<std::size_t>(framing.length));
  ChunkedDecoder decoder(limits.bytes_max, limits.trailer_bytes_max);
  while (framing.has_body()) {
    const Result<bool> complete = chunked ? TakeChunks(buffer, decoder, body)
                                          : TakeLength(buffer, static_cast<std::size_t>(framing.length), body);
    if (!complete) co_return std::unexpected(std::optional<Error>(complete.error()));
    if (*complete) break;
    const ReadResult<void> more = co_await ReadMore(socket, buffer);
    if (!more) co_return std::unexpected(more.error());
  }
  co_return body;
}

}  // namespace allod::gateway::http
