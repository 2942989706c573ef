#include "gateway/http/head.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "gateway/http/buffer_view.h"

namespace allod::gateway::http {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using Parser = http::request_parser<http::empty_body>;

constexpr std::size_t kHeadStepBytes = 4 << 10;

// Whether a line of the head begins with white space, which the parser would join to the one before and other readers
// take for something else (RFC 9112 section 5.2). `searched` is how much was looked at before.
bool HasFoldedLine(std::string_view text, std::size_t& searched) {
  std::size_t at = 0;
  while (text.substr(at, 2) == "\r\n") at += 2;  // before the head
  at = std::max(at, searched < 3 ? 0 : searched - 3);
  searched = text.size();
  for (; (at = text.find("\r\n", at)) != std::string_view::npos; at += 2) {
    const std::string_view next = text.substr(at + 2, 2);
    if (next == "\r\n") return false;  // the end of the head
    if (next.starts_with(' ') || next.starts_with('\t')) return true;
  }
  return false;
}

std::string LowerCase(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

ReadResult<MessageHead> Broken(const error_code& ec, std::size_t bytes_max) {
  if (ec == http::error::header_limit) {
    return std::unexpected(Error{Code::kInvalidArgument, "HEADERS_TOO_LARGE",
                                 fmt::format("the request's head has more than {} bytes", bytes_max)});
  }
  const bool malformed = ec.category() == http::make_error_code(http::error::bad_method).category() &&
                         ec != http::error::end_of_stream && ec != http::error::partial_message;
  if (!malformed) return std::unexpected(std::nullopt);
  return std::unexpected(
      Error{Code::kInvalidArgument, "MALFORMED_HTTP", "the request is not valid HTTP: " + ec.message()});
}

Result<MessageHead> ToHead(const Parser& parser) {
  const auto& message = parser.get();
  MessageHead out;
  out.http_1_1 = message.version() >= 11;
  out.keep_alive = parser.keep_alive();
  Request& request = out.request;
  request.receive_time = std::chrono::system_clock::now();
  request.id = Uuid::V7(request.receive_time);
  request.method = std::string(message.method_string());
  for (const auto& field : message) {
    const auto name = field.name_string();
    const auto value = field.value();
    request.headers.emplace_back(LowerCase({name.data(), name.size()}), std::string(value.data(), value.size()));
  }
  request.trace = TraceOf(request.headers);
  ALLOD_CHECK_OK(SetTarget({message.target().data(), message.target().size()}, request));
  ALLOD_TRY(out.framing, FramingOf(request.headers, out.http_1_1));
  request.has_body = out.framing.has_body();
  ALLOD_TRY(out.expects_continue, ExpectsContinue(request.headers, out.http_1_1));
  return out;
}

}  // namespace

Awaitable<ReadResult<MessageHead>> ReadHead(asio::ip::tcp::socket& socket, boost::beast::flat_buffer& buffer,
                                            std::size_t bytes_max) {
  Parser parser;
  parser.header_limit(static_cast<std::uint32_t>(bytes_max));
  parser.body_limit(boost::none);  // whoever reads the body bounds it
  std::size_t searched = 0;
  while (!parser.is_header_done()) {
    error_code ec;
    if (HasFoldedLine(View(buffer), searched)) {
      co_return std::unexpected(Error{Code::kInvalidArgument, "MALFORMED_HTTP",
                                      "the request is not valid HTTP: a header goes on in another line"});
    }
    if (buffer.size() > 0) {
      const std::size_t used = parser.put(buffer.data(), ec);
      if (ec && ec != http::error::need_more) co_return Broken(ec, bytes_max);
      buffer.consume(used);
      searched -= std::min(searched, used);
      if (parser.is_header_done()) break;
    }
    const std::size_t n =
        co_await socket.async_read_some(buffer.prepare(kHeadStepBytes), asio::redirect_error(asio::use_awaitable, ec));
    buffer.commit(n);
    if (ec) co_return std::unexpected(std::nullopt);
  }
  Result<MessageHead> head = ToHead(parser);
  if (!head) co_return std::unexpected(std::optional<Error>(head.error()));
  co_return *std::move(head);
}

}  // namespace allod::gateway::http
