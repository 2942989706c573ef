#include "gateway/http/connection.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio/write.hpp>

#include "gateway/http/body.h"
#include "gateway/http/client_address.h"
#include "gateway/http/content_encoding.h"
#include "gateway/http/error.h"
#include "gateway/http/host.h"
#include "services/common/log.h"

namespace allod::gateway::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using std::chrono::steady_clock;

// What is read of the next requests while one is being answered.
constexpr std::size_t kReadAheadMax = 64 << 10;
constexpr std::size_t kReadAheadStep = 4 << 10;
// What is read and dropped after a refusal, and for how long.
constexpr std::size_t kDropMax = 8 << 20;
constexpr int kDropTimeoutMs = 1'000;
constexpr int kNoContent = 204;

Error TimedOut(const char* what, int milliseconds) {
  return {Code::kInvalidArgument, "REQUEST_TIMEOUT",
          fmt::format("the request's {} was not complete within {} ms", what, milliseconds)};
}

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, const IpAddress& peer, const ServerConfig& config,
                       Application& application, BodyBudget& budget, ConnectionTable& table)
    : peer_(peer),
      config_(config),
      application_(application),
      budget_(budget),
      table_(table),
      socket_(std::move(socket)),
      deadline_(socket_.get_executor()),
      watch_ended_(socket_.get_executor()),
      opened_(steady_clock::now()) {
  error_code ignored;
  socket_.non_blocking(true, ignored);  // WatchOnce() reads what is there
}

Awaitable<void> Connection::Run(ConnectionTable::Id place) {
  place_ = place;
  while (!stopping_) {
    std::optional<Request> request = co_await ReadRequest();
    if (request) co_await Serve(*request);
    table_.End(place_);
    if (!keep_alive_ || gone_ || shutting_down_) break;
  }
  Close();
}

Awaitable<void> Connection::TurnAway() {
  Error error{Code::kUnavailable, "TOO_MANY_CONNECTIONS", "the gateway has as many connections as it takes; try again"};
  error.retry_after = std::chrono::milliseconds(1000);
  request_id_ = Uuid::V7().ToString();
  Response response = ErrorResponse(ErrorStyle::kOpenAi, error);
  co_await SendAndEnd(std::move(response));
  Close();
}

Awaitable<bool> Connection::AwaitFirstByte() {
  // Who never sent a head gets one deadline for its first byte and all: silence must not be worth more than slowness.
  const auto patience = std::chrono::milliseconds(config_.header_timeout_ms);
  if (!had_head_) {
    ArmDeadline(opened_ + patience, Deadline::kStopReading);
  } else {
    ArmDeadline(config_.idle_timeout_ms);
  }
  if (buffer_.size() == 0) {
    if (input_ended_) co_return false;
    buffer_.shrink_to_fit();  // an idle connection keeps nothing
    error_code ec;
    reading_idle_ = true;
    const std::size_t n = co_await socket_.async_read_some(buffer_.prepare(kReadAheadStep),
                                                           asio::redirect_error(asio::use_awaitable, ec));
    reading_idle_ = false;
    buffer_.commit(n);
    if (ec || stopping_) co_return false;
  }
  if (had_head_) ArmDeadline(steady_clock::now() + patience, Deadline::kStopReading);
  co_return true;
}

