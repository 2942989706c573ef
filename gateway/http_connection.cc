#include "gateway/http_connection.h"

#include <fmt/format.h>

#include <boost/asio/write.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include "gateway/http_error.h"
#include "services/common/log.h"

namespace allod::gateway {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using std::chrono::steady_clock;

// What a client may send ahead while its request is being answered; more than this and it is cut off.
constexpr std::size_t kReadAheadMax = 64 << 10;
constexpr std::size_t kReadAheadStep = 4 << 10;
// What is read and dropped after a refusal.
constexpr std::size_t kDropMax = 8 << 20;

std::string LowerCase(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

HttpRequest ToRequest(http::request<http::string_body>&& message) {
  HttpRequest out;
  out.receive_time = std::chrono::system_clock::now();
  out.id = Uuid::V7(out.receive_time);
  out.method = std::string(message.method_string());
  const std::string_view target(message.target().data(), message.target().size());
  const std::size_t question = target.find('?');
  out.path = target.substr(0, question);
  if (question != std::string_view::npos) out.query = target.substr(question + 1);
  for (const auto& field : message) {
    const auto name = field.name_string();
    const auto value = field.value();
    out.headers.emplace_back(LowerCase({name.data(), name.size()}), std::string(value.data(), value.size()));
  }
  out.body = std::move(message.body());
  return out;
}

}  // namespace

HttpConnection::HttpConnection(asio::ip::tcp::socket socket, const HttpServerConfig& config, const HttpHandler& handler)
    : config_(config),
      handler_(handler),
      socket_(std::move(socket)),
      deadline_(socket_.get_executor()),
      watch_ended_(socket_.get_executor()) {}

Awaitable<void> HttpConnection::Run() {
  while (!stopping_) {
    std::optional<HttpRequest> request = co_await ReadRequest();
    if (!request) break;
    co_await Serve(*request);
    if (!keep_alive_ || gone_ || shutting_down_) break;
  }
  Close();
}

void HttpConnection::TurnAway() {
  Error error{Code::kUnavailable, "TOO_MANY_CONNECTIONS", "the gateway has as many connections as it takes; try again"};
  error.retry_after = std::chrono::milliseconds(1000);
  const HttpResponse response = ErrorResponse(ErrorStyle::kOpenAi, error);
  request_id_ = Uuid::V7().ToString();
  keep_alive_ = false;
  const std::string bytes = Head(response.status, response.content_type, response.headers) +
                            fmt::format("content-length: {}\r\n\r\n{}", response.body.size(), response.body);
  error_code ignored;
  socket_.non_blocking(true, ignored);
  socket_.write_some(asio::buffer(bytes), ignored);
  Close();
}

Awaitable<bool> HttpConnection::AwaitFirstByte() {
  if (buffer_.size() > 0) co_return true;
  error_code ec;
  reading_idle_ = true;
  const std::size_t n =
      co_await socket_.async_read_some(buffer_.prepare(kReadAheadStep), asio::redirect_error(asio::use_awaitable, ec));
  reading_idle_ = false;
  buffer_.commit(n);
  co_return !ec && !stopping_;
}

Awaitable<std::optional<HttpRequest>> HttpConnection::ReadRequest() {
  request_id_ = Uuid::V7().ToString();
  head_only_ = answered_ = streaming_ = false;
  ArmDeadline(config_.idle_timeout_ms);
  const bool first_byte = co_await AwaitFirstByte();
  if (!first_byte) co_return std::nullopt;
  http::request_parser<http::string_body> parser;
  parser.header_limit(static_cast<std::uint32_t>(config_.header_bytes_max));
  parser.body_limit(config_.body_bytes_max);
  ArmDeadline(config_.header_timeout_ms);
  error_code ec;
  co_await http::async_read_header(socket_, buffer_, parser, asio::redirect_error(asio::use_awaitable, ec));
  if (!ec && parser.get()[http::field::expect] == "100-continue") {
    constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    co_await WriteAll(kContinue);
  }
  if (!ec) {
    ArmDeadline(config_.body_timeout_ms);
    co_await http::async_read(socket_, buffer_, parser, asio::redirect_error(asio::use_awaitable, ec));
  }
  DisarmDeadline();
  keep_alive_ = false;
  if (ec == http::error::header_limit) {
    co_await Refuse("HEADERS_TOO_LARGE",
                    fmt::format("the request's head has more than {} bytes", config_.header_bytes_max));
    co_return std::nullopt;
  }
  if (ec == http::error::body_limit) {
    co_await Refuse("REQUEST_TOO_LARGE",
                    fmt::format("the request's body has more than {} bytes", config_.body_bytes_max));
    co_return std::nullopt;
  }
  if (ec && ec.category() == http::make_error_code(http::error::bad_method).category() &&
      ec != http::error::end_of_stream && ec != http::error::partial_message) {
    co_await Refuse("MALFORMED_HTTP", "the request is not valid HTTP: " + ec.message());
    co_return std::nullopt;
  }
  if (ec) co_return std::nullopt;
  http_1_1_ = parser.get().version() >= 11;
  keep_alive_ = parser.get().keep_alive() && !stopping_;
  HttpRequest request = ToRequest(parser.release());
  request_id_ = request.id.ToString();
  head_only_ = request.method == "HEAD";
  co_return request;
}

Awaitable<void> HttpConnection::Refuse(const char* reason, std::string message) {
  const Error error{Code::kInvalidArgument, reason, std::move(message)};
  HttpResponse refusal = ErrorResponse(ErrorStyle::kOpenAi, error);
  co_await Send(std::move(refusal));
  // Closing with unread input would reset the connection and could destroy the answer on its way: read a while longer.
  error_code ec;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ec);
  ArmDeadline(1'000);
  std::size_t dropped = 0;
  while (!ec && dropped < kDropMax) {
    buffer_.clear();
    dropped += co_await socket_.async_read_some(buffer_.prepare(kReadAheadStep),
                                                asio::redirect_error(asio::use_awaitable, ec));
  }
}

Awaitable<void> HttpConnection::Serve(HttpRequest& request) {
  // The handler has its own, shorter deadlines; this one ends a client that takes nothing.
  ArmDeadline(config_.request_timeout_ms + 5'000);
  StartWatch();
  bool failed = false;
  try {
    co_await handler_(request, *this);
  } catch (const std::exception& e) {
    Log(LogLevel::kError, "a handler threw", {{"path", request.path}, {"what", e.what()}});
    failed = true;
  }
  interrupt_ = nullptr;
  if (failed && answered_) Abort();
  if (!answered_ && !gone_) {
    const Error error = failed ? Error{Code::kInternal, "INTERNAL", "the gateway failed on this request"}
                               : Error{Code::kInternal, "NO_ANSWER", "the gateway has no answer to this request"};
    HttpResponse apology = ErrorResponse(ErrorStyleOf(request.path), error);
    co_await Send(std::move(apology));
  }
  if (streaming_) Abort();  // a stream that was not ended is never closed cleanly
  co_await StopWatch();
  DisarmDeadline();
}

std::string HttpConnection::Head(int status, const std::string& content_type, const HttpHeaders& headers) const {
  std::string out = fmt::format("HTTP/1.1 {} {}\r\ncontent-type: {}\r\nx-request-id: {}\r\n", status,
                                StatusPhrase(status), content_type, request_id_);
  for (const auto& [name, value] : headers) {
    if (value.find_first_of("\r\n") == std::string::npos) out += name + ": " + value + "\r\n";
  }
  if (!keep_alive_ || stopping_) out += "connection: close\r\n";
  return out;
}

Awaitable<bool> HttpConnection::Send(HttpResponse response) {
  answered_ = true;
  if (stopping_) keep_alive_ = false;
  std::string bytes = Head(response.status, response.content_type, response.headers);
  bytes += fmt::format("content-length: {}\r\n\r\n", response.body.size());
  if (!head_only_) bytes += response.body;
  const bool sent = co_await WriteAll(bytes);
  co_return sent;
}

Awaitable<bool> HttpConnection::StartStream(HttpHeaders headers) {
  answered_ = true;
  streaming_ = true;
  headers.emplace_back("cache-control", "no-cache");
  headers.emplace_back("x-accel-buffering", "no");
  // HTTP/1.0 has no chunks: there the end of the stream is the end of the connection.
  if (!http_1_1_) keep_alive_ = false;
  std::string bytes = Head(200, "text/event-stream; charset=utf-8", headers);
  if (http_1_1_) bytes += "transfer-encoding: chunked\r\n";
  bytes += "\r\n";
  const bool sent = co_await WriteAll(bytes);
  co_return sent;
}

Awaitable<bool> HttpConnection::Write(std::string_view data) {
  if (data.empty()) co_return !gone_;
  std::string bytes = http_1_1_ ? fmt::format("{:x}\r\n{}\r\n", data.size(), data) : std::string(data);
  const bool sent = co_await WriteAll(bytes);
  co_return sent;
}

Awaitable<bool> HttpConnection::EndStream() {
  streaming_ = false;
  if (!http_1_1_) co_return !gone_;
  constexpr std::string_view kLastChunk = "0\r\n\r\n";
  const bool sent = co_await WriteAll(kLastChunk);
  co_return sent;
}

void HttpConnection::Abort() {
  streaming_ = false;
  keep_alive_ = false;
  Close();
}

Awaitable<bool> HttpConnection::WriteAll(std::string_view data) {
  if (gone_) co_return false;
  error_code ec;
  co_await asio::async_write(socket_, asio::buffer(data.data(), data.size()),
                             asio::redirect_error(asio::use_awaitable, ec));
  if (ec) {
    gone_ = true;
    Interrupt();
  }
  // A client that took its answer and left while this resumed has taken it all the same.
  co_return !ec;
}

void HttpConnection::StartWatch() {
  watch_stopping_ = false;
  WatchOnce();
}

void HttpConnection::WatchOnce() {
  if (watch_stopping_ || gone_) return;
  reading_ahead_ = true;
  socket_.async_read_some(buffer_.prepare(kReadAheadStep),
                          [this, self = shared_from_this()](error_code ec, std::size_t n) {
                            reading_ahead_ = false;
                            buffer_.commit(n);
                            const bool cancelled = watch_stopping_ && ec == asio::error::operation_aborted;
                            if ((ec && !cancelled) || buffer_.size() > kReadAheadMax) {
                              gone_ = true;
                              Interrupt();
                            }
                            if (watch_stopping_) {
                              watch_ended_.Notify();
                            } else {
                              WatchOnce();
                            }
                          });
}

Awaitable<void> HttpConnection::StopWatch() {
  watch_stopping_ = true;
  if (!reading_ahead_) co_return;
  error_code ignored;
  socket_.cancel(ignored);
  while (reading_ahead_) co_await watch_ended_.Wait(steady_clock::time_point::max());
}

void HttpConnection::OnInterrupt(std::function<void()> interrupt) {
  interrupt_ = std::move(interrupt);
  if (gone_ || shutting_down_) Interrupt();
}

void HttpConnection::Interrupt() {
  if (!interrupt_) return;
  const std::function<void()> interrupt = std::exchange(interrupt_, nullptr);
  interrupt();
}

void HttpConnection::Stop() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->stopping_ = true;
    if (self->reading_idle_) self->Close();
  });
}

void HttpConnection::Shutdown() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->stopping_ = self->shutting_down_ = true;
    self->Interrupt();
    // A handler in the middle of a write gets a moment to say what happened, a reader that stalls gets no more.
    self->ArmDeadline(500);
  });
}

void HttpConnection::ArmDeadline(int milliseconds) {
  deadline_.expires_after(std::chrono::milliseconds(milliseconds));
  deadline_.async_wait([weak = weak_from_this()](error_code ec) {
    const auto self = weak.lock();
    if (ec || !self || self->deadline_.expiry() > steady_clock::now()) return;
    self->Close();
  });
}

void HttpConnection::DisarmDeadline() { deadline_.expires_at(steady_clock::time_point::max()); }

void HttpConnection::Close() {
  error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
}

}  // namespace allod::gateway