Awaitable<std::optional<Request>> Connection::ReadRequest() {
  request_id_ = Uuid::V7().ToString();
  common_headers_.clear();
  head_only_ = answered_ = streaming_ = timed_out_ = keep_alive_ = false;
  http_1_1_ = true;
  const bool first_byte = co_await AwaitFirstByte();
  if (!first_byte) co_return std::nullopt;
  ReadResult<MessageHead> head = co_await ReadHead(socket_, buffer_, config_.header_bytes_max);
  DisarmDeadline();
  if (!head) {
    const std::optional<Error> error = timed_out_ ? TimedOut("head", config_.header_timeout_ms) : head.error();
    co_await Refuse(error, nullptr);
    co_return std::nullopt;
  }
  had_head_ = true;
  Request& request = head->request;
  request.client = ClientOf(peer_, request.headers, config_.trusted_proxies);
  Begin(*head);
  if (config_.hosts_are_addresses && head->http_1_1 && !IsAddressOrLocalhost(request.Header("host"))) {
    const Error error{Code::kInvalidArgument, "INVALID_HOST", "here the Host must be an address, or localhost"};
    co_await Refuse(error, &request);
    co_return std::nullopt;
  }
  std::expected<BodyAccount, Response> account = application_.Admit(request);
  if (!account) {
    application_.OnRefused(request, account.error().status);
    keep_alive_ = head->keep_alive && !head->framing.has_body();
    if (keep_alive_) {
      ArmDeadline(config_.idle_timeout_ms);  // who does not read the refusal does not hold the connection
      co_await Send(std::move(account.error()));
    } else {
      co_await SendAndEnd(std::move(account.error()));
    }
    co_return std::nullopt;
  }
  if (!table_.Begin(place_, !account->key.empty() && !account->is_stranger)) co_return std::nullopt;
  if (head->framing.has_body()) {
    ReadResult<std::string> body = co_await TakeBody(*head, *account);
    if (!body) {
      co_await Refuse(body.error(), &request);
      co_return std::nullopt;
    }
    request.body = *std::move(body);
  }
  keep_alive_ = head->keep_alive && !stopping_;
  co_return std::move(request);
}

void Connection::Begin(const MessageHead& head) {
  request_id_ = head.request.id.ToString();
  trace_ = head.request.trace;
  http_1_1_ = head.http_1_1;
  head_only_ = head.request.method == "HEAD";
  common_headers_ = application_.CommonHeaders(head.request);
}

Awaitable<ReadResult<std::string>> Connection::TakeBody(const MessageHead& head, const BodyAccount& account) {
  const Result<ContentEncoding> encoding = ContentEncodingOf(head.request.headers);
  if (!encoding) co_return std::unexpected(std::optional<Error>(encoding.error()));
  const BodyFraming& framing = head.framing;
  const std::size_t bytes_max = std::min(config_.body_bytes_max, account.bytes_max);
  if (framing.kind == BodyFraming::Kind::kLength && framing.length > bytes_max) {
    co_return std::unexpected(Error{Code::kInvalidArgument, "REQUEST_TOO_LARGE",
                                    fmt::format("the request's body has more than {} bytes", bytes_max)});
  }
  const std::size_t as_sent =
      framing.kind == BodyFraming::Kind::kLength ? static_cast<std::size_t>(framing.length) : bytes_max;
  const std::size_t as_decoded = *encoding == ContentEncoding::kIdentity ? 0 : bytes_max;
  const Result<BodyBudget::Hold> hold = budget_.Admit(account, as_sent + as_decoded);
  if (!hold) co_return std::unexpected(std::optional<Error>(hold.error()));
  ArmDeadline(config_.body_timeout_ms, Deadline::kStopReading);
  if (head.expects_continue && buffer_.size() == 0) {
    constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    co_await WriteAll(kContinue);
  }
  const BodyLimits limits{bytes_max, config_.header_bytes_max};
  ReadResult<std::string> body = co_await ReadBody(socket_, buffer_, framing, limits);
  DisarmDeadline();
  if (timed_out_) co_return std::unexpected(TimedOut("body", config_.body_timeout_ms));
  if (!body || *encoding == ContentEncoding::kIdentity) co_return body;
  Result<std::string> decoded = DecodeContent(*encoding, *std::move(body), bytes_max);
  if (!decoded) co_return std::unexpected(std::optional<Error>(decoded.error()));
  co_return *std::move(decoded);
}

Awaitable<void> Connection::Refuse(const std::optional<Error>& error, const Request* head) {
  if (!error) co_return;
  Response response = ErrorResponse(ErrorStyleOf(head ? head->path : ""), *error);
  if (head) application_.OnRefused(*head, response.status);
  co_await SendAndEnd(std::move(response));
}

Awaitable<void> Connection::SendAndEnd(Response response) {
  keep_alive_ = false;
  ArmDeadline(kDropTimeoutMs);
  co_await Send(std::move(response));
  // Closing with unread input would reset the connection and could destroy the answer on its way: read a while longer.
  error_code ec;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ec);
  std::size_t dropped = 0;
  while (!ec && dropped < kDropMax) {
    buffer_.clear();
    dropped += co_await socket_.async_read_some(buffer_.prepare(kReadAheadStep),
                                                asio::redirect_error(asio::use_awaitable, ec));
  }
}

Awaitable<void> Connection::Serve(Request& request) {
  // The handler has its own, shorter deadlines; this one ends a client that takes nothing.
  ArmDeadline(config_.request_timeout_ms + 5'000);
  StartWatch();
  bool failed = false;
  try {
    co_await application_.Handle(request, *this);
  } catch (const std::exception& e) {
    Log(LogLevel::kError, "a handler threw", {{"path", request.path}, {"what", e.what()}, {"trace", trace_.trace_id}});
    failed = true;
  }
  interrupt_ = nullptr;
  if (failed && answered_) Abort();
  if (!answered_ && !gone_) {
    const Error error = WhyNoAnswer(failed);
    Response apology = ErrorResponse(ErrorStyleOf(request.path), error);
    co_await Send(std::move(apology));
  }
  if (streaming_) Abort();  // a stream that was not ended is never closed cleanly
  co_await StopWatch();
  DisarmDeadline();
}

Error Connection::WhyNoAnswer(bool failed) const {
  if (failed) return {Code::kInternal, "INTERNAL", "the gateway failed on this request"};
  if (input_ended_) {
    return {Code::kInvalidArgument, "SENDING_SIDE_CLOSED",
            "the connection's sending side was closed while the answer was computed, which cancels a request; keep it "
            "open until the answer has come"};
  }
  return {Code::kInternal, "NO_ANSWER", "the gateway has no answer to this request"};
}

std::string Connection::Head(int status, const std::string& content_type, const Headers& headers) const {
  std::string out = fmt::format("HTTP/1.1 {} {}\r\nx-request-id: {}\r\n", status, StatusPhrase(status), request_id_);
  if (status != kNoContent) out += fmt::format("content-type: {}\r\n", content_type);
  for (const Headers* some : {&headers, &common_headers_}) {
    for (const auto& [name, value] : *some) {
      if (value.find_first_of("\r\n") == std::string::npos) out += name + ": " + value + "\r\n";
    }
  }
  if (!keep_alive_ || stopping_) out += "connection: close\r\n";
  return out;
}

Awaitable<Taken> Connection::Send(Response response) {
  answered_ = true;
  if (stopping_) keep_alive_ = false;
  std::string bytes = Head(response.status, response.content_type, response.headers);
  if (response.status != kNoContent) bytes += fmt::format("content-length: {}\r\n", response.body.size());
  bytes += "\r\n";
  const std::size_t head_bytes = bytes.size();
  if (!head_only_) bytes += response.body;
  const Taken taken = co_await WriteAll(bytes, head_bytes);
  co_return taken;
}

Awaitable<bool> Connection::StartStream(Headers headers) {
  answered_ = true;
  streaming_ = true;
  headers.emplace_back("cache-control", "no-cache");
  headers.emplace_back("x-accel-buffering", "no");
  // HTTP/1.0 has no chunks: there the end of the stream is the end of the connection.
  if (!http_1_1_) keep_alive_ = false;
  std::string bytes = Head(200, "text/event-stream; charset=utf-8", headers);
  if (http_1_1_) bytes += "transfer-encoding: chunked\r\n";
  bytes += "\r\n";
  const Taken taken = co_await WriteAll(bytes);
  co_return taken == Taken::kAll;
}

Awaitable<Taken> Connection::Write(std::string_view data) {
  // A piece that is sent to who has left is his for nothing.
  if (gone()) co_return Taken::kNothing;
  if (data.empty()) co_return Taken::kAll;
  std::string bytes = http_1_1_ ? fmt::format("{:x}\r\n", data.size()) : std::string();
  const std::size_t head_bytes = bytes.size();
  bytes += data;
  if (http_1_1_) bytes += "\r\n";
  const Taken taken = co_await WriteAll(bytes, head_bytes);
  co_return taken;
}

Awaitable<bool> Connection::EndStream() {
  streaming_ = false;
  if (!http_1_1_) co_return !gone_;
  constexpr std::string_view kLastChunk = "0\r\n\r\n";
  const Taken taken = co_await WriteAll(kLastChunk);
  co_return taken == Taken::kAll;
}

void Connection::Abort() {
  streaming_ = false;
  keep_alive_ = false;
  Close();
}

Awaitable<Taken> Connection::WriteAll(std::string_view data, std::size_t head_bytes) {
  if (gone_) co_return Taken::kNothing;
  const bool had_left = input_ended_;
  error_code ec;
  const std::size_t written = co_await asio::async_write(socket_, asio::buffer(data.data(), data.size()),
                                                         asio::redirect_error(asio::use_awaitable, ec));
  if (ec) {
    gone_ = true;
    Interrupt();
  }
  // A client that took its answer and left while this resumed has taken it all the same; of one that was known to have
  // left before, nobody knows.
  co_return had_left ? Taken::kNothing : TakenOf(written, head_bytes, data.size());
}

void Connection::StartWatch() {
  watch_stopping_ = false;
  WatchOnce();
}

void Connection::WatchOnce() {
  if (watch_stopping_ || gone_ || input_ended_) return;
  watching_ = true;
  if (buffer_.size() >= kReadAheadMax) {
    // Nothing more is read until this request is answered: that the client left shows in a reset or a failing write.
    socket_.async_wait(asio::ip::tcp::socket::wait_error, [this, self = shared_from_this()](error_code ec) {
      int reset = 0;
      socklen_t size = sizeof(reset);
      watching_ = false;
      if (!ec && ::getsockopt(socket_.native_handle(), SOL_SOCKET, SO_ERROR, &reset, &size) == 0 && reset != 0) {
        gone_ = true;
      }
      if (gone_) Interrupt();
      if (watch_stopping_) watch_ended_.Notify();
    });
    return;
  }
  // Most clients send nothing meanwhile: a buffer is had by those that do.
  if (buffer_.size() == 0) buffer_.shrink_to_fit();
  socket_.async_wait(asio::ip::tcp::socket::wait_read, [this, self = shared_from_this()](error_code ec) {
    watching_ = false;
    if (!ec) buffer_.commit(socket_.read_some(buffer_.prepare(kReadAheadStep), ec));
    if (ec == asio::error::would_block) ec = {};
    if (ec == asio::error::eof) input_ended_ = true;
    const bool cancelled = watch_stopping_ && ec == asio::error::operation_aborted;
    if (ec && !input_ended_ && !cancelled) gone_ = true;
    if (gone()) Interrupt();
    if (watch_stopping_) {
      watch_ended_.Notify();
    } else {
      WatchOnce();
    }
  });
}

Awaitable<void> Connection::StopWatch() {
  watch_stopping_ = true;
  if (!watching_) co_return;
  error_code ignored;
  socket_.cancel(ignored);
  while (watching_) co_await watch_ended_.Wait(steady_clock::time_point::max());
}

void Connection::OnInterrupt(std::function<void()> interrupt) {
  interrupt_ = std::move(interrupt);
  if (gone() || shutting_down_) Interrupt();
}

void Connection::Interrupt() {
  if (!interrupt_) return;
  const std::function<void()> interrupt = std::exchange(interrupt_, nullptr);
  interrupt();
}

void Connection::Stop() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->stopping_ = true;
    if (self->reading_idle_) self->Close();
  });
}

void Connection::MakeWay() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] { self->Close(); });
}

void Connection::Shutdown() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->stopping_ = self->shutting_down_ = true;
    self->Interrupt();
    // A handler in the middle of a write gets a moment to say what happened, a reader that stalls gets no more.
    self->ArmDeadline(500);
  });
}

void Connection::ArmDeadline(int milliseconds, Deadline deadline) {
  ArmDeadline(steady_clock::now() + std::chrono::milliseconds(milliseconds), deadline);
}

void Connection::ArmDeadline(steady_clock::time_point when, Deadline deadline) {
  deadline_.expires_at(when);
  deadline_.async_wait([weak = weak_from_this(), deadline](error_code ec) {
    const auto self = weak.lock();
    if (ec || !self || self->deadline_.expiry() > steady_clock::now()) return;
    if (deadline == Deadline::kClose) return self->Close();
    self->timed_out_ = true;
    error_code ignored;
    self->socket_.cancel(ignored);
  });
}

void Connection::DisarmDeadline() { deadline_.expires_at(steady_clock::time_point::max()); }

void Connection::Close() {
  error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
}

}  // namespace allod::gateway::http
